package verdict

import (
	"snatlab/harness/result"
	"snatlab/harness/stats"
)

// compareAll compares every arm but the first with its control, or with the first.
func compareAll(arms []result.Arm, instrument *result.Remaining) []result.Comparison {
	comparisons := []result.Comparison{}
	for i := 1; i < len(arms); i++ {
		comparisons = append(comparisons, compareArm(arms[i], arms[0], instrument))
	}
	adjustP(comparisons)
	n := countTested(comparisons)
	for i := range comparisons {
		decideComparison(&comparisons[i], n, isInstrumentBroken(instrument))
		if c := &comparisons[i]; c.Verdict == result.Mitigated || c.Verdict == result.Reduced {
			requireRace(c, arms[i+1], arms[0], n)
		}
	}
	return comparisons
}

// compareArm returns a comparison without PHolm and Verdict, which depend on the other
// comparisons.
func compareArm(arm, baseline result.Arm, instrument *result.Remaining) result.Comparison {
	c := result.Comparison{
		Arm: arm.Name, Baseline: baseline.Name, Method: methodOf(arm, baseline),
		Latency: []result.LatencyChange{
			compareLatency(result.P50, arm, baseline),
			compareLatency(result.P99, arm, baseline),
		},
	}
	if c.Method == result.ByControl {
		c.Remaining, c.P = shareByControl(arm, failures, dividing(instrument))
	} else {
		c.Remaining, c.P = shareByTrials(arm, baseline, failures)
	}
	c.Reduction = reductionOf(c.Remaining)
	return c
}

// compareLatency compares a percentile of an arm with the baseline's, each trial relative
// to its own control, where both have one and the control of both is under the same
// conditions: what a sysctl of the arm costs, its control pays as well. Expectations are
// held against the interval; p is never small where trials are few. Some arms
// are not compared: see [result.Arm.ComparesLatency].
func compareLatency(percentile string, arm, baseline result.Arm) result.LatencyChange {
	if !arm.ComparesLatency() {
		return result.LatencyChange{Percentile: percentile}
	}
	controlled := hasOwnControl(arm, baseline) && hasControl(baseline)
	change, p := stats.ChangeByControl(measureLatency(percentile, baseline, controlled), measureLatency(percentile, arm, controlled), 1, result.Confidence)
	return result.LatencyChange{Percentile: percentile, P: p, Estimate: change.Estimate, Low: change.Low, High: change.High}
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

// adjustP fills in every PHolm. The failures are one family, and all latencies
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

// decideComparison writes the verdict of a comparison, one of so many, and what is missing
// for a stronger one.
func decideComparison(c *result.Comparison, comparisons int, broken bool) {
	c.Verdict, c.Why, c.Least = result.Undecided, "", 0
	switch {
	case c.Remaining == nil:
		c.Why = result.WhyNoTrial
	case broken && c.Method == result.ByControl:
		c.Why = result.WhyInstrument
	default:
		c.Verdict = labelOf(c.Remaining, c.Method, *c.PHolm)
		c.Why, c.Least = missingFor(c, comparisons)
	}
}

// requireRace takes back the verdict that an arm lost less where the race itself was not
// lost often enough to show anything: no race seen is not a race mitigated.
func requireRace(c *result.Comparison, arm, baseline result.Arm, comparisons int) {
	raced := shareOf(c.Method, arm, baseline, races)
	if !hasHits(raced, comparisons) {
		c.Verdict, c.Why, c.Least = result.Undecided, result.WhyNoRace, leastToDiffer(chanceOf(raced), comparisons)
	}
}

// labelOf returns the verdict that the decisive interval of a share allows.
func labelOf(r *result.Remaining, method result.Method, p float64) result.ArmVerdict {
	differs, high := p < result.Alpha, r.DecisiveHigh
	switch {
	case high != nil && isAtMost(*high, result.MitigatedUpTo) && (differs || method == result.ByControl):
		return result.Mitigated
	case high != nil && *high < result.ReducedBelow && differs:
		return result.Reduced
	case r.DecisiveLow > result.WorseAbove && differs:
		return result.Worse
	case high != nil && r.DecisiveLow >= result.ReducedBelow && *high <= result.WorseAbove:
		return result.Equal
	default:
		return result.Undecided
	}
}

// isAtMost reports whether a figure is not above a bound, whatever the last digits of
// either are: 1 - 0.99 is not 0.01.
func isAtMost(figure, bound float64) bool { return figure <= bound*(1+1e-12) }

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
