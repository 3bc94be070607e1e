package report

import (
	"strconv"
	"strings"

	"snatlab/harness/result"
)

// Warnings are footnotes, numbered from 1. One that opens with the name of an
// arm has its number at the head of that arm's column, any other one at the
// verdict.

// marksMax is how many numbers stand in one place.
const marksMax = 3

// warningMarks are the numbers of the warnings that are about something.
func warningMarks(warnings []string, about func(warning string) bool) string {
	text, n := "", 0
	for i, w := range warnings {
		if !about(w) {
			continue
		}
		if n++; n > marksMax {
			return text + " …"
		}
		text += " " + superscript(i+1)
	}
	return text
}

// armMarks are the numbers of the warnings about an arm.
func armMarks(warnings []string, a result.Arm) string {
	return warningMarks(warnings, func(w string) bool { return isAbout(w, a) })
}

// verdictMarks are the numbers of all other warnings.
func verdictMarks(warnings []string, arms []result.Arm) string {
	return warningMarks(warnings, func(w string) bool {
		for _, a := range arms {
			if isAbout(w, a) {
				return false
			}
		}
		return true
	})
}

func isAbout(warning string, a result.Arm) bool {
	rest, ok := strings.CutPrefix(warning, a.Name)
	return ok && (strings.HasPrefix(rest, ": ") || strings.HasPrefix(rest, ", "))
}

func superscript(n int) string {
	return strings.Map(func(digit rune) rune { return []rune("⁰¹²³⁴⁵⁶⁷⁸⁹")[digit-'0'] }, strconv.Itoa(n))
}
