package verdict

import (
	"cmp"
	"math"

	"snatlab/harness/result"
	"snatlab/harness/stats"
)

// missingFor returns why a comparison, one of so many, has no verdict, or a weaker one
// than its estimate suggests, and what would be enough.
func missingFor(c *result.Comparison, comparisons int) (why result.Why, least int) {
	r := c.Remaining
	switch {
	case c.Verdict == result.Reduced && isAtMost(*r.Estimate, result.MitigatedUpTo):
		return missingForBound(r, result.MitigatedUpTo)
	case c.Verdict != result.Undecided:
		return "", 0
	}
	switch {
	case c.Method == result.ByTrials && !canDiffer(r.Trials, comparisons):
		return result.WhyFewTrials, MinRounds(comparisons)
	case r.Failed+r.ControlFailed == 0:
		return result.WhyNoRace, leastToDiffer(chanceOf(r), comparisons)
	case !hasHits(r, comparisons):
		return result.WhyFewHits, leastToDiffer(chanceOf(r), comparisons)
	case isDecidedBy(r.Failed, r.ControlFailed, r, comparisons):
		return result.WhyScatter, 0
	default:
		return result.WhyMoreHits, hitsUntil(r, func(failed, hits int) bool {
			return isDecidedBy(failed, hits, r, comparisons)
		})
	}
}

// missingForBound returns what keeps the interval of a share from lying on one side of a
// bound.
func missingForBound(r *result.Remaining, bound float64) (why result.Why, least int) {
	decides := func(failed, hits int) bool {
		return sideOf(failed, hits, r, bound) != 0
	}
	if decides(r.Failed, r.ControlFailed) {
		return result.WhyScatter, 0
	}
	return result.WhyMoreHits, hitsUntil(r, decides)
}

// hasHits reports whether so many lost requests could show a difference, if all were on
// one side.
func hasHits(r *result.Remaining, comparisons int) bool {
	n, chance := r.Failed+r.ControlFailed, chanceOf(r)
	return min(stats.BinomialTest(0, n, chance), stats.BinomialTest(n, n, chance))*float64(comparisons) < result.Alpha
}

// leastToDiffer returns the least number of lost requests, all of them the control's, that
// show a difference.
func leastToDiffer(chance float64, comparisons int) int {
	n := 1
	for stats.BinomialTest(0, n, chance)*float64(comparisons) >= result.Alpha {
		n++
	}
	return n
}

// isDecidedBy reports whether so many lost requests of the arm and of the control, out of
// as many as in r, come to a verdict if the trials do not scatter.
func isDecidedBy(failed, hits int, r *result.Remaining, comparisons int) bool {
	differs := stats.BinomialTest(failed, failed+hits, chanceOf(r))*float64(comparisons) < result.Alpha
	reduced, worse := sideOf(failed, hits, r, result.ReducedBelow), sideOf(failed, hits, r, result.WorseAbove)
	return differs && (reduced < 0 || worse > 0) || reduced > 0 && worse < 0
}

// sideOf returns on which side of a bound the decisive interval of such counts lies: -1
// below, +1 above, 0 if it holds the bound. The test of a share and its interval agree, and
// the test is faster.
func sideOf(failed, hits int, r *result.Remaining, bound float64) int {
	odds := bound * float64(r.Requests) / float64(r.ControlRequests)
	share, n := odds/(1+odds), failed+hits
	if stats.BinomialTest(failed, n, share) > 1-result.DecisiveConfidence {
		return 0
	}
	return cmp.Compare(float64(failed), float64(n)*share)
}

// mostHits bounds the search for the hits that a verdict takes. No run has more.
const mostHits = 1_000_000

// hitsUntil returns about how many lost requests of the control it takes to decide
// something, if the arm goes on losing at the same ratio. It returns 0 where that
// ratio is so close to a bound that no run decides it.
func hitsUntil(r *result.Remaining, decides func(failed, hits int) bool) int {
	if r.ControlFailed == 0 {
		return 0
	}
	each := float64(r.Failed) / float64(r.ControlFailed)
	enough := func(hits int) bool { return decides(int(math.Round(each*float64(hits))), hits) }
	low, high := r.ControlFailed, 2*r.ControlFailed
	for !enough(high) {
		if high >= mostHits || each*float64(high) >= mostHits {
			return 0
		}
		low, high = high, 2*high
	}
	for high-low > 1 {
		if hits := (low + high) / 2; enough(hits) {
			high = hits
		} else {
			low = hits
		}
	}
	return high
}
