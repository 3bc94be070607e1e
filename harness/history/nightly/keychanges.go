package nightly

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"snatlab/harness/result"
	"snatlab/harness/scenario/changes"
	"snatlab/harness/wording"
)

// findKeyChanges returns the changes of the key since the last run of the same scenario
// in the same kind of lab: "docker 28.1.0 -> 28.1.1". It is empty if there is no such
// run.
func findKeyChanges(tonight result.Key, before []result.RunSummary) string {
	for _, r := range slices.Backward(before) {
		if r.Incomplete == "" && isSameLab(r.Key, tonight) {
			return listKeyChanges(r.Key, tonight)
		}
	}
	return ""
}

// findScenarioChanges returns what differs between the scenario and that of its last run,
// if no earlier run had the same: "scenario: rounds 8 -> 6". The file may be the same:
// another version of snatlab has other defaults.
func (t *scenarioRun) findScenarioChanges(tonight *result.Result) string {
	now := result.KeyOf(tonight)
	isOfName := func(r result.RunSummary) bool {
		other := r.Key
		other.Hash = now.Hash
		return isSameLab(other, now)
	}
	if slices.ContainsFunc(t.before, func(r result.RunSummary) bool { return isSameLab(r.Key, now) }) {
		return ""
	}
	for _, r := range slices.Backward(t.before) {
		if !isOfName(r) {
			continue
		}
		last, err := t.Store.Read(r)
		if err != nil {
			return ""
		}
		return "scenario: " + wording.ScenarioChanges(changes.List(last, tonight))
	}
	return ""
}

// isSameLab reports whether both keys are of one scenario in one kind of lab. A run
// with another driver, or in a guest, is no later run in the same lab.
func isSameLab(a, b result.Key) bool {
	return a.Scenario == b.Scenario && a.Hash == b.Hash && a.Driver == b.Driver && a.Rootless == b.Rootless && a.Guest == b.Guest
}

// listKeyChanges returns the facts that differ, "docker 28.1.0 -> 28.1.1".
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
