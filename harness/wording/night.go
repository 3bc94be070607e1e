package wording

import (
	"fmt"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// ScenarioOn names a scenario and the node of a cluster that it was run on:
// "kubernetes-masquerade on worker-1". Without a node it is the scenario alone.
func ScenarioOn(scenario, node string) string {
	if node == "" {
		return scenario
	}
	return scenario + " on " + node
}

// NightRunName names a scenario of a night, its driver, its node, and how many attempts
// it took: "quickstart (netns), 3 attempts".
func NightRunName(j result.NightRun) string {
	text := j.Scenario
	if j.Driver != "" {
		text += fmt.Sprintf(" (%s)", j.Driver)
	}
	text = ScenarioOn(text, j.Node)
	if j.Attempts > 1 {
		text += fmt.Sprintf(", %d attempts", j.Attempts)
	}
	return text
}

// NightRunFigures sets the baseline against its history and names the verdicts of
// the other arms: "masquerade 25.0 % (14.1 to 31.2 % in 20 runs), slow in 3 of 7 nights;
// reduced: snat-pool (24.9 % remain); mitigated: random-fully; no change on 6.18.15".
func NightRunFigures(j result.NightRun) string {
	if j.Result == nil || len(j.Result.Arms) == 0 || len(j.Result.Arms[0].Trials) == 0 {
		return "no result"
	}
	parts := []string{baselineFigures(j)}
	for _, v := range []result.ArmVerdict{result.Worse, result.Undecided, result.NoDifference, result.Equal, result.Reduced, result.Mitigated, result.ArmInconclusive} {
		var arms []string
		for _, c := range j.Result.Comparisons {
			if c.Verdict == v {
				arms = append(arms, c.Arm+remainingFigure(c))
			}
		}
		if len(arms) > 0 {
			parts = append(parts, fmt.Sprintf("%s: %s", v, strings.Join(arms, ", ")))
		}
	}
	if isUnchanged(j) {
		parts = append(parts, "no change on "+j.Result.Environment.Kernel)
	}
	return strings.Join(parts, "; ")
}

// remainingFigure returns " (24.9 % remain)" for an arm whose verdict is not the figure;
// of an undecided one, the interval.
func remainingFigure(c result.Comparison) string {
	switch {
	case c.Remaining == nil || c.Remaining.Estimate == nil:
		return ""
	case c.Verdict == result.Undecided:
		return fmt.Sprintf(" (%s remain)", RemainingInterval(c.Remaining))
	case c.Verdict == result.Reduced || c.Verdict == result.Worse:
		return fmt.Sprintf(" (%s remain)", Remaining(c.Remaining))
	}
	return ""
}

func baselineFigures(j result.NightRun) string {
	arm := j.Result.Arms[0]
	text := fmt.Sprintf("%s %s", arm.Name, format.Percent(arm.FailureRate.Median))
	slow := ""
	if m := j.Machine; m != nil && m.Slow > 0 {
		slow = fmt.Sprintf(", slow in %d of %s", m.Slow, format.Plural(m.Nights, "night", "nights"))
	}
	i := slices.IndexFunc(j.Before, func(b result.ArmBefore) bool { return b.Arm == arm.Name })
	if i < 0 || j.Before[i].Runs == 0 {
		return text + " (first run)"
	}
	before := j.Before[i]
	return fmt.Sprintf("%s (%s in %s)%s", text, format.FromTo(&before.Lowest, &before.Highest, format.Percent),
		format.Plural(before.Runs, "run", "runs"), slow)
}

// isUnchanged reports whether a new kernel makes no difference. With a doubt, it may
// make one.
func isUnchanged(j result.NightRun) bool {
	return j.Outcome == result.OutcomeOK && len(j.Findings) == 0 && len(j.Doubts) == 0 &&
		j.KernelBefore != "" && j.KernelBefore != j.Result.Environment.Kernel
}

// Remaining returns the share of the failures that remains, as a figure: "0.50 %".
func Remaining(r *result.Remaining) string {
	if r == nil {
		return format.None
	}
	return format.Optional(r.Estimate, format.Percent)
}

// RemainingInterval returns the interval that decides: "0.31 to 0.80 %".
func RemainingInterval(r *result.Remaining) string {
	if r == nil {
		return format.None
	}
	return format.Between(r.DecisiveLow, r.DecisiveHigh)
}
