package matrix

import (
	"encoding/json"

	"snatlab/harness/result"
)

// RunWatcher receives the progress of a run: its phases, and each trial before and
// after it.
type RunWatcher interface {
	Say(phase string)
	Start(result.Progress)
	Done(result.Progress, *result.Trial)
}

// watcherCall is a call of a RunWatcher, as a guest reports it.
type watcherCall struct {
	Phase    string           `json:"phase,omitempty"`    // of Say; the other fields are nil
	Progress *result.Progress `json:"progress,omitempty"` // of Start, and with Trial of Done
	Trial    *result.Trial    `json:"trial,omitempty"`
}

// relayProgress makes the call of watch that a guest reports.
func relayProgress(report []byte, watch RunWatcher) error {
	var p watcherCall
	if err := json.Unmarshal(report, &p); err != nil {
		return err
	}
	switch {
	case p.Progress != nil && p.Trial != nil:
		watch.Done(*p.Progress, p.Trial)
	case p.Progress != nil:
		watch.Start(*p.Progress)
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

func (r guestReporter) Start(p result.Progress) { r.sendCall(watcherCall{Progress: &p}) }

func (r guestReporter) Done(p result.Progress, t *result.Trial) {
	r.sendCall(watcherCall{Progress: &p, Trial: t})
}
