// Package verdict judges the trials of a run: which share of the failures remains under
// each arm, what that costs in latency, and which expectations held.
package verdict

import (
	"slices"

	"snatlab/harness/result"
)

// Judge fills in, from the trials and the claims in r, each arm's FailureRate,
// LatencyP50 and LatencyP99, the Instrument, the Comparisons, the outcome of each
// expectation, and Verdict, and adds to WarningValues. It writes no sentence: package
// wording makes sentences of these values. r may be partial. Judging again changes only
// what new trials change; a warning that is already in r stays.
func Judge(r *result.Result) {
	for i := range r.Arms {
		a := &r.Arms[i]
		a.FailureRate, a.LatencyP50, a.LatencyP99 = summariseSpread(a.FailureRates()), summariseSpread(listP50(*a)), summariseSpread(listP99(*a))
	}
	r.Instrument = checkInstrument(r.Arms)
	r.Comparisons = compareAll(r.Arms, r.Instrument)
	for i := range r.Expected {
		checkExpectation(r, r.Expected[i]).recordIn(&r.Expected[i])
	}
	r.Verdict = decideVerdict(r)
	addWarnings(r)
}

// decideVerdict returns the verdict of the run. A claim that is refuted fails it, whatever
// else is open.
func decideVerdict(r *result.Result) result.Verdict {
	if r.Incomplete != "" {
		return result.Inconclusive
	}
	verdict := result.Pass
	if !hasAnswer(r) {
		verdict = result.Inconclusive
	}
	for _, e := range r.Expected {
		switch {
		case e.Held == nil:
			verdict = result.Inconclusive
		case !*e.Held:
			return result.Fail
		}
	}
	return verdict
}

// hasAnswer reports whether the trials show anything that a verdict can rest on: the
// control is a measure, and a comparison or a claim about failures is decided, or there
// were the hits to decide one. Where a run ended without the hits that it was to have, only
// what is decided counts.
func hasAnswer(r *result.Result) bool {
	n := countTested(r.Comparisons)
	switch {
	case isInstrumentBroken(r.Instrument) && slices.ContainsFunc(r.Comparisons, isByControl):
		return false
	case slices.ContainsFunc(r.Comparisons, func(c result.Comparison) bool { return c.Verdict.IsDecided() }):
		return true
	case len(r.Expected) > 0 || len(r.Arms) == 1:
		return slices.ContainsFunc(r.Arms, func(a result.Arm) bool { return showsRace(a.SumTotals()) || showsRace(a.SumControl()) })
	}
	if len(warnFewHits(r)) > 0 {
		return false
	}
	for i, c := range r.Comparisons {
		if c.Remaining != nil && c.Why != result.WhyNoRace && hasHits(c.Remaining, n) && (isByControl(c) || couldDiffer(r.Arms[i+1], r.Arms[0], n)) {
			return true
		}
	}
	return false
}

func isByControl(c result.Comparison) bool { return c.Method == result.ByControl }
