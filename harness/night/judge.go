package night

import (
	"fmt"
	"slices"

	"snatlab/harness/history"
	"snatlab/harness/result"
)

// judge says what the attempts come to, in the light of their history.
func (t *turn) judge(j *result.Judged, h history.Judgement) {
	last := t.attempts[len(t.attempts)-1]
	j.Attempts, j.Compared, j.KernelBefore = len(t.attempts), h.Compared, h.KernelBefore
	j.Findings = append(j.Findings, h.Findings...)
	j.Before = t.armsBefore(last)
	j.Outcome, j.Reason = outcome(last, h, t.Attempts)
	for _, w := range h.Warnings {
		t.record.Warnings = append(t.record.Warnings, fmt.Sprintf("%s: %s", j.Scenario, w))
	}
}

// outcome names what the last attempt comes to, and says why unless it is ok.
// What the findings say themselves needs no reason.
func outcome(last *result.Result, h history.Judgement, attempts int) (result.Outcome, string) {
	known := false
	for _, f := range h.Findings {
		switch {
		case f.Kind == result.Shift:
		case f.Known == "":
			return result.OutcomeRegression, ""
		default:
			known = true
		}
	}
	switch {
	case last.Verdict == result.Fail && !isFound(last, h.Findings):
		return result.OutcomeFail, last.Summary
	case known:
		return result.OutcomeKnown, ""
	case last.Verdict == result.Inconclusive:
		return result.OutcomeInconclusive, last.Summary
	case h.Again != "":
		return result.OutcomeInconclusive, fmt.Sprintf("not settled by %d attempts: %s", attempts, h.Again)
	default:
		return result.OutcomeOK, ""
	}
}

// isFound tells whether there is a finding for every expectation that does not
// hold. There is none for one that never held.
func isFound(last *result.Result, findings []result.Finding) bool {
	return !slices.ContainsFunc(last.Expected, func(e result.Expect) bool {
		return e.Held != nil && !*e.Held && !slices.ContainsFunc(findings, func(f result.Finding) bool {
			return f.Kind == result.ExpectationBroken && f.Arm == e.Arm
		})
	})
}

// armsBefore says how often each arm failed in earlier runs.
func (t *turn) armsBefore(last *result.Result) []result.ArmBefore {
	key, all := history.KeyOf(last), []result.ArmBefore{}
	for _, a := range last.Arms {
		var rates []float64
		for _, r := range t.before {
			if r.Key != key || r.Incomplete != "" {
				continue
			}
			if i := slices.IndexFunc(r.Arms, func(b history.Arm) bool { return b.Name == a.Name }); i >= 0 {
				rates = append(rates, r.Arms[i].FailureRate.Median)
			}
		}
		if len(rates) > 0 {
			all = append(all, armBefore(a.Name, rates))
		}
	}
	return all
}

func armBefore(arm string, rates []float64) result.ArmBefore {
	slices.Sort(rates)
	n := len(rates)
	return result.ArmBefore{
		Arm: arm, Runs: n, Lowest: rates[0], Highest: rates[n-1],
		Median: (rates[(n-1)/2] + rates[n/2]) / 2,
	}
}
