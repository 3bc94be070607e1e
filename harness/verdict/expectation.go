package verdict

import (
	"cmp"
	"slices"

	"snatlab/harness/result"
)

// A claimOutcome is the outcome of an expectation.
type claimOutcome struct {
	held  *bool      // nil: it cannot be decided
	why   result.Why // the reason, where it cannot
	least int        // what would be enough

	race    *result.Remaining // of claims about the race
	against string            // the arm that it rests on, if it is not the control
}

func decidedAs(held bool) claimOutcome         { return claimOutcome{held: &held} }
func undecidedFor(why result.Why) claimOutcome { return claimOutcome{why: why} }
func (a claimOutcome) recordIn(e *result.Expectation) {
	e.Held, e.Why, e.Least, e.RaceRemaining, e.RaceAgainst = a.held, a.why, a.least, a.race, a.against
}

// checkExpectation returns whether an expectation held. A bound is held if the whole
// interval lies on its right side, and refuted if the whole interval lies on the wrong
// one. The failures without an explanation, and those of a cause other than the race, are
// counted, and have no interval.
func checkExpectation(r *result.Result, e result.Expectation) claimOutcome {
	i := slices.IndexFunc(r.Arms, func(a result.Arm) bool { return a.Name == e.Arm })
	switch {
	case i < 0 || len(sentTrials(r.Arms[i])) == 0:
		return undecidedFor(result.WhyNoTrial)
	case e.Reduction != nil:
		return checkReduction(r, i, *e.Reduction)
	case e.P50 != nil:
		return checkLatency(r, i, 0, *e.P50)
	case e.P99 != nil:
		return checkLatency(r, i, 1, *e.P99)
	case e.Unexplained != nil:
		n := r.Arms[i].SumTotals()
		return decidedAs(isAtMost(float64(n.Unexplained), *e.Unexplained*float64(n.Requests)))
	}
	if cause, share := e.CauseClaim(); share != nil {
		n := r.Arms[i].SumTotals().Requests
		return decidedAs(isAtMost(*share*float64(n), float64(r.Arms[i].SumCause(cause))))
	}
	return checkRace(r, i, e.Race)
}

// checkReduction compares the share that remains with the rest of the bound.
func checkReduction(r *result.Result, arm int, bound float64) claimOutcome {
	if arm == 0 {
		return undecidedFor(result.WhyBaseline)
	}
	c := r.Comparisons[arm-1]
	switch {
	case c.Verdict == result.Undecided && (c.Why == result.WhyNoTrial || c.Why == result.WhyInstrument || c.Why == result.WhyNoRace):
		return undecidedFor(c.Why)
	}
	o := outcomeOfBound(c.Remaining, 1-bound)
	if o.held == nil || !*o.held {
		return o
	}
	switch raced := shareOf(c.Method, r.Arms[arm], r.Arms[0], races); {
	case !hasHits(raced, len(r.Comparisons)): // what was lost less was not lost to the race
		return claimOutcome{why: result.WhyNoRace, least: leastToDiffer(chanceOf(raced), len(r.Comparisons))}
	case c.Method == result.ByTrials && *c.PHolm >= result.Alpha: // few trials decide nothing, whatever they lost
		return claimOutcome{why: cmp.Or(c.Why, result.WhyBoundInside), least: c.Least}
	}
	return o
}

// checkLatency compares the interval with the bound.
func checkLatency(r *result.Result, arm, percentile int, bound float64) claimOutcome {
	if arm == 0 {
		return undecidedFor(result.WhyBaseline)
	}
	c := r.Comparisons[arm-1].Latency[percentile]
	switch {
	case c.Estimate == nil:
		return undecidedFor(result.WhyNoLatency)
	case c.High == nil:
		return withoutInterval(r, arm)
	case *c.High <= bound:
		return decidedAs(true)
	case *c.Low > bound:
		return decidedAs(false)
	default:
		return undecidedFor(result.WhyBoundInside)
	}
}

// withoutInterval returns why a change has no interval: there are too few trials,
// or the baseline's figure may be 0, of which nothing is a share.
func withoutInterval(r *result.Result, arm int) claimOutcome {
	if least := MinRoundsForInterval(); min(len(r.Arms[arm].Trials), len(r.Arms[0].Trials)) < least {
		return claimOutcome{why: result.WhyFewTrials, least: least}
	}
	return undecidedFor(result.WhyOpenInterval)
}
