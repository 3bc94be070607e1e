package verdict

import (
	"math/rand/v2"
	"testing"

	"snatlab/harness/result"
)

// Whatever the trials are, the verdict is no-difference only where an arm without a
// failure would have been found different from the baseline, and no arm reduces the
// failures of a baseline that lost nothing.
func TestDecideComparison(t *testing.T) {
	t.Parallel()
	draw := rand.New(rand.NewPCG(7, 0))
	seen := map[result.ArmVerdict]int{}
	for range 3000 {
		arms := []result.Arm{}
		for range 2 + draw.IntN(3) {
			arms = append(arms, armOf("x", drawFailures(draw, draw.IntN(9))...))
		}
		for i, c := range compareAll(arms) {
			seen[c.Verdict]++
			if !arms[0].ShowsRace() && c.Verdict.IsDecided() && c.Verdict != result.Worse {
				t.Fatalf("%s without a race in the baseline: %v", c.Verdict, listFailures(arms))
			}
			if c.Verdict != result.NoDifference {
				continue
			}
			arms[i+1] = armOf("x", repeatTrial(len(arms[i+1].Trials), 0)...)
			if v := compareAll(arms)[i].Verdict; v != result.Mitigated && v != result.Reduced {
				t.Fatalf("no-difference, but an arm without a failure is %s: %v", v, listFailures(arms))
			}
		}
	}
	for _, v := range []result.ArmVerdict{result.Mitigated, result.Reduced, result.NoDifference, result.Worse, result.Undecided, result.ArmInconclusive} {
		if seen[v] == 0 {
			t.Errorf("no comparison was %s", v)
		}
	}
}

// drawFailures returns random failures of n trials: none, few or many in each.
func drawFailures(draw *rand.Rand, n int) (failed []int) {
	least := []int{0, 0, 100, 900}[draw.IntN(4)]
	for range n {
		failed = append(failed, least+draw.IntN(5+least/2)*draw.IntN(2))
	}
	return failed
}

func listFailures(arms []result.Arm) (all [][]int) {
	for _, a := range arms {
		var failed []int
		for _, t := range a.Trials {
			failed = append(failed, t.Failed)
		}
		all = append(all, failed)
	}
	return all
}
