// Package verdict says what the trials of a run show: how often each arm
// fails, how that compares with the baseline, and which expectations held.
//
// It is a plain comparison of medians. An arm is better or worse than the
// baseline only when all of its trials lie on one side of all of the
// baseline's; any overlap is no difference. The trial is the unit of evidence,
// not the request: failures cluster, so 48,000 requests in 8 trials are 8
// observations.
//
// It is no test of significance. It gives no interval, no p, and makes no
// allowance for comparing many arms. Where an arm makes no difference, k
// trials of each still lie apart in one given direction in one run out of 6
// for k = 2, out of 70 for k = 4, out of 12,870 for k = 8: hence the warning
// about few rounds.
package verdict

import "snatlab/harness/result"

// Floor is the number of race hits, summed over its trials, from which on the
// race counts as having occurred in an arm.
const Floor = 20

// mitigatedFrom is the least reduction that is called mitigated.
const mitigatedFrom = 0.99

// Judge fills, from the trials and the claims in r, each arm's FailureRate,
// the Comparisons, Held and Found of each expectation, Verdict and Summary,
// and adds to Warnings what it finds. r may be partial. Judging again changes
// only what new trials change.
func Judge(r *result.Result) {
	for i := range r.Arms {
		r.Arms[i].FailureRate = failureRate(r.Arms[i].Trials)
	}
	r.Comparisons = compareAll(r.Arms)
	for i := range r.Expected {
		e := &r.Expected[i]
		e.Held, e.Found = check(r, *e)
	}
	r.Verdict = decide(r)
	r.Summary = summarise(r)
	warn(r)
}

// compareAll sets every arm but the first against the first.
func compareAll(arms []result.Arm) []result.Compare {
	comparisons := []result.Compare{}
	for i := 1; i < len(arms); i++ {
		comparisons = append(comparisons, compare(arms[i], arms[0]))
	}
	return comparisons
}

func compare(arm, baseline result.Arm) result.Compare {
	c := result.Compare{Arm: arm.Name, Baseline: baseline.Name, Verdict: result.ArmInconclusive}
	if len(arm.Trials) > 0 && baseline.FailureRate.Median > 0 {
		c.Reduction.Estimate = new(1 - arm.FailureRate.Median/baseline.FailureRate.Median)
	}
	if len(arm.Trials) > 0 && occurred(baseline) {
		c.Verdict = contrast(arm.FailureRate, baseline.FailureRate, c.Reduction.Estimate)
	}
	return c
}

// contrast is the verdict of an arm against a baseline in which the race occurred.
func contrast(arm, baseline result.Spread, reduction *float64) result.ArmVerdict {
	switch {
	case arm.Low > baseline.High:
		return result.Worse
	case arm.High >= baseline.Low:
		return result.NoDifference
	case *reduction >= mitigatedFrom: // not nil: a rate below the baseline's lowest makes that, and its median, more than 0
		return result.Mitigated
	default:
		return result.Reduced
	}
}

func decide(r *result.Result) result.Verdict {
	if r.Incomplete != "" || !raceShown(r) {
		return result.Inconclusive
	}
	verdict := result.Pass
	for _, e := range r.Expected {
		switch {
		case e.Held == nil:
			verdict = result.Inconclusive
		case !*e.Held:
			return result.Fail
		}
	}
	return verdict
}

// raceShown reports whether the race occurred in the baseline, without which
// nothing can be said about any other arm.
func raceShown(r *result.Result) bool {
	return len(r.Arms) > 0 && occurred(r.Arms[0])
}

func occurred(arm result.Arm) bool {
	return count(arm).race >= Floor
}
