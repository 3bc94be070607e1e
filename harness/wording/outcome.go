package wording

import "snatlab/harness/result"

// PASS and FAIL are words about expectations only: of one of them, and of a run that has
// some.
const (
	passed    = "PASS"
	refuted   = "FAIL"
	undecided = "undecided"
)

// ExpectationWord returns the outcome of an expectation.
func ExpectationWord(r *result.Result, e result.Expectation) string {
	word := passed
	switch {
	case e.Held == nil:
		return undecided
	case !*e.Held:
		word = refuted
	}
	if r.Incomplete != "" {
		word += " so far"
	}
	return word
}

// measured is the outcome of a run that expects nothing and lost enough to compare arms.
const measured = "measured"

// RunWord returns the outcome of a run: PASS or FAIL where it has expectations.
func RunWord(v result.Verdict, expects bool) string {
	switch {
	case v == result.Pass && expects:
		return passed
	case v == result.Pass:
		return measured
	case v == result.Fail:
		return refuted
	}
	return string(v)
}

// RunWords are the outcomes of runs, as they are counted.
var RunWords = []string{passed, measured, refuted, string(result.Inconclusive)}

// RunHead returns the heading of a column of outcomes, of runs that have expectations, or
// have none.
func RunHead(expects bool) string {
	if expects {
		return "expected"
	}
	return "outcome"
}

// The headlines of a comparison and of a night.
const (
	Regression   = "REGRESSION"
	NoRegression = "NO REGRESSION"
)

// ComparisonHeadline returns the answer of a comparison in a word or two.
func ComparisonHeadline(c *result.GroupComparison) string {
	switch c.Verdict {
	case result.Fail:
		return Regression
	case result.Pass:
		return NoRegression
	}
	return CannotTell
}
