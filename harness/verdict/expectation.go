package verdict

import (
	"slices"

	"snatlab/harness/result"
)

// An claimOutcome is the outcome of an expectation.
type claimOutcome struct {
	held  *bool      // nil: it cannot be decided
	why   result.Why // the reason, where it cannot; or what was found without an interval
	least int        // of WhyFewTrials
}

func decidedAs(held bool) claimOutcome         { return claimOutcome{held: &held} }
func undecidedFor(why result.Why) claimOutcome { return claimOutcome{why: why} }
func (a claimOutcome) recordIn(e *result.Expectation) {
	e.Held, e.Why, e.Least = a.held, a.why, a.least
}

// checkExpectation returns whether an expectation held. A bound is held by the
// interval, not by the estimate: a change that may just be chance does not hold it.
func checkExpectation(r *result.Result, e result.Expectation) claimOutcome {
	i := slices.IndexFunc(r.Arms, func(a result.Arm) bool { return a.Name == e.Arm })
	switch {
	case i < 0 || len(r.Arms[i].FailureRates()) == 0:
		return undecidedFor(result.WhyNoTrial)
	case e.Reduction != nil:
		return checkReduction(r, i, *e.Reduction)
	case e.P50 != nil:
		return checkLatency(r, i, 0, *e.P50)
	case e.P99 != nil:
		return checkLatency(r, i, 1, *e.P99)
	case e.Unexplained != nil:
		n := r.Arms[i].SumTotals()
		return decidedAs(float64(n.Unexplained)/float64(n.Requests) <= *e.Unexplained)
	case e.Race == result.Absent:
		return checkAbsent(r, i)
	default:
		return checkReproduced(r, i)
	}
}

// checkReproduced returns whether the race occurred in an arm. A baseline that was
// not hit does not refute the claim: it may still be hit.
func checkReproduced(r *result.Result, arm int) claimOutcome {
	switch n := r.Arms[arm].SumTotals(); {
	case n.Race >= result.Floor:
		return decidedAs(true)
	case arm > 0 && r.BaselineShowsRace():
		return decidedAs(false)
	case n.Race > 0:
		return undecidedFor(result.WhyFewHits)
	default:
		return undecidedFor(result.WhyNoRace)
	}
}

// checkAbsent compares the arm with the one that loses most to the race. Without
// the race in any arm, nothing shows that it could be hit in this run.
func checkAbsent(r *result.Result, arm int) claimOutcome {
	n, most := r.Arms[arm].SumTotals(), result.Totals{}
	for _, a := range r.Arms {
		if other := a.SumTotals(); a.ShowsRace() && other.RaceRate() > most.RaceRate() {
			most = other
		}
	}
	switch {
	case n.Race >= result.Floor:
		return decidedAs(false)
	case most.Race == 0:
		return undecidedFor(result.WhyNoRace)
	default:
		return decidedAs(float64(n.Race) <= (1-mitigatedFrom)*most.RaceRate()*float64(n.Requests))
	}
}

// checkReduction compares the lower end of the interval with the bound. An arm that
// is worse reduces nothing, whatever the baseline shows.
func checkReduction(r *result.Result, arm int, bound float64) claimOutcome {
	if arm == 0 {
		return undecidedFor(result.WhyBaseline)
	}
	c := r.Comparisons[arm-1].Reduction
	switch {
	case r.Comparisons[arm-1].Verdict == result.Worse && bound > 0 && (c.Low == nil || !r.BaselineShowsRace()):
		no := decidedAs(false)
		no.why = result.WhyWorse
		return no
	case c.Estimate == nil:
		return undecidedFor(result.WhyNoFailures)
	case !r.BaselineShowsRace() && r.Arms[0].SumTotals().Race > 0:
		return undecidedFor(result.WhyFewHits)
	case !r.BaselineShowsRace():
		return undecidedFor(result.WhyNoRace)
	case c.Low == nil:
		return withoutInterval(r, arm)
	default:
		return decidedAs(*c.Low >= bound)
	}
}

// checkLatency compares the upper end of the interval with the bound.
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
	default:
		return decidedAs(*c.High <= bound)
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
