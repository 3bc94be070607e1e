package nightly

import (
	"cmp"
	"fmt"
	"slices"

	"snatlab/harness/format"
	"snatlab/harness/history/regression"
	"snatlab/harness/result"
	"snatlab/harness/stats"
	"snatlab/harness/wording"
)

// recordOutcome records the outcome of the attempts, with what their history shows.
func (t *scenarioRun) recordOutcome(j *result.NightRun, h regression.Evaluation) {
	j.Attempts, j.Compared, j.KernelBefore = len(t.attempts), h.Compared, h.KernelBefore
	j.Findings, j.Doubts = append(j.Findings, h.Findings...), h.Doubts
	j.Result, j.Shares, j.Machine = h.Tonight, h.Shares, h.Machine
	j.Before = t.listArmsBefore(h.Tonight)
	if h.Compared == 0 {
		j.KeyChange = cmp.Or(h.Restarted, findKeyChanges(result.KeyOf(h.Tonight), t.before), t.findScenarioChanges(h.Tonight))
	}
	j.Outcome, j.Reason = decideOutcome(len(t.attempts), h)
	for _, w := range h.Warnings {
		t.record.Warnings = append(t.record.Warnings, fmt.Sprintf("%s: %s", wording.ScenarioOn(j.Scenario, j.Node), w))
	}
}

// decideOutcome returns the outcome of the attempts with its reason. It rests on all
// attempts together. An outcome of ok, and one that the findings explain, has no reason.
func decideOutcome(attempts int, h regression.Evaluation) (result.Outcome, string) {
	switch {
	case hasRegression(h.Findings):
		return result.OutcomeRegression, ""
	case h.Tonight.Verdict == result.Fail && len(findUnexplained(h.Tonight, h.Findings)) > 0:
		return result.OutcomeFail, h.Tonight.Summary
	case slices.ContainsFunc(h.Findings, func(f result.Finding) bool { return f.Kind != result.Shift }):
		return result.OutcomeKnown, ""
	case h.Tonight.Verdict == result.Inconclusive:
		return result.OutcomeInconclusive, h.Tonight.Summary
	case h.Again != "":
		return result.OutcomeInconclusive, fmt.Sprintf("not settled by %s: %s", format.Plural(attempts, "attempt", "attempts"), h.Again)
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
func findUnexplained(tonight *result.Result, findings []result.Finding) (broken []result.Expectation) {
	for _, e := range tonight.Expected {
		if e.Held == nil || *e.Held {
			continue
		}
		if !slices.ContainsFunc(findings, func(f result.Finding) bool { return f.IsBroken(e) }) {
			broken = append(broken, e)
		}
	}
	return broken
}

// listArmsBefore returns the failure rates of each arm in earlier runs.
func (t *scenarioRun) listArmsBefore(tonight *result.Result) []result.ArmBefore {
	key, all := result.KeyOf(tonight), []result.ArmBefore{}
	for _, a := range tonight.Arms {
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
