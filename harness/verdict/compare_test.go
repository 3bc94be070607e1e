package verdict

import (
	"math"
	"math/rand/v2"
	"testing"

	"snatlab/harness/result"
)

// Whatever the trials are: a verdict rests on its interval, an undecided arm says what is
// missing, and no arm takes anything away from a baseline that lost nothing.
func TestDecideComparison(t *testing.T) {
	t.Parallel()
	draw := rand.New(rand.NewPCG(7, 0))
	seen := map[result.ArmVerdict]int{}
	for range 3000 {
		controlled := draw.IntN(2) == 0
		arms := []result.Arm{}
		for range 2 + draw.IntN(3) {
			a := armOf("x", drawFailures(draw, draw.IntN(14))...)
			if controlled {
				a = withControl(a, drawFailures(draw, len(a.Trials))...)
			}
			arms = append(arms, a)
		}
		for i, c := range compareAll(arms, nil) {
			seen[c.Verdict]++
			checkComparison(t, c, arms[i+1], arms[0])
		}
	}
	for _, v := range []result.ArmVerdict{result.Mitigated, result.Reduced, result.Equal, result.Worse, result.Undecided} {
		if seen[v] == 0 {
			t.Errorf("no comparison was %s", v)
		}
	}
}

func checkComparison(t *testing.T, c result.Comparison, arm, baseline result.Arm) {
	t.Helper()
	fail := func(claim string) {
		t.Fatalf("%s: %s, method %s, %+v, of %v", claim, c.Verdict, c.Method, c.Remaining, listFailures([]result.Arm{arm, baseline}))
	}
	switch r := c.Remaining; {
	case c.Verdict == result.Undecided && c.Why == "":
		fail("undecided without a reason")
	case r == nil && c.Verdict != result.Undecided:
		fail("a verdict without a trial")
	case c.Verdict == result.Mitigated && (r.ControlFailed == 0 || *r.DecisiveHigh > result.MitigatedUpTo*1.001):
		fail("more may remain")
	case c.Verdict == result.Reduced && (*r.DecisiveHigh >= result.ReducedBelow || *c.PHolm >= result.Alpha):
		fail("it may be chance")
	case c.Verdict == result.Worse && (r.DecisiveLow <= result.WorseAbove || *c.PHolm >= result.Alpha):
		fail("it may be chance")
	case c.Why == result.WhyMoreHits && c.Least != 0 && c.Least <= r.ControlFailed:
		fail("it had the hits that it needs")
	}
}

// A trial in which neither the arm nor its control lost anything changes nothing. One in
// which only the arm did is evidence.
func TestTrialWithoutHits(t *testing.T) {
	t.Parallel()
	arms := func(arm, control []int) []result.Arm {
		return []result.Arm{withControl(armOf("masquerade", 500, 500), 500, 500), withControl(armOf("random", arm...), control...)}
	}
	judge := func(arm, control []int) result.Comparison { return compareAll(arms(arm, control), nil)[0] }
	before, empty := judge([]int{40, 60}, []int{400, 600}), judge([]int{40, 0, 60}, []int{400, 0, 600})
	if b, e := before.Remaining, empty.Remaining; *b.Estimate != *e.Estimate || b.DecisiveLow != e.DecisiveLow || *b.DecisiveHigh != *e.DecisiveHigh || *before.P != *empty.P {
		t.Errorf("with an empty trial: %+v, without: %+v", e, b)
	}
	if lost := judge([]int{40, 30, 60}, []int{400, 0, 600}); lost.Remaining.Failed != 130 || *lost.Remaining.Estimate <= *before.Remaining.Estimate {
		t.Errorf("the losses of a trial without a hit of the control are left out: %+v", lost.Remaining)
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
			if t.Control != nil {
				failed = append(failed, -t.Control.Failed)
			}
		}
		all = append(all, failed)
	}
	return all
}

// A sysctl that makes the arm slower makes its control slower, too. The change of latency
// is that from the baseline all the same.
func TestLatencyUnderSysctl(t *testing.T) {
	t.Parallel()
	baseline := withLatency(100, controlled(armOf("masquerade", lossyTrials...)))
	tuned := withLatency(150, controlled(armOf("tuned", lossyTrials...)))
	for i := range tuned.Trials {
		tuned.Trials[i].Control.Latency = tuned.Trials[i].Latency
	}
	if got := *compareLatency(result.P50, tuned, baseline).Estimate; got != 0 { // each as slow as its control
		t.Errorf("without a sysctl: %v", got)
	}
	if got := *compareLatency(result.P50, withSysctl(tuned), baseline).Estimate; math.Abs(got-0.5) > 1e-9 {
		t.Errorf("with a sysctl: %v", got)
	}
}
