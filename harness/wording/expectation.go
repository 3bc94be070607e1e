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
	case e.Filtered != nil:
		return fmt.Sprintf("filtered >= %.6g %%", 100**e.Filtered)
	case e.PortExhaustion != nil:
		return fmt.Sprintf("port_exhaustion >= %.6g %%", 100**e.PortExhaustion)
	case e.TableFull != nil:
		return fmt.Sprintf("table_full >= %.6g %%", 100**e.TableFull)
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
	}
	switch cause, share := e.CauseClaim(); {
	case share != nil:
		return foundCause(findArm(r, e.Arm), cause)
	default:
		return foundRace(findArm(r, e.Arm).SumTotals(), e)
	}
}

// foundRace states what an arm lost to the race, and what share of its control's, or of
// another arm's, that is.
func foundRace(n result.Totals, e result.Expectation) string {
	text := fmt.Sprintf("%s of %s lost to the race", format.Thousands(n.Race), format.Plural(n.Requests, "request", "requests"))
	other := "its control"
	if e.RaceAgainst != "" {
		other = e.RaceAgainst
	}
	share := e.RaceRemaining
	switch {
	case e.Why == result.WhyInstrument:
		return text + ", but " + noInstrument
	case e.Why == result.WhyFewTrials:
		return fmt.Sprintf("%s, but %s", text, fewTrials(share.Trials, e.Least))
	case e.Why == result.WhyNoRace && share != nil:
		return fmt.Sprintf("%s, and none in %s either", text, other)
	case e.Why == result.WhyNoRace:
		return text + ", and no arm shows that it could be hit"
	case share == nil && e.Held == nil:
		return fmt.Sprintf("%s, too few to be told from ports that are drawn and meet by chance; at least %d are needed", text, e.Least)
	case share == nil:
		return text
	}
	of := fmt.Sprintf("of what %s lost", other)
	switch isReproduced := e.Held != nil && *e.Held == (e.Race == result.Reproduced); {
	case e.Held == nil:
		return fmt.Sprintf("%s, %s %s (%s)", text, remains(share), of, hits(share, other)+needed(e.Why, e.Least, share, "decide"))
	case isReproduced:
		return fmt.Sprintf("%s, at least %s %s", text, format.AtLeast(share.DecisiveLow), of)
	default:
		return fmt.Sprintf("%s, at most %s %s", text, format.AtMost(*share.DecisiveHigh), of)
	}
}

// foundReduction states how much of the failures is gone, as far as the decisive interval
// allows.
func foundReduction(r *result.Result, e result.Expectation) string {
	c := findComparison(r, e.Arm)
	share, other := c.Remaining, otherOf(c)
	switch e.Why {
	case result.WhyInstrument:
		return noInstrument
	case result.WhyNoRace:
		return fmt.Sprintf("%s failed, but the race did not occur in %s", failedOf(findArm(r, e.Arm)), other)
	case result.WhyFewTrials:
		return fmt.Sprintf("%s failed, but %s", failedOf(findArm(r, e.Arm)), fewTrials(c.Remaining.Trials, e.Least))
	}
	text := failedOf(findArm(r, e.Arm)) + " failed; "
	switch {
	case e.Held == nil:
		return fmt.Sprintf("%s%s of the failures may remain (%s)", text, remains(share), hits(share, other)+needed(e.Why, e.Least, share, "decide"))
	case *e.Held:
		return text + gone(share) + fmt.Sprintf(" (%s)", hits(share, other))
	case share.DecisiveLow >= 1:
		return text + times(share, other)
	default:
		return fmt.Sprintf("%sat most %s of the failures are gone (%s)", text, format.AtMost(1-share.DecisiveLow), hits(share, other))
	}
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

// lostFor says what became of requests that failed of a cause.
var lostFor = map[string]string{
	result.SourceFiltered: "dropped by the filter",
	result.PortExhaustion: "without a free source port",
	result.TableFull:      "dropped for a full table",
}

func foundCause(a result.Arm, cause string) string {
	n, requests := a.SumCause(cause), a.SumTotals().Requests
	return fmt.Sprintf("%s of %s %s, %s", format.Thousands(n), format.Plural(requests, "request", "requests"), lostFor[cause],
		format.Percent(float64(n)/float64(max(1, requests))))
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
