package wording

import (
	"fmt"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// Claim returns the claim of an expectation, "reduction >= 99 %".
func Claim(e result.Expectation) string {
	switch {
	case e.Reduction != nil:
		return fmt.Sprintf("reduction >= %.6g %%", 100**e.Reduction)
	case e.P50 != nil:
		return fmt.Sprintf("p50 <= %+.6g %%", 100**e.P50)
	case e.P99 != nil:
		return fmt.Sprintf("p99 <= %+.6g %%", 100**e.P99)
	case e.Unexplained != nil:
		return fmt.Sprintf("unexplained <= %.6g %%", 100**e.Unexplained)
	default:
		return "race " + e.Race
	}
}

// describeFound returns what a run showed instead of a claim, or in support of it.
func describeFound(r *result.Result, e result.Expectation) string {
	switch {
	case e.Why == result.WhyNoTrial:
		return "no trial"
	case e.Why == result.WhyBaseline:
		return "this is the baseline"
	case e.Reduction != nil:
		return foundReduction(r, e)
	case e.P50 != nil:
		return foundLatency(r, e, result.P50)
	case e.P99 != nil:
		return foundLatency(r, e, result.P99)
	case e.Unexplained != nil:
		return foundUnexplained(findArm(r, e.Arm).SumTotals())
	default:
		return foundRace(findArm(r, e.Arm).SumTotals(), e)
	}
}

func foundRace(n result.Totals, e result.Expectation) string {
	text := fmt.Sprintf("%s of %s lost to the race", format.Thousands(n.Race), format.Plural(n.Requests, "request", "requests"))
	switch {
	case e.Race == result.Absent && e.Why == result.WhyNoRace:
		text += fmt.Sprintf(", but no arm of this run lost enough to judge; at least %d are needed", result.Floor)
	case e.Why == result.WhyFewHits:
		text += fmt.Sprintf(", too few to judge; at least %d are needed", result.Floor)
	}
	return text
}

func foundReduction(r *result.Result, e result.Expectation) string {
	baseline, reduction := baselineOf(r), findComparison(r, e.Arm).Reduction
	switch e.Why {
	case result.WhyWorse:
		return worseThan(baseline, findArm(r, e.Arm))
	case result.WhyNoFailures:
		return fmt.Sprintf("the median failure rate of %s is 0", baseline.Name)
	case result.WhyFewHits:
		return fmt.Sprintf("%s, but the hits in %s are too few to judge: %d; at least %d are needed",
			describeReduction(reduction), baseline.Name, baseline.SumTotals().Race, result.Floor)
	case result.WhyNoRace:
		return fmt.Sprintf("%s, but the race did not occur in %s", describeReduction(reduction), baseline.Name)
	}
	return describeReduction(reduction) + noInterval(r, e)
}

func foundLatency(r *result.Result, e result.Expectation, percentile string) string {
	if e.Why == result.WhyNoLatency {
		return fmt.Sprintf("%s has no %s to compare with", baselineOf(r).Name, percentile)
	}
	for _, c := range findComparison(r, e.Arm).Latency {
		if c.Percentile == percentile {
			return describeLatency(c) + noInterval(r, e)
		}
	}
	return ""
}

func foundUnexplained(n result.Totals) string {
	return fmt.Sprintf("%s of %s unexplained, %s", format.Thousands(n.Unexplained), format.Plural(n.Requests, "request", "requests"),
		format.Percent(float64(n.Unexplained)/float64(max(1, n.Requests))))
}

// worseThan states how much more an arm fails than the baseline.
func worseThan(baseline, arm result.Arm) string {
	failed := func(a result.Arm) string {
		n := a.SumTotals()
		return fmt.Sprintf("%s of %s", format.Thousands(n.Failed), format.Thousands(n.Requests))
	}
	return fmt.Sprintf("worse than %s: %s failed, and %s", baseline.Name, failed(arm), failed(baseline))
}

// noInterval states why a change has no interval: there are too few trials, or the
// baseline's figure may be 0, of which nothing is a share.
func noInterval(r *result.Result, e result.Expectation) string {
	switch e.Why {
	case result.WhyFewTrials:
		n := min(len(findArm(r, e.Arm).Trials), len(baselineOf(r).Trials))
		return fmt.Sprintf(", but %s too few for a 95 %% interval; at least %d are needed", format.Plural(n, "trial is", "trials are"), e.Least)
	case result.WhyOpenInterval:
		return fmt.Sprintf(", but without a 95 %% interval, as that of %s reaches down to 0", baselineOf(r).Name)
	}
	return ""
}
