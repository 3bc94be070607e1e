package verdict

import (
	"slices"

	"snatlab/harness/result"
)

// An answer is what came of an expectation.
type answer struct {
	held  *bool      // nil: it cannot be decided
	why   result.Why // the reason, where it cannot; or what was found without an interval
	least int        // of WhyFewTrials
}

func decided(held bool) answer           { return answer{held: &held} }
func undecided(why result.Why) answer    { return answer{why: why} }
func (a answer) record(e *result.Expect) { e.Held, e.Why, e.Least = a.held, a.why, a.least }

// checkExpectation returns whether an expectation held. A bound is held by the
// interval, not by the estimate: a change that may just be chance does not hold it.
func checkExpectation(r *result.Result, e result.Expect) answer {
	i := slices.IndexFunc(r.Arms, func(a result.Arm) bool { return a.Name == e.Arm })
	switch {
	case i < 0 || len(r.Arms[i].FailureRates()) == 0:
		return undecided(result.WhyNoTrial)
	case e.Reduction != nil:
		return checkReduction(r, i, *e.Reduction)
	case e.P50 != nil:
		return checkLatency(r, i, 0, *e.P50)
	case e.P99 != nil:
		return checkLatency(r, i, 1, *e.P99)
	case e.Unexplained != nil:
		n := r.Arms[i].Totals()
		return decided(float64(n.Unexplained)/float64(n.Requests) <= *e.Unexplained)
	case e.Race == result.Absent:
		return checkAbsent(r, i)
	default:
		return checkReproduced(r, i)
	}
}

// checkReproduced does not refute the claim by a baseline that was not hit: that
// does not show that it cannot be.
func checkReproduced(r *result.Result, arm int) answer {
	switch n := r.Arms[arm].Totals(); {
	case n.Race >= result.Floor:
		return decided(true)
	case arm > 0 && r.BaselineShowsRace():
		return decided(false)
	case n.Race > 0:
		return undecided(result.WhyFewHits)
	default:
		return undecided(result.WhyNoRace)
	}
}

// checkAbsent compares the arm with the one that loses most to the race. Without
// the race in any arm, nothing shows that it could be hit in this run.
func checkAbsent(r *result.Result, arm int) answer {
	n, most := r.Arms[arm].Totals(), result.Totals{}
	for _, a := range r.Arms {
		if other := a.Totals(); a.ShowsRace() && other.RaceRate() > most.RaceRate() {
			most = other
		}
	}
	switch {
	case n.Race >= result.Floor:
		return decided(false)
	case most.Race == 0:
		return undecided(result.WhyNoRace)
	default:
		return decided(float64(n.Race) <= (1-mitigatedFrom)*most.RaceRate()*float64(n.Requests))
	}
}

// checkReduction compares the lower end of the interval with the bound. An arm that
// is worse reduces nothing, whatever the baseline shows.
func checkReduction(r *result.Result, arm int, bound float64) answer {
	if arm == 0 {
		return undecided(result.WhyBaseline)
	}
	c := r.Comparisons[arm-1].Reduction
	switch {
	case r.Comparisons[arm-1].Verdict == result.Worse && bound > 0 && (c.Low == nil || !r.BaselineShowsRace()):
		no := decided(false)
		no.why = result.WhyWorse
		return no
	case c.Estimate == nil:
		return undecided(result.WhyNoFailures)
	case !r.BaselineShowsRace() && r.Arms[0].Totals().Race > 0:
		return undecided(result.WhyFewHits)
	case !r.BaselineShowsRace():
		return undecided(result.WhyNoRace)
	case c.Low == nil:
		return withoutInterval(r, arm)
	default:
		return decided(*c.Low >= bound)
	}
}

// checkLatency compares the upper end of the interval with the bound.
func checkLatency(r *result.Result, arm, percentile int, bound float64) answer {
	if arm == 0 {
		return undecided(result.WhyBaseline)
	}
	c := r.Comparisons[arm-1].Latency[percentile]
	switch {
	case c.Estimate == nil:
		return undecided(result.WhyNoLatency)
	case c.High == nil:
		return withoutInterval(r, arm)
	default:
		return decided(*c.High <= bound)
	}
}

// withoutInterval returns why a change has no interval: there are too few trials,
// or the baseline's figure may be 0, of which nothing is a share.
func withoutInterval(r *result.Result, arm int) answer {
	if least := RoundsForInterval(); min(len(r.Arms[arm].Trials), len(r.Arms[0].Trials)) < least {
		return answer{why: result.WhyFewTrials, least: least}
	}
	return undecided(result.WhyOpenInterval)
}
