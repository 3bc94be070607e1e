package nightly

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"snatlab/harness/result"
)

// findKeyChanges says what has changed since the last run of the same scenario in the same
// kind of lab, where nothing was made under the key of tonight: "docker 28.1.0 ->
// 28.1.1". It is empty where there is no such run.
func findKeyChanges(tonight result.Key, before []result.RunSummary) string {
	for _, r := range slices.Backward(before) {
		if r.Incomplete == "" && isSameLab(r.Key, tonight) {
			return listKeyChanges(r.Key, tonight)
		}
	}
	return ""
}

// isSameLab leaves out what changes under a lab. With another driver, or in a
// guest, a run is not a later one of the same thing.
func isSameLab(a, b result.Key) bool {
	return a.Scenario == b.Scenario && a.Hash == b.Hash && a.Driver == b.Driver && a.Rootless == b.Rootless && a.Guest == b.Guest
}

func listKeyChanges(old, new result.Key) string {
	var all []string
	before := old.Facts()
	for i, f := range new.Facts() {
		if f.Value != before[i].Value {
			all = append(all, fmt.Sprintf("%s %s -> %s", f.Label, cmp.Or(before[i].Value, "unknown"), cmp.Or(f.Value, "unknown")))
		}
	}
	return strings.Join(all, ", ")
}
