package report

import "snatlab/harness/result"

// The facts that report/page also prints, in the words of this package.

// Facts returns the load, the machine and the lab of a run, a sentence each.
func Facts(r *result.Result) []string {
	all := []string{loadText(r.Scenario, r.Arms), machineText(r.Environment), labText(r.Environment)}
	if text := sharedText(r.Environment); text != "" {
		all = append(all, "shared "+text)
	}
	if text := windowText(r.Environment); text != "" {
		all = append(all, "window "+text)
	}
	return all
}

// EnvironmentRows returns the facts that are needed to compare a result with another, and
// below them the sysctls of the router.
func EnvironmentRows(r *result.Result) [][]string {
	return append(environmentRows(r), sysctlRows(r.Environment)...)
}

// ArmLines returns the lines below an arm's rule.
func ArmLines(a result.Arm) []string { return armLines(a) }

// TrialRows returns the headings and the rows of the trials, by round.
func TrialRows(r *result.Result) (head []string, rows [][]string) {
	control := result.HasControl(r.Arms)
	for _, t := range result.TrialsByRound(r.Arms) {
		rows = append(rows, trialCells(t, control))
	}
	return trialHead(control), rows
}

// EvidenceTexts returns the evidence of --explain, a sentence for each arm that has some.
func EvidenceTexts(arms []result.Arm) (texts []string) {
	for _, e := range sumEvidence(arms) {
		texts = append(texts, e.String())
	}
	return texts
}
