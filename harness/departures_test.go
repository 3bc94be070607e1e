package harness

import (
	"fmt"
	"net/netip"
	"testing"

	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// A trial that is not kept leaves no address.
func TestRunDroppedSources(t *testing.T) {
	t.Parallel()
	f := newFakeLab(t, 2)
	f.matched = func(sent uint64) uint64 { return min(sent, 121) } // the second trial's last request passes the rule by
	r, _, err := f.run(t.Context(), ephemeralScenario(2, "a"))
	if err == nil || countTrials(r) != 1 {
		t.Fatalf("error %v, %d trials", err, countTrials(r))
	}
	if got, want := fmt.Sprint(r.Arms[0].Sources), fmt.Sprintf("[{127.0.0.1 %d}]", r.Arms[0].Trials[0].Server.Accepted); got != want {
		t.Errorf("connections from %s, want those of the trial that was kept, %s", got, want)
	}
}

// The addresses of connections are recorded.
func TestRunSources(t *testing.T) {
	t.Parallel()
	f := newFakeLab(t, 2)
	s := ephemeralScenario(2, "a")
	s.Arms = append(s.Arms, scenario.Arm{Name: "b", SNAT: scenario.SNATOptions{ToSource: []netip.Addr{netip.MustParseAddr("198.19.0.1")}}})
	r, _, err := f.run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, arm := range r.Arms {
		succeeded := 0
		for _, trial := range arm.Trials {
			succeeded += trial.Requests - trial.Failed
		}
		if got, want := fmt.Sprint(arm.Sources), fmt.Sprintf("[{127.0.0.1 %d}]", succeeded); got != want {
			t.Errorf("%s: connections from %s, want %s", arm.Name, got, want)
		}
	}
	if got := fmt.Sprint(r.Arms[0].ToSource, r.Arms[1].ToSource); got != "[] [198.19.0.1]" {
		t.Errorf("to_source %s", got)
	}
}

// The latencies of an arm are those of its successful requests in the trials that were
// kept, and a trial knows when it began.
func TestRunLatencies(t *testing.T) {
	t.Parallel()
	f := newFakeLab(t, 1)
	f.controlLost = losing(map[string]int{result.Timeout: 30})
	r, _, err := f.run(t.Context(), lockstepScenario(result.SyncClock, "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range r.Arms {
		arm, control := a.SumTotals(), a.SumControl()
		if got, want := a.Latencies.Total(), int64(arm.Requests-arm.Failed); got != want {
			t.Errorf("%s: %d latencies, want %d", a.Name, got, want)
		}
		if got, want := a.ControlLatencies.Total(), int64(control.Requests-control.Failed); got != want {
			t.Errorf("%s: %d latencies of the control, want %d", a.Name, got, want)
		}
		for _, trial := range a.Trials {
			if trial.Start <= 0 || trial.Start > r.Seconds {
				t.Errorf("%s: a trial began at %g s of %g s", a.Name, trial.Start, r.Seconds)
			}
		}
	}
}

// The ports of the trials that were kept are recorded, as many as the server accepted.
func TestRunSourcePorts(t *testing.T) {
	t.Parallel()
	f := newFakeLab(t, 2)
	r, _, err := f.run(t.Context(), ephemeralScenario(2, "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range r.Arms {
		accepted := int(result.SumTrials(a.Trials, func(t result.Trial) uint64 { return t.Server.Accepted }))
		if p := a.SourcePorts; p == nil || p.Connections != accepted || p.Kept != accepted { // nothing translates
			t.Errorf("%s: of %d connections %+v", a.Name, accepted, p)
		}
	}
}
