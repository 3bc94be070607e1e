package wording

import (
	"fmt"
	"math"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// Every claim about a share that remains is made from its interval at
// [result.DecisiveConfidence], and its figures are rounded to the side that claims less.

// noInstrument states why nothing can be said of an arm.
const noInstrument = "its control is no measure, since the baseline and its own control differ"

// otherOf names what an arm is compared with, as the place of lost requests.
func otherOf(c result.Comparison) string {
	if c.Method == result.ByControl {
		return "the control"
	}
	return c.Baseline
}

// failedOf returns "none of 48,000", or "9 of 48,000".
func failedOf(a result.Arm) string {
	n := a.SumTotals()
	if n.Failed == 0 {
		return "none of " + format.Thousands(n.Requests)
	}
	return fmt.Sprintf("%s of %s", format.Thousands(n.Failed), format.Thousands(n.Requests))
}

// manyTimes is the upper end of an interval from which on it bounds nothing.
const manyTimes = 10

// remains returns "28 to 91 %", as far as the interval bounds it on both sides.
func remains(share *result.Remaining) string {
	switch high := share.DecisiveHigh; {
	case high != nil && *high < manyTimes:
		return format.Between(share.DecisiveLow, high)
	case share.DecisiveLow >= mattersFrom:
		return "at least " + format.AtLeast(share.DecisiveLow)
	default:
		return "any share"
	}
}

// mattersFrom is the share from which on the lower end of an interval without an upper
// one is printed.
const mattersFrom = 0.01

// gone returns "at least 99.6 % of the failures are gone".
func gone(share *result.Remaining) string {
	return fmt.Sprintf("at least %s of the failures are gone", format.AtLeast(1-*share.DecisiveHigh))
}

// times returns "at least 1.4 times as many as in the control".
func times(share *result.Remaining, other string) string {
	text := format.Thousands(int(share.DecisiveLow))
	if share.DecisiveLow < 10 {
		text = fmt.Sprintf("%.1f", math.Floor(10*share.DecisiveLow+1e-9)/10)
	}
	return fmt.Sprintf("at least %s times as many as in %s", text, other)
}

// hits returns "8,861 hits in the control".
func hits(share *result.Remaining, other string) string {
	return fmt.Sprintf("%s in %s", format.Plural(share.ControlFailed, "hit", "hits"), other)
}

// needed returns what it takes to do more, as the rest of a clause: "; 764 are needed to
// say 99 %".
func needed(why result.Why, least int, share *result.Remaining, to string) string {
	switch {
	case why == result.WhyScatter:
		return "; the trials differ by more than chance explains, so it takes more rounds to " + to
	case why == result.WhyMoreHits && least > 0 && share.Failed == 0:
		return fmt.Sprintf("; %s are needed to %s", format.Thousands(least), to)
	case why == result.WhyMoreHits && least > 0: // if the arm goes on as before
		return fmt.Sprintf("; about %s are needed to %s", format.Thousands(roundUp(least)), to)
	case why == result.WhyMoreHits:
		return "; at this share, no number of hits is enough to " + to
	}
	return ""
}

// roundUp rounds a number up to two digits.
func roundUp(n int) int {
	unit := 1
	for n > 100*unit {
		unit *= 10
	}
	return (n + unit - 1) / unit * unit
}

// fewTrials returns "6 trials are too few to show a difference; at least 7 of each arm are
// needed".
func fewTrials(n, least int) string {
	return fmt.Sprintf("%s too few to show a difference; at least %d of each arm are needed", format.Plural(n, "trial is", "trials are"), least)
}

// verdictClause states the verdict of a comparison and the claim that it makes.
func verdictClause(c result.Comparison) string {
	share, other := c.Remaining, otherOf(c)
	if share == nil {
		return fmt.Sprintf("undecided, %s has no trial", c.Baseline)
	}
	switch c.Verdict {
	case result.Mitigated, result.Reduced:
		return fmt.Sprintf("%s, %s (%s)", c.Verdict, gone(share), hits(share, other)+needed(c.Why, c.Least, share, "say 99 %"))
	case result.Worse:
		return fmt.Sprintf("%s, %s", c.Verdict, times(share, other))
	case result.Equal:
		return fmt.Sprintf("%s, %s of the failures remain (%s)", c.Verdict, remains(share), hits(share, other))
	}
	return "undecided, " + WhyUndecided(c)
}

// WhyUndecided states, in a clause, what is missing for a verdict of a comparison that has
// a share.
func WhyUndecided(c result.Comparison) string {
	share, other := c.Remaining, otherOf(c)
	switch c.Why {
	case result.WhyInstrument:
		return noInstrument
	case result.WhyFewTrials:
		return fewTrials(share.Trials, c.Least)
	case result.WhyNoRace:
		return fmt.Sprintf("the race was not hit in %s often enough to show anything", other)
	case result.WhyFewHits:
		return fmt.Sprintf("%s in all are too few to show a difference; at least %d are needed",
			format.Plural(share.Failed+share.ControlFailed, "failure", "failures"), c.Least)
	default:
		return fmt.Sprintf("%s of the failures may remain (%s)", remains(share),
			hits(share, other)+needed(c.Why, c.Least, share, "decide"))
	}
}

// DescribeInstrument returns what the baseline lost beside its own control, in a sentence
// without an end; empty without a control.
func DescribeInstrument(r *result.Result) string {
	share := r.Instrument
	if share == nil {
		return ""
	}
	text := fmt.Sprintf("%s lost %s, its own control, which passes the same rule, %s of %s", baselineOf(r).Name, failedOf(baselineOf(r)),
		format.Thousands(share.ControlFailed), format.Thousands(share.ControlRequests))
	if share.Estimate == nil {
		return text
	}
	return fmt.Sprintf("%s: a ratio of %.2f (99.9 %% interval %s)", text, *share.Estimate, ratioInterval(share))
}

// ratioInterval returns "0.93 to 1.05", rounded outwards.
func ratioInterval(share *result.Remaining) string {
	low := fmt.Sprintf("%.2f", math.Floor(100*share.DecisiveLow+1e-9)/100)
	if share.DecisiveHigh == nil {
		return low + " or more"
	}
	return fmt.Sprintf("%s to %.2f", low, math.Ceil(100**share.DecisiveHigh-1e-9)/100)
}

// JudgedByMedians states how a result of an earlier version was judged.
const JudgedByMedians = "This result was judged by an older version, by medians of trials: its reduction is that of the median trial, not of the failures."

// Method states what the figures of a comparison are.
const Method = "Remaining is the share of the failures that remains under an arm: the share of its requests that failed, over that of its control, or, where it has none, of the baseline. " +
	"The verdict rests on its 99.9 % interval, and on p, which has to be below 0.001 (exact binomial of the counts; without a control by the ranks of trials), adjusted for the number of arms. " +
	"A change of latency is relative to the control of the same trials where there is one; ~ is one whose 95 % interval holds 0. It is no part of the verdict."
