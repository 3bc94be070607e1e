package nightly

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"snatlab/harness/result"
)

// anew says what has changed since the last run of the same scenario in the same
// kind of lab, where nothing was made under the key of tonight: "docker 28.1.0 ->
// 28.1.1". It is empty where there is no such run.
func anew(tonight result.Key, before []result.RunSummary) string {
	for _, r := range slices.Backward(before) {
		if r.Incomplete == "" && isSameLab(r.Key, tonight) {
			return changes(r.Key, tonight)
		}
	}
	return ""
}

// isSameLab leaves out what changes under a lab. With another driver, or in a
// guest, a run is not a later one of the same thing.
func isSameLab(a, b result.Key) bool {
	return a.Scenario == b.Scenario && a.Hash == b.Hash && a.Driver == b.Driver && a.Rootless == b.Rootless && a.Guest == b.Guest
}

func changes(old, new result.Key) string {
	var all []string
	for _, fact := range []struct{ name, old, new string }{
		{"architecture", old.Arch, new.Arch},
		{"CPUs", fmt.Sprint(old.CPUs), fmt.Sprint(new.CPUs)},
		{"NAT", old.NAT, new.NAT},
		{"docker", old.Docker, new.Docker},
		{"firewall", old.Firewall, new.Firewall},
		{"iptables", old.Iptables, new.Iptables},
		{"virtualisation", old.Virtualisation, new.Virtualisation},
	} {
		if fact.old != fact.new {
			all = append(all, fmt.Sprintf("%s %s -> %s", fact.name, cmp.Or(fact.old, "unknown"), cmp.Or(fact.new, "unknown")))
		}
	}
	return strings.Join(all, ", ")
}
