package verdict

import (
	"cmp"

	"snatlab/harness/result"
	"snatlab/harness/stats"
)

// compareAll sets every arm but the first against the first.
func compareAll(arms []result.Arm) []result.Compare {
	comparisons := []result.Compare{}
	for i := 1; i < len(arms); i++ {
		comparisons = append(comparisons, compare(arms[i], arms[0]))
	}
	adjust(comparisons)
	n := countTested(comparisons)
	for i := range comparisons {
		decideComparison(&comparisons[i], arms[i+1], arms[0], n)
	}
	return comparisons
}

// compare leaves out what depends on the other comparisons.
func compare(arm, baseline result.Arm) result.Compare {
	c := result.Compare{
		Arm: arm.Name, Baseline: baseline.Name, P: stats.MannWhitney(arm.FailureRates(), baseline.FailureRates()),
		Latency: []result.LatencyChange{
			latencyChange(result.P50, p50s(arm), p50s(baseline)),
			latencyChange(result.P99, p99s(arm), p99s(baseline)),
		},
	}
	change := stats.RelativeChange(baseline.FailureRates(), arm.FailureRates(), result.Confidence)
	c.Reduction = result.Reduction{Estimate: less(change.Estimate), Low: less(change.High), High: less(change.Low)}
	return c
}

func latencyChange(percentile string, arm, baseline []float64) result.LatencyChange {
	c := result.LatencyChange{Percentile: percentile, P: stats.MannWhitney(arm, baseline)}
	change := stats.RelativeChange(baseline, arm, result.Confidence)
	c.Estimate, c.Low, c.High = change.Estimate, change.Low, change.High
	return c
}

// countTested returns the number of comparisons that p is adjusted for.
func countTested(comparisons []result.Compare) (n int) {
	for _, c := range comparisons {
		if c.PHolm != nil {
			n++
		}
	}
	return n
}

// less turns a change into a reduction.
func less(change *float64) *float64 {
	if change == nil {
		return nil
	}
	return new(0 - *change) // and not -0
}

// adjust fills in every PHolm: the failure rates are one family, and all
// latencies another.
func adjust(comparisons []result.Compare) {
	var rates, latencies []*float64
	for _, c := range comparisons {
		rates = append(rates, c.P)
		for _, l := range c.Latency {
			latencies = append(latencies, l.P)
		}
	}
	rates, latencies = stats.Holm(rates), stats.Holm(latencies)
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
func decideComparison(c *result.Compare, arm, baseline result.Arm, comparisons int) {
	switch {
	case c.PHolm != nil && *c.PHolm < result.Alpha:
		decideDifference(c, arm, baseline)
	case !baseline.ShowsRace() && !arm.ShowsRace():
		c.Verdict = result.ArmInconclusive
	case !canDiffer(countPairs(arm, baseline), comparisons):
		c.Verdict, c.Why = result.Undecided, result.WhyNoTrial
		if c.PHolm != nil {
			c.Why, c.Least = result.WhyFewTrials, Rounds(1+comparisons)
		}
	case !baseline.ShowsRace():
		c.Verdict = result.ArmInconclusive
	case !canLose(arm, baseline, comparisons):
		c.Verdict, c.Why = result.Undecided, result.WhyFewFailures
	default:
		c.Verdict = result.NoDifference
	}
}

// decideDifference writes the verdict of an arm that the test finds different from
// the baseline.
func decideDifference(c *result.Compare, arm, baseline result.Arm) {
	switch direction(arm.FailureRates(), baseline.FailureRates()) {
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

// direction says on which side of the baseline an arm lies: -1 below, +1 above.
// It is 0 where the ranks, which the test is about, say one thing and the
// medians, which are what is reported, another.
func direction(arm, baseline []float64) int {
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

// Across compares the failure rates of each arm, a value a trial or a run, with
// those that it had before. The arms are one family for Holm's method.
func Across(before, after [][]float64) []result.RateChange {
	changes := make([]result.RateChange, len(before))
	ps := make([]*float64, len(before))
	for i := range changes {
		c := &changes[i]
		c.Old, c.New = spread(before[i]), spread(after[i])
		change := stats.RelativeChange(before[i], after[i], result.Confidence)
		c.Estimate, c.Low, c.High = change.Estimate, change.Low, change.High
		c.P = stats.RankSum(before[i], after[i])
		ps[i] = c.P
	}
	for i, p := range stats.Holm(ps) {
		changes[i].PHolm = p
	}
	return changes
}
