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

func (l *recordingWatcher) Start(round, rounds int, arm string) {
	*l = append(*l, fmt.Sprintf("start %d/%d %s", round, rounds, arm))
}

func (l *recordingWatcher) Done(round, rounds int, arm string, t *result.Trial) {
	*l = append(*l, fmt.Sprintf("done %d/%d %s: %d of %d", round, rounds, arm, t.Failed, t.Requests))
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
	guest.Start(1, 8, "masquerade")
	guest.Done(1, 8, "masquerade", &result.Trial{Failed: 3, Requests: 40})
	if want := []string{"making the router", "start 1/8 masquerade", "done 1/8 masquerade: 3 of 40"}; !slices.Equal(watch, want) {
		t.Errorf("calls %q", watch)
	}
	if err := relayProgress([]byte("[]"), &watch); err == nil || len(watch) != 3 {
		t.Errorf("not a report: %v, calls %q", err, watch)
	}
}
