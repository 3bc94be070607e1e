package matrix

import (
	"encoding/json"

	"snatlab/harness/result"
)

// RunWatcher receives the progress of a run: its phases, and each trial before and
// after it.
type RunWatcher interface {
	Say(phase string)
	Start(round, rounds int, arm string)
	Done(round, rounds int, arm string, t *result.Trial)
}

// watcherCall is a call of a RunWatcher, as a guest reports it.
type watcherCall struct {
	Phase  string        `json:"phase,omitempty"` // of Say; the other fields are of Start, and with Trial of Done
	Round  int           `json:"round,omitempty"`
	Rounds int           `json:"rounds,omitempty"`
	Arm    string        `json:"arm,omitempty"`
	Trial  *result.Trial `json:"trial,omitempty"`
}

// relayProgress makes the call of watch that a guest reports.
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

// guestReporter is the RunWatcher in a guest. It reports each call to the host.
type guestReporter func(report []byte)

// sendCall reports a call. It ignores errors: a run does not depend on its reports.
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
