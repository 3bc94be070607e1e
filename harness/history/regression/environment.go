package regression

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"snatlab/harness/result"
)

// differences lists what of the environment is not the same on both sides: first
// what is part of the key.
func differences(before, after Group) (all []result.Difference) {
	old, new := factsOf(before), factsOf(after)
	for _, what := range slices.Concat(keyFacts, otherFacts(old, new)) {
		if a, b := old[what], new[what]; a != b {
			all = append(all, result.Difference{What: what, Old: a, New: b, Key: slices.Contains(keyFacts, what)})
		}
	}
	return all
}

// keyFacts are those of a key, by their names in JSON, but for the scenario's.
var keyFacts = []string{"arch", "cpus", "driver", "rootless", "nat", "docker", "firewall", "iptables", "virtualisation", "guest"}

// otherFacts lists those that are no part of a key, but may account for a
// difference.
func otherFacts(old, new map[string]string) (names []string) {
	all := map[string]bool{}
	for _, facts := range []map[string]string{old, new} {
		for name := range facts {
			all[name] = !slices.Contains(keyFacts, name)
		}
	}
	maps.DeleteFunc(all, func(_ string, other bool) bool { return !other })
	return slices.Sorted(maps.Keys(all))
}

// factsOf gives the values of every fact in a group, each once.
func factsOf(g Group) map[string]string {
	values := map[string][]string{}
	for _, r := range g.Results {
		for name, value := range facts(r) {
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

func facts(r *result.Result) map[string]string {
	e := r.Environment
	all := map[string]string{
		"snatlab": r.Version, "cpu_model": deref(e.CPUModel), "cpu_governor": deref(e.Governor), "cpus_online": fmt.Sprint(e.CPUsOnline),
	}
	for name, value := range e.Sysctls {
		all["sysctl "+name] = value
	}
	var key map[string]any
	text, _ := json.Marshal(result.KeyOf(r)) // strings, numbers and booleans
	_ = json.Unmarshal(text, &key)
	for _, name := range keyFacts {
		all[name] = fmt.Sprint(key[name])
	}
	return all
}

// deref returns the string that s points to, or "" for nil.
func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
