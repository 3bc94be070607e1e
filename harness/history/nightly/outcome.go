package nightly

import (
	"fmt"
	"slices"

	"snatlab/harness/format"
	"snatlab/harness/history/regression"
	"snatlab/harness/result"
	"snatlab/harness/stats"
	"snatlab/harness/wording"
)

// isSettled reports whether no further attempt is needed. A regression is settled,
// even if a further attempt might show more about expectations that never held.
func isSettled(last *result.Result, h regression.Evaluation) bool {
	return h.Again == "" && (last.Verdict != result.Fail || hasRegression(h.Findings) || len(findUnexplained(last, h.Findings)) == 0)
}

// recordOutcome records the outcome of the attempts, with what their history shows.
func (t *scenarioRun) recordOutcome(j *result.NightRun, h regression.Evaluation) {
	last := t.attempts[len(t.attempts)-1]
	j.Attempts, j.Compared, j.KernelBefore = len(t.attempts), h.Compared, h.KernelBefore
	j.Findings, j.Doubts = append(j.Findings, h.Findings...), h.Doubts
	j.Before = t.listArmsBefore(last)
	if h.Compared == 0 {
		j.KeyChange = findKeyChanges(result.KeyOf(last), t.before)
	}
	j.Outcome, j.Reason = decideOutcome(t.attempts, h)
	for _, w := range h.Warnings {
		t.record.Warnings = append(t.record.Warnings, fmt.Sprintf("%s: %s", j.Scenario, w))
	}
}

// decideOutcome returns the outcome of the attempts with its reason. An outcome of ok,
// and one that the findings explain, has no reason.
func decideOutcome(attempts []*result.Result, h regression.Evaluation) (result.Outcome, string) {
	last := attempts[len(attempts)-1]
	var broken []result.Expectation
	if last.Verdict == result.Fail {
		broken = findUnexplained(last, h.Findings)
	}
	switch {
	case hasRegression(h.Findings):
		return result.OutcomeRegression, ""
	case slices.ContainsFunc(broken, func(e result.Expectation) bool { return countHeld(attempts, e) == 0 }):
		return result.OutcomeFail, last.Summary
	case len(broken) > 0:
		e := broken[0]
		return result.OutcomeInconclusive, fmt.Sprintf("not settled by %s: %s: %s held in %d of them, and not in the last",
			format.Plural(len(attempts), "attempt", "attempts"), e.Arm, wording.Claim(e), countHeld(attempts, e))
	case slices.ContainsFunc(h.Findings, func(f result.Finding) bool { return f.Kind != result.Shift }):
		return result.OutcomeKnown, ""
	case last.Verdict == result.Inconclusive:
		return result.OutcomeInconclusive, last.Summary
	case h.Again != "":
		return result.OutcomeInconclusive, fmt.Sprintf("not settled by %s: %s", format.Plural(len(attempts), "attempt", "attempts"), h.Again)
	default:
		return result.OutcomeOK, ""
	}
}

// hasRegression reports whether there is a regression that is not known.
func hasRegression(findings []result.Finding) bool {
	return slices.ContainsFunc(findings, func(f result.Finding) bool { return f.Kind != result.Shift && f.Known == "" })
}

// findUnexplained returns the expectations that do not hold and that no finding is
// about. There is no finding about an expectation that never held.
func findUnexplained(last *result.Result, findings []result.Finding) (broken []result.Expectation) {
	for _, e := range last.Expected {
		if e.Held == nil || *e.Held {
			continue
		}
		if !slices.ContainsFunc(findings, func(f result.Finding) bool { return f.IsBroken(e) }) {
			broken = append(broken, e)
		}
	}
	return broken
}

// countHeld counts the attempts in which an expectation held.
func countHeld(attempts []*result.Result, claim result.Expectation) (n int) {
	for _, r := range attempts {
		if slices.ContainsFunc(r.Expected, func(e result.Expectation) bool {
			return e.Key() == claim.Key() && e.Held != nil && *e.Held
		}) {
			n++
		}
	}
	return n
}

// listArmsBefore returns the failure rates of each arm in earlier runs.
func (t *scenarioRun) listArmsBefore(last *result.Result) []result.ArmBefore {
	key, all := result.KeyOf(last), []result.ArmBefore{}
	for _, a := range last.Arms {
		var rates []float64
		for _, r := range t.before {
			if r.Key != key || r.Incomplete != "" {
				continue
			}
			if i := slices.IndexFunc(r.Arms, func(b result.ArmSummary) bool { return b.Name == a.Name }); i >= 0 {
				rates = append(rates, r.Arms[i].FailureRate.Median)
			}
		}
		if len(rates) > 0 {
			all = append(all, summariseRates(a.Name, rates))
		}
	}
	return all
}

func summariseRates(arm string, rates []float64) result.ArmBefore {
	return result.ArmBefore{
		Arm: arm, Runs: len(rates), Lowest: slices.Min(rates), Highest: slices.Max(rates), Median: stats.Median(rates),
	}
}
