package report

import (
	"fmt"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// sourcesMax is the number of source addresses printed for an arm; result.json
// holds them all.
const sourcesMax = 8

// armLines returns the lines below an arm's rule: its other settings and, if the arm
// chooses among several, the addresses that its connections left from.
func armLines(a result.Arm) []string {
	lines := append([]string{}, a.Settings...)
	if len(a.ToSource) < 2 || len(a.Sources) == 0 {
		return lines
	}
	var texts []string
	for _, from := range a.Sources[:min(len(a.Sources), sourcesMax)] {
		texts = append(texts, fmt.Sprintf("%s (%s)", from.Address, format.Thousands(from.Connections)))
	}
	text := fmt.Sprintf("connections left from %d of %d addresses: %s", len(a.Sources), len(a.ToSource), strings.Join(texts, ", "))
	if more := len(a.Sources) - sourcesMax; more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return append(lines, text)
}
