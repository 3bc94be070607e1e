package report

import (
	"slices"

	"snatlab/harness/report/layout"
	"snatlab/harness/result"
)

// Warnings are footnotes, numbered from 1. The number of a warning about an arm is
// printed in the heading of that arm, and any other number at the verdict.

// warningArms returns the name of the arm that each warning is about, in the order
// of Warnings. It is empty for a warning about the run.
func warningArms(r *result.Result) []string {
	names := make([]string, len(r.Warnings))
	for i, w := range r.WarningValues[:min(len(names), len(r.WarningValues))] {
		names[i] = w.Arm
	}
	return names
}

// warningMarks returns the numbers of the warnings about the arms that about selects.
// warningArms holds the name of the arm of each warning.
func warningMarks(warningArms []string, about func(arm string) bool) string {
	var numbers []int
	for i, arm := range warningArms {
		if about(arm) {
			numbers = append(numbers, i+1)
		}
	}
	return layout.Marks(numbers)
}

// armMarks returns the numbers of the warnings about an arm.
func armMarks(warningArms []string, a result.Arm) string {
	return warningMarks(warningArms, func(arm string) bool { return arm == a.Name })
}

// verdictMarks returns the numbers of the warnings about no arm.
func verdictMarks(warningArms []string, arms []result.Arm) string {
	return warningMarks(warningArms, func(arm string) bool {
		return !slices.ContainsFunc(arms, func(a result.Arm) bool { return a.Name == arm })
	})
}
