// Package verdict judges the trials of a run: which share of the failures remains under
// each arm, what that costs in latency, and which expectations held.
//
// # The share that remains
//
// Slots of an arm and of its control alternate within a trial, in an order that is drawn,
// and the control passes plain masquerade whatever the arm is. So both meet the same
// machine in the same second. Over all trials of the arm, the share that remains is
//
//	(failed / requests) of the arm  /  (failed / requests) of its control
//
// of sums, not of medians. Failed is every failed request, whatever the cause: an arm that
// makes requests fail in another way mitigates nothing. Claims about the race count
// those that were lost to it alone.
//
// The test is the exact binomial one of the arm's failures among those of both. p is raised
// by Holm's method for the number of arms, and counts below [result.Alpha]. The interval is
// that of Clopper and Pearson for the same share, and the one of the trials' scatter
// wherever that reaches further: see [stats.RatioInterval]. A trial in which neither lost
// anything drops out by itself; one in which only the arm did is evidence.
//
// # Verdicts
//
// They rest on the interval at [result.DecisiveConfidence], L to U, and on p:
//
//   - mitigated: U is at most 1 %
//   - reduced: p counts, and U is below 90 %
//   - worse: p counts, and L is above 111 %
//   - equal: L is at least 90 %, and U at most 111 %
//   - undecided: anything else, with what is missing
//
// No arm mitigates or reduces what was not lost to the race: no race seen is not a race
// mitigated.
//
// # The instrument
//
// The baseline against its own control has a share of 1, unless the two server ports are not
// alike. If its interval lies entirely outside 0.9 to 1.1, no arm with a control has
// a verdict. If its interval at 95 % does not hold 1, the shares of all arms are divided by
// the baseline's.
//
// # Arms without a control
//
// A sysctl of an arm acts on its control as well, other patterns than lockstep have no slots,
// and a baseline that is no plain masquerade is not what the control stands for. Then the
// trials of the arm are compared with those of the baseline: the trial is the unit, since
// failures cluster. p is that of the exact rank sum of the failure rates, and the share is
// one of sums, with the interval of the scatter of both: see [stats.TrialRatio].
//
// # Expectations and the run
//
// An expectation held if the whole decisive interval is on its right side; it is refuted, and
// fails the run, only if the whole interval is on the wrong side; else it is undecided.
// Latencies are held against 95 % intervals: see [stats.ChangeByControl]. A run is
// inconclusive if it ended early, an expectation is undecided, the control is no measure,
// or too little was lost to show any difference.
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
	case len(r.Expected) == 0 && len(r.Arms) == 1:
		return showsRace(r.Arms[0].SumTotals()) || isSpared(r.Arms[0])
	case len(r.Expected) > 0:
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

// isSpared reports whether the control of an arm was hit often enough that the arm would
// have been hit as well, if the race occurred in it.
func isSpared(a result.Arm) bool {
	return result.HasControl([]result.Arm{a}) && hasHits(shareOf(result.ByControl, a, a, races), 1)
}

func isByControl(c result.Comparison) bool { return c.Method == result.ByControl }
