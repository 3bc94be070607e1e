package wording

import (
	"cmp"
	"fmt"
	"strings"

	"snatlab/harness/result"
)

// mostChanges bounds the changes that a sentence lists.
const mostChanges = 12

// ScenarioChanges lists what differs between two scenarios: "rounds 8 -> 6, seed 1 ->
// none". complete is false if the earlier result recorded only some of the keys.
func ScenarioChanges(changes []result.Difference, complete bool) string {
	var parts []string
	for _, d := range changes[:min(len(changes), mostChanges)] {
		parts = append(parts, fmt.Sprintf("%s %s -> %s", d.What, cmp.Or(d.Old, "none"), cmp.Or(d.New, "none")))
	}
	if more := len(changes) - len(parts); more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	switch {
	case complete:
	case len(parts) == 0:
		return "keys that the earlier result does not record"
	default:
		parts = append(parts, "and what the earlier result does not record")
	}
	return strings.Join(parts, ", ")
}
