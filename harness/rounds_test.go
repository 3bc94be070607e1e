package harness

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/scenario/sysctl"
)

// untilScenario returns a lockstep scenario that ends by the hits of its control.
func untilScenario(hits, most int, arms ...string) *scenario.Scenario {
	s := lockstepScenario(result.SyncClock, arms...)
	s.Until = scenario.Until{Hits: hits, RoundsMax: most, TimeMax: time.Hour}
	return s
}

func TestRunUntil(t *testing.T) {
	t.Parallel()
	sizes := func(a result.Arm) (all []int) {
		for _, trial := range a.Trials {
			all = append(all, trial.Requests)
		}
		return all
	}
	t.Run("ends when each arm's control has its hits", func(t *testing.T) {
		f := newFakeLab(t, 1)
		f.controlLost = losing(map[string]int{result.Timeout: 30})
		r, watched, err := f.run(t.Context(), untilScenario(120, 50, "a", "b"))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(&result.Until{Hits: 120, RoundsMax: 50, TimeMax: 3600}, r.Scenario.Until); d != "" || r.Scenario.Rounds != 2 {
			t.Errorf("at least %d rounds, until %s", r.Scenario.Rounds, d)
		}
		for _, a := range r.Arms {
			if d := cmp.Diff([]int{100, 200, 400, 400}, sizes(a)); d != "" {
				t.Errorf("arm %s: requests of the trials (-want +got):\n%s", a.Name, d)
			}
		}
		first, last := watched.progress[0], watched.progress[len(watched.progress)-1]
		if first.Hits != 30 || last.Hits != 120 || last.HitsWanted != 120 || last.Round != 4 || last.Rounds != 0 {
			t.Errorf("progress from %+v to %+v", first, last)
		}
	})
	t.Run("does not wait for an arm whose control a sysctl affects", func(t *testing.T) {
		f := newFakeLab(t, 1)
		f.controlLost = losing(map[string]int{result.Timeout: 30})
		s := untilScenario(60, 50, "a", "b")
		s.Arms[1].Sysctls.Router = []sysctl.Setting{{Name: "net.ipv4.ip_forward", Value: "1"}}
		_, watched, err := f.run(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range watched.progress {
			if (p.HitsWanted == 60) != (p.Arm == "a") {
				t.Errorf("progress %+v", p)
			}
		}
	})
	t.Run("makes more rounds where no ports are left for a control", func(t *testing.T) {
		f := newFakeLab(t, 1) // a lab without one
		r, _, err := f.run(t.Context(), untilScenario(1000, 50, "a"))
		if err != nil || len(r.Arms[0].Trials) != scenario.UncontrolledRounds {
			t.Errorf("error %v, %d rounds", err, len(r.Arms[0].Trials))
		}
	})
	t.Run("ends with the number of rounds where that is fixed", func(t *testing.T) {
		f := newFakeLab(t, 1)
		f.controlLost = losing(nil)
		r, watched, err := f.run(t.Context(), untilScenario(1000, 2, "a"))
		if err != nil || r.Scenario.Until != nil || !slices.Equal(sizes(r.Arms[0]), []int{100, 100}) {
			t.Errorf("error %v, until %+v, trials of %v", err, r.Scenario.Until, sizes(r.Arms[0]))
		}
		if diff := cmp.Diff(result.Progress{Arm: "a", Round: 1, Rounds: 2, TrialsDone: 1, Trials: 2, Share: 0.5}, watched.progress[0]); diff != "" {
			t.Errorf("progress (-want +got):\n%s", diff)
		}
	})
}

// The first trial is one of the baseline. It is recorded, and counts for nothing.
func TestWarmUp(t *testing.T) {
	t.Parallel()
	t.Run("is recorded apart from the arms", func(t *testing.T) {
		f := newFakeLab(t, 2)
		s := ephemeralScenario(2, "random-fully", "masquerade")
		r, _, err := f.run(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		w := r.WarmUp
		if w == nil || w.Round != 0 || w.Requests != 40 || f.rules[1].text != "-j MASQUERADE --random-fully" {
			t.Errorf("warm-up %+v under %s", w, f.rules[1].text)
		}
		for _, a := range r.Arms {
			if len(a.Trials) != s.Rounds || a.Sources[0].Connections != 40*s.Rounds {
				t.Errorf("arm %s: %d trials, connections from %v", a.Name, len(a.Trials), a.Sources)
			}
		}
	})
	t.Run("is no longer than it has to be", func(t *testing.T) {
		f := newFakeLab(t, 2)
		s := ephemeralScenario(1, "masquerade")
		s.Load.Requests = 600
		r, _, err := f.run(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if w, first := r.WarmUp.Requests, r.Arms[0].Trials[0].Requests; w != 2*500 || first != 2*600 {
			t.Errorf("%d requests in the warm-up, %d in the first trial", w, first)
		}
	})
	t.Run("that fails ends the run", func(t *testing.T) {
		f := newFakeLab(t, 2)
		f.deaf = func(trial int) bool { return trial == 1 }
		r, _, err := f.run(t.Context(), ephemeralScenario(2, "a"))
		if err == nil || !strings.HasPrefix(err.Error(), "warm-up: none of 40 requests succeeded") || r.WarmUp != nil || countTrials(r) != 0 {
			t.Errorf("error %v, warm-up %+v", err, r.WarmUp)
		}
		checkRestored(t, f)
	})
}

// A run draws a seed, unless its scenario sets one, and the hash does not depend on it.
func TestRunSeed(t *testing.T) {
	t.Parallel()
	s := ephemeralScenario(1, "a")
	if r := newRecord(s, RunOptions{}); r.Scenario.Seed != 1 {
		t.Errorf("seed %d, want the scenario's", r.Scenario.Seed)
	}
	s.Seed = nil
	one, other := newRecord(s, RunOptions{}), newRecord(s, RunOptions{})
	for range 3 { // two of them may draw the same
		if one.Scenario.Seed != other.Scenario.Seed {
			break
		}
		other = newRecord(s, RunOptions{})
	}
	if one.Scenario.Seed == other.Scenario.Seed || one.Scenario.Hash != other.Scenario.Hash || s.Seed != nil {
		t.Errorf("seeds %d and %d, hashes %s and %s", one.Scenario.Seed, other.Scenario.Seed, one.Scenario.Hash, other.Scenario.Hash)
	}
}
