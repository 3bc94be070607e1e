package harness

import (
	"slices"
	"testing"

	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// Each arm's clients make look-ups as its resolver does, after a path check with the queries
// of the control. What they had no answer to is recorded for the arm and its control.
func TestRunLookups(t *testing.T) {
	f := newFakeLab(t, 1)
	f.controlLost = losing(map[string]int{result.Timeout: 3})
	s := lockstepScenario(result.SyncClock, "plain", "again")
	s.Load.Pattern, s.Load.Protocol, s.Load.Threads = result.DNS, result.UDP, 1
	s.Arms[1].Resolver = result.SingleRequestReopen
	r, _, err := f.run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	var resolvers []string
	for _, load := range f.loads {
		if load.Lookups == nil || load.Lookups.Threads != 1 || load.Lookups.Reopened != s.ReopenedPorts(scenario.DefaultPorts) {
			t.Fatalf("look-ups %+v", load.Lookups)
		}
		resolvers = append(resolvers, load.Lookups.Resolver)
	}
	if own := resolvers[3:]; slices.ContainsFunc(resolvers[:3], func(of string) bool { return of != "" }) ||
		!slices.Contains(own, "") || !slices.Contains(own, result.SingleRequestReopen) {
		t.Errorf("resolvers %q", resolvers)
	}
	for _, a := range r.Arms {
		trial := a.Trials[0]
		if trial.Requests != 100 || trial.Unanswered == nil || trial.Unanswered.Sum() != trial.Failures[result.Timeout] || *trial.Control.Unanswered != (result.Unanswered{A: 3}) {
			t.Errorf("%s: %+v, control %+v", a.Name, trial.Unanswered, trial.Control)
		}
	}
}

// Two threads need two CPUs.
func TestRunLookupsFewCPUs(t *testing.T) {
	f := newFakeLab(t, 1)
	f.clients[0].Hello.CPUs = []int{0}
	s := lockstepScenario(result.SyncClock, "plain")
	s.Load.Pattern, s.Load.Protocol, s.Load.Threads = result.DNS, result.UDP, 2
	const want = "load.threads: each client sends from 2 threads, each on a CPU of its own, and may run on 1 CPU"
	if _, _, err := f.run(t.Context(), s); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
