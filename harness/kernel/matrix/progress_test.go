package matrix

import (
	"fmt"
	"slices"
	"testing"

	"snatlab/harness/result"
)

// recordingWatcher is a RunWatcher that records its calls.
type recordingWatcher []string

func (l *recordingWatcher) Say(phase string) { *l = append(*l, phase) }

func (l *recordingWatcher) Start(p result.Progress) {
	*l = append(*l, fmt.Sprintf("start %+v", p))
}

func (l *recordingWatcher) Done(p result.Progress, t *result.Trial) {
	*l = append(*l, fmt.Sprintf("done %+v: %d of %d", p, t.Failed, t.Requests))
}

// The calls of a guest reach the watcher of the host.
func TestRelayProgress(t *testing.T) {
	t.Parallel()
	var watch recordingWatcher
	guest := guestReporter(func(report []byte) {
		if err := relayProgress(report, &watch); err != nil {
			t.Error(err)
		}
	})
	guest.Say("making the router")
	first := result.Progress{Arm: "masquerade"}
	last := result.Progress{Arm: "masquerade", Round: 1, Hits: 7, HitsWanted: 1000}
	guest.Start(first)
	guest.Done(last, &result.Trial{Failed: 3, Requests: 40})
	if want := []string{"making the router", fmt.Sprintf("start %+v", first), fmt.Sprintf("done %+v: 3 of 40", last)}; !slices.Equal(watch, want) {
		t.Errorf("calls %q, want %q", watch, want)
	}
	if err := relayProgress([]byte("[]"), &watch); err == nil || len(watch) != 3 {
		t.Errorf("not a report: %v, calls %q", err, watch)
	}
}
