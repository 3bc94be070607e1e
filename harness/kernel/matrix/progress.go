package matrix

import (
	"encoding/json"

	"snatlab/harness/result"
)

// Watcher is told how a run in a guest goes on.
type Watcher interface {
	Say(phase string)
	Start(round, rounds int, arm string)
	Done(round, rounds int, arm string, t *result.Trial)
}

// progress is one call of a Watcher, as a guest reports it.
type progress struct {
	Phase  string        `json:"phase,omitempty"` // of Say; the others are of Start, and with Trial of Done
	Round  int           `json:"round,omitempty"`
	Rounds int           `json:"rounds,omitempty"`
	Arm    string        `json:"arm,omitempty"`
	Trial  *result.Trial `json:"trial,omitempty"`
}

// relay makes the call that a guest reports.
func relay(report []byte, watch Watcher) error {
	var p progress
	if err := json.Unmarshal(report, &p); err != nil {
		return err
	}
	switch {
	case p.Trial != nil:
		watch.Done(p.Round, p.Rounds, p.Arm, p.Trial)
	case p.Round > 0:
		watch.Start(p.Round, p.Rounds, p.Arm)
	default:
		watch.Say(p.Phase)
	}
	return nil
}

// reporter is the Watcher of a run in a guest: it reports each call to the host.
type reporter func(report []byte)

// send drops what cannot be encoded: progress is of no consequence to the run.
func (r reporter) send(p progress) {
	if text, err := json.Marshal(p); err == nil {
		r(text)
	}
}

func (r reporter) Say(phase string) { r.send(progress{Phase: phase}) }

func (r reporter) Start(round, rounds int, arm string) {
	r.send(progress{Round: round, Rounds: rounds, Arm: arm})
}

func (r reporter) Done(round, rounds int, arm string, t *result.Trial) {
	r.send(progress{Round: round, Rounds: rounds, Arm: arm, Trial: t})
}
