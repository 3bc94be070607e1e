package verdict

import (
	"cmp"
	"slices"

	"snatlab/harness/result"
)

// compareAll sets every arm but the first against the first.
func compareAll(arms []result.Arm) []result.Compare {
	comparisons := []result.Compare{}
	for i := 1; i < len(arms); i++ {
		comparisons = append(comparisons, compare(arms[i], arms[0]))
	}
	adjust(comparisons)
	n := tested(comparisons)
	for i := range comparisons {
		comparisons[i].Verdict = contrast(comparisons[i], arms[i+1], arms[0], n)
	}
	return comparisons
}

// compare leaves out what depends on the other comparisons.
func compare(arm, baseline result.Arm) result.Compare {
	c := result.Compare{
		Arm: arm.Name, Baseline: baseline.Name, P: mannWhitney(rates(arm), rates(baseline)),
		Latency: []result.LatencyChange{
			latencyChange("p50", p50s(arm), p50s(baseline)),
			latencyChange("p99", p99s(arm), p99s(baseline)),
		},
	}
	change, low, high := change(rates(arm), rates(baseline))
	c.Reduction = result.Reduction{Estimate: less(change), Low: less(high), High: less(low)}
	return c
}

func latencyChange(percentile string, arm, baseline []float64) result.LatencyChange {
	c := result.LatencyChange{Percentile: percentile, P: mannWhitney(arm, baseline)}
	c.Estimate, c.Low, c.High = change(arm, baseline)
	return c
}

// shared is the confidence of each of two intervals that both hold with at
// least Confidence (Bonferroni).
const shared = 1 - (1-Confidence)/2

// change is by what share of the baseline's median that of an arm differs, with
// its interval: from the least to the most that the intervals of both allow. Nil
// where there is none.
func change(arm, baseline []float64) (estimate, low, high *float64) {
	if len(arm) == 0 || len(baseline) == 0 || median(baseline) == 0 {
		return nil, nil, nil
	}
	share := func(to, from float64) *float64 { return new((to - from) / from) }
	estimate = share(median(arm), median(baseline))
	armLow, armHigh := interval(arm, shared)
	baseLow, baseHigh := interval(baseline, shared)
	if armLow == nil || baseLow == nil || *baseLow == 0 {
		return estimate, nil, nil
	}
	return estimate, share(*armLow, *baseHigh), share(*armHigh, *baseLow)
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
	rates, latencies = holm(rates), holm(latencies)
	for i := range comparisons {
		c := &comparisons[i]
		c.PHolm = rates[i]
		for j := range c.Latency {
			c.Latency[j].PHolm, latencies = latencies[0], latencies[1:]
		}
	}
}

// holm adjusts each p for their number, step-down: the smallest of m by m, the
// next one by m-1, and none to less than the one before it. One that is nil was
// not tested, and stays so.
func holm(ps []*float64) []*float64 {
	var order []int
	for i, p := range ps {
		if p != nil {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(*ps[a], *ps[b]) })
	adjusted, least := make([]*float64, len(ps)), 0.0
	for rank, i := range order {
		least = max(least, min(1, *ps[i]*float64(len(order)-rank)))
		adjusted[i] = new(least)
	}
	return adjusted
}

// contrast is the verdict of a comparison.
// Without the race in the baseline no arm can take anything away from it. Its own
// failures can still be more than chance explains.
func contrast(c result.Compare, arm, baseline result.Arm, comparisons int) result.ArmVerdict {
	switch {
	case c.PHolm != nil && *c.PHolm < Alpha:
		return differs(c, arm, baseline)
	case !occurred(baseline) && !occurred(arm):
		return result.ArmInconclusive
	case !canDiffer(pairs(arm, baseline), comparisons):
		return result.Undecided
	case !occurred(baseline):
		return result.ArmInconclusive
	case !canLose(arm, baseline, comparisons):
		return result.Undecided
	default:
		return result.NoDifference
	}
}

// differs is the verdict of an arm that the test tells from the baseline.
func differs(c result.Compare, arm, baseline result.Arm) result.ArmVerdict {
	switch direction(rates(arm), rates(baseline)) {
	case +1:
		return result.Worse
	case -1:
		if !occurred(baseline) {
			return result.ArmInconclusive
		}
		if e := c.Reduction.Estimate; e != nil && *e >= mitigatedFrom {
			return result.Mitigated
		}
		return result.Reduced
	default:
		return result.Undecided
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
	byRank, byMedian := cmp.Compare(pairs, 0), cmp.Compare(median(arm), median(baseline))
	if byRank*byMedian < 0 {
		return 0
	}
	return byRank
}
