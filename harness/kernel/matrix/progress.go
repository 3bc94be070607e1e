package matrix

import (
	"encoding/json"

	"snatlab/harness/result"
)

// RunWatcher is told how a run in a guest goes on.
type RunWatcher interface {
	Say(phase string)
	Start(round, rounds int, arm string)
	Done(round, rounds int, arm string, t *result.Trial)
}

// watcherCall is one call of a Watcher, as a guest reports it.
type watcherCall struct {
	Phase  string        `json:"phase,omitempty"` // of Say; the others are of Start, and with Trial of Done
	Round  int           `json:"round,omitempty"`
	Rounds int           `json:"rounds,omitempty"`
	Arm    string        `json:"arm,omitempty"`
	Trial  *result.Trial `json:"trial,omitempty"`
}

// relayProgress makes the call that a guest reports.
func relayProgress(report []byte, watch RunWatcher) error {
	var p watcherCall
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

// guestReporter is the Watcher of a run in a guest: it reports each call to the host.
type guestReporter func(report []byte)

// sendCall drops what cannot be encoded: progress is of no consequence to the run.
func (r guestReporter) sendCall(p watcherCall) {
	if text, err := json.Marshal(p); err == nil {
		r(text)
	}
}

func (r guestReporter) Say(phase string) { r.sendCall(watcherCall{Phase: phase}) }

func (r guestReporter) Start(round, rounds int, arm string) {
	r.sendCall(watcherCall{Round: round, Rounds: rounds, Arm: arm})
}

func (r guestReporter) Done(round, rounds int, arm string, t *result.Trial) {
	r.sendCall(watcherCall{Round: round, Rounds: rounds, Arm: arm, Trial: t})
}
