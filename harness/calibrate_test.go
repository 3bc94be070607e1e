package harness

import (
	"context"
	"slices"
	"testing"

	"snatlab/harness/lab"
	"snatlab/harness/result"
)

// calibrationRun returns a run of a calibration with the failures, in each trial, of
// the baseline, of the repeated baseline, and of an arm that mitigates.
func calibrationRun(rounds, baseline, twin, arm int) *result.Result {
	r := &result.Result{Scenario: result.ScenarioSummary{Rounds: rounds}}
	for i, failed := range []int{baseline, twin, arm} {
		a := result.Arm{Name: []string{"masquerade", secondBaseline, "random-fully"}[i]}
		for round := range rounds {
			n := failed
			if n > 0 {
				n += round * (1 + i) // equal trials could not be distinguished
			}
			a.Trials = append(a.Trials, result.Trial{Round: round + 1, Requests: 6000, Failed: n, Causes: map[string]int{result.SNATRace: n}})
		}
		r.Arms = append(r.Arms, a)
	}
	return r
}

func TestCountVerdicts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		claim                      string
		in                         *result.Result
		inconclusive               int
		decided, undecided, wrong  int // of the baseline against itself
		decidedArm, wrongArm, lost int // of the arm; lost: undecided
	}{
		{"right", calibrationRun(8, 600, 600, 0), 0, 1, 0, 0, 1, 0, 0},
		{"false", calibrationRun(8, 600, 900, 0), 0, 1, 0, 1, 1, 0, 0},
		{"missed", calibrationRun(8, 600, 600, 600), 0, 1, 0, 0, 1, 1, 0},
		{"too_few_rounds", calibrationRun(4, 600, 600, 0), 0, 0, 1, 0, 0, 0, 1},
		{"no_race", calibrationRun(8, 0, 0, 0), 1, 0, 0, 0, 0, 0, 0},
		{"no_race_in_the_first_half", calibrationRun(8, 0, 600, 0), 0, 1, 0, 1, 0, 0, 1},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			c := &result.Calibration{Itself: newTally("masquerade"), Arms: []result.Tally{newTally("random-fully")}}
			if err := countVerdicts(c, tc.in); err != nil {
				t.Fatal(err)
			}
			if c.Runs != 1 || c.Inconclusive != tc.inconclusive {
				t.Errorf("%d of %d inconclusive", c.Inconclusive, c.Runs)
			}
			if s := c.Itself; s.CountDecided() != tc.decided || s.CountUndecided() != tc.undecided || s.Wrong != tc.wrong {
				t.Errorf("against itself: %+v", s)
			}
			if a := c.Arms[0]; a.CountDecided() != tc.decidedArm || a.CountUndecided() != tc.lost || a.Wrong != tc.wrongArm {
				t.Errorf("arm: %+v", a)
			}
		})
	}
}

func TestJudgeCalibration(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		claim                   string
		right, undecided, wrong int
		want                    result.Verdict
	}{
		{"right", 100, 0, 0, result.Pass},
		{"few_wrong", 98, 0, 2, result.Pass},
		{"many_wrong", 80, 0, 20, result.Fail},
		{"half_undecided", 50, 50, 0, result.Pass},
		{"most_undecided", 49, 51, 0, result.Inconclusive},
		{"undecided_do_not_dilute", 46, 50, 4, result.Fail},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			c := &result.Calibration{Runs: 100, Itself: newTally("a")}
			for v, n := range map[result.ArmVerdict]int{result.NoDifference: tc.right, result.Undecided: tc.undecided, result.Worse: tc.wrong} {
				for range n {
					countVerdict(&c.Itself, v, result.NoDifference)
				}
			}
			if got := judgeCalibration(c); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

// Each run of a calibration has an ID, a seed and a lab of its own.
func TestCalibrate(t *testing.T) {
	t.Parallel()
	s := ephemeralScenario(2, "masquerade", "random-fully")
	var ids []string
	var progress []int
	open := func(_ context.Context, id string) (lab.Lab, error) {
		ids = append(ids, id)
		return newFakeLab(t, 2), nil
	}
	done := func(c *result.Calibration) { progress = append(progress, c.Runs) }
	c, err := Calibrate(t.Context(), s, 2, open, done, RunOptions{ID: "c", Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(ids, []string{"c-1", "c-2"}) || !slices.Equal(progress, []int{1, 2}) {
		t.Errorf("IDs %v, progress %v", ids, progress)
	}
	if c.Version != "v1" || c.Runs != 2 || len(c.Arms) != 1 || c.Arms[0].Arm != "random-fully" || c.Verdict != result.Inconclusive {
		t.Errorf("got %+v", c)
	}
}
