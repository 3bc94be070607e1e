package regression

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"snatlab/harness/history/store"
	"snatlab/harness/result"
)

// findDifferences lists the facts of the environment that differ between the groups:
// first those that are part of the key.
func findDifferences(before, after store.Group) (all []result.Difference) {
	old, new := joinFacts(before), joinFacts(after)
	var key []string
	for _, f := range listLabFacts(result.Key{}) {
		key = append(key, f.Name)
	}
	for _, what := range slices.Concat(key, listOtherFacts(old, new, key)) {
		if a, b := old[what], new[what]; a != b {
			all = append(all, result.Difference{What: what, Old: a, New: b, Key: slices.Contains(key, what)})
		}
	}
	return all
}

// listLabFacts returns the facts of a key without the scenario's, which both groups
// have in common.
func listLabFacts(k result.Key) []result.Fact {
	return slices.DeleteFunc(k.Facts(), func(f result.Fact) bool { return f.Name == "scenario" || f.Name == "hash" })
}

// listOtherFacts lists the facts that are no part of a key, but may account for a
// difference.
func listOtherFacts(old, new map[string]string, key []string) (names []string) {
	all := map[string]bool{}
	for _, facts := range []map[string]string{old, new} {
		for name := range facts {
			all[name] = !slices.Contains(key, name)
		}
	}
	maps.DeleteFunc(all, func(_ string, other bool) bool { return !other })
	return slices.Sorted(maps.Keys(all))
}

// joinFacts returns the facts of a group. A fact with several values has each once.
func joinFacts(g store.Group) map[string]string {
	values := map[string][]string{}
	for _, r := range g.Results {
		for name, value := range listFacts(r) {
			if !slices.Contains(values[name], value) {
				values[name] = append(values[name], value)
			}
		}
	}
	facts := map[string]string{}
	for name, all := range values {
		facts[name] = strings.Join(all, ", ")
	}
	return facts
}

// listFacts returns the facts of a run that can account for a difference, and those
// of its key.
func listFacts(r *result.Result) map[string]string {
	e := r.Environment
	all := map[string]string{
		"snatlab": r.Version, "cpu_model": derefString(e.CPUModel), "cpu_governor": derefString(e.Governor), "cpus_online": fmt.Sprint(e.CPUsOnline),
	}
	for name, value := range e.Sysctls {
		all["sysctl "+name] = value
	}
	for _, f := range listLabFacts(result.KeyOf(r)) {
		all[f.Name] = f.Value
	}
	return all
}

// derefString returns the string that s points to, or "" for nil.
func derefString(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
