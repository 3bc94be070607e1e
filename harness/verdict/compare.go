package verdict

import (
	"cmp"

	"snatlab/harness/result"
	"snatlab/harness/stats"
)

// compareAll compares every arm but the first with the first.
func compareAll(arms []result.Arm) []result.Comparison {
	comparisons := []result.Comparison{}
	for i := 1; i < len(arms); i++ {
		comparisons = append(comparisons, compareWithBaseline(arms[i], arms[0]))
	}
	adjustP(comparisons)
	n := countTested(comparisons)
	for i := range comparisons {
		decideComparison(&comparisons[i], arms[i+1], arms[0], n)
	}
	return comparisons
}

// compareWithBaseline returns a comparison without PHolm and Verdict, which depend on
// the other comparisons.
func compareWithBaseline(arm, baseline result.Arm) result.Comparison {
	c := result.Comparison{
		Arm: arm.Name, Baseline: baseline.Name, P: stats.MannWhitney(arm.FailureRates(), baseline.FailureRates()),
		Latency: []result.LatencyChange{
			compareLatency(result.P50, listP50(arm), listP50(baseline)),
			compareLatency(result.P99, listP99(arm), listP99(baseline)),
		},
	}
	change := stats.RelativeChange(baseline.FailureRates(), arm.FailureRates(), result.Confidence)
	c.Reduction = result.Reduction{Estimate: reductionOf(change.Estimate), Low: reductionOf(change.High), High: reductionOf(change.Low)}
	return c
}

func compareLatency(percentile string, arm, baseline []float64) result.LatencyChange {
	c := result.LatencyChange{Percentile: percentile, P: stats.MannWhitney(arm, baseline)}
	change := stats.RelativeChange(baseline, arm, result.Confidence)
	c.Estimate, c.Low, c.High = change.Estimate, change.Low, change.High
	return c
}

// countTested returns the number of comparisons that p is adjusted for.
func countTested(comparisons []result.Comparison) (n int) {
	for _, c := range comparisons {
		if c.PHolm != nil {
			n++
		}
	}
	return n
}

// reductionOf returns a change as a reduction.
func reductionOf(change *float64) *float64 {
	if change == nil {
		return nil
	}
	return new(0 - *change) // and not -0
}

// adjustP fills in every PHolm. The failure rates are one family, and all latencies
// another.
func adjustP(comparisons []result.Comparison) {
	var rates, latencies []*float64
	for _, c := range comparisons {
		rates = append(rates, c.P)
		for _, l := range c.Latency {
			latencies = append(latencies, l.P)
		}
	}
	rates, latencies = stats.AdjustHolm(rates), stats.AdjustHolm(latencies)
	for i := range comparisons {
		c := &comparisons[i]
		c.PHolm = rates[i]
		for j := range c.Latency {
			c.Latency[j].PHolm, latencies = latencies[0], latencies[1:]
		}
	}
}

// decideComparison writes the verdict of a comparison. Without the race in the
// baseline no arm can take anything away from it. Its own failures can still be more
// than chance explains.
func decideComparison(c *result.Comparison, arm, baseline result.Arm, comparisons int) {
	switch {
	case c.PHolm != nil && *c.PHolm < result.Alpha:
		decideDifference(c, arm, baseline)
	case !baseline.ShowsRace() && !arm.ShowsRace():
		c.Verdict = result.ArmInconclusive
	case !canDiffer(countCommonRounds(arm, baseline), comparisons):
		c.Verdict, c.Why = result.Undecided, result.WhyNoTrial
		if c.PHolm != nil {
			c.Why, c.Least = result.WhyFewTrials, MinRounds(1+comparisons)
		}
	case !baseline.ShowsRace():
		c.Verdict = result.ArmInconclusive
	case !canShowReduction(arm, baseline, comparisons):
		c.Verdict, c.Why = result.Undecided, result.WhyFewFailures
	default:
		c.Verdict = result.NoDifference
	}
}

// decideDifference writes the verdict of an arm that the test finds different from
// the baseline.
func decideDifference(c *result.Comparison, arm, baseline result.Arm) {
	switch directionOf(arm.FailureRates(), baseline.FailureRates()) {
	case +1:
		c.Verdict = result.Worse
	case -1:
		e := c.Reduction.Estimate
		switch {
		case !baseline.ShowsRace():
			c.Verdict = result.ArmInconclusive
		case e != nil && *e >= mitigatedFrom:
			c.Verdict = result.Mitigated
		default:
			c.Verdict = result.Reduced
		}
	default:
		c.Verdict, c.Why = result.Undecided, result.WhyRanksAndMedians
	}
}

// directionOf returns on which side of the baseline an arm lies: -1 below, +1 above.
// It returns 0 where the ranks, which are tested, contradict the medians, which are
// reported.
func directionOf(arm, baseline []float64) int {
	pairs := 0
	for _, a := range arm {
		for _, b := range baseline {
			pairs += cmp.Compare(a, b)
		}
	}
	byRank, byMedian := cmp.Compare(pairs, 0), cmp.Compare(stats.Median(arm), stats.Median(baseline))
	if byRank*byMedian < 0 {
		return 0
	}
	return byRank
}

// CompareRates compares the failure rates of each arm with those that it had before.
// A value is of a trial or of a run. The arms are one family for Holm's method.
func CompareRates(before, after [][]float64) []result.RateChange {
	changes := make([]result.RateChange, len(before))
	ps := make([]*float64, len(before))
	for i := range changes {
		c := &changes[i]
		c.Old, c.New = summariseSpread(before[i]), summariseSpread(after[i])
		change := stats.RelativeChange(before[i], after[i], result.Confidence)
		c.Estimate, c.Low, c.High = change.Estimate, change.Low, change.High
		c.P = stats.RankSum(before[i], after[i])
		ps[i] = c.P
	}
	for i, p := range stats.AdjustHolm(ps) {
		changes[i].PHolm = p
	}
	return changes
}
