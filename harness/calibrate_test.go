package harness

import (
	"testing"

	"snatlab/harness/result"
)

// calibrated is a run of a calibration: the failures of the baseline, of the
// baseline again, and of an arm that mitigates, in each trial.
func calibrated(rounds, baseline, twin, arm int) *result.Result {
	r := &result.Result{Scenario: result.Scenario{Rounds: rounds}}
	for i, failed := range []int{baseline, twin, arm} {
		a := result.Arm{Name: []string{"masquerade", again, "random-fully"}[i]}
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

func TestCalibrationCount(t *testing.T) {
	for _, tc := range []struct {
		claim                      string
		in                         *result.Result
		inconclusive               int
		decided, undecided, wrong  int // of the baseline against itself
		decidedArm, wrongArm, lost int // of the arm; lost: undecided
	}{
		{"right", calibrated(8, 600, 600, 0), 0, 1, 0, 0, 1, 0, 0},
		{"false", calibrated(8, 600, 900, 0), 0, 1, 0, 1, 1, 0, 0},
		{"missed", calibrated(8, 600, 600, 600), 0, 1, 0, 0, 1, 1, 0},
		{"too_few_rounds", calibrated(4, 600, 600, 0), 0, 0, 1, 0, 0, 0, 1},
		{"no_race", calibrated(8, 0, 0, 0), 1, 0, 0, 0, 0, 0, 0},
		{"no_race_in_the_first_half", calibrated(8, 0, 600, 0), 0, 1, 0, 1, 0, 0, 1},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			c := &Calibration{
				Itself: Tally{Arm: "masquerade", Verdicts: map[result.ArmVerdict]int{}},
				Arms:   []Tally{{Arm: "random-fully", Verdicts: map[result.ArmVerdict]int{}}},
			}
			if err := c.count(tc.in); err != nil {
				t.Fatal(err)
			}
			if c.Runs != 1 || c.Inconclusive != tc.inconclusive {
				t.Errorf("%d of %d inconclusive", c.Inconclusive, c.Runs)
			}
			if s := c.Itself; s.Decided() != tc.decided || s.Undecided() != tc.undecided || s.Wrong != tc.wrong {
				t.Errorf("against itself: %+v", s)
			}
			if a := c.Arms[0]; a.Decided() != tc.decidedArm || a.Undecided() != tc.lost || a.Wrong != tc.wrongArm {
				t.Errorf("arm: %+v", a)
			}
		})
	}
}
