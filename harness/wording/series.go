package wording

import (
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// SeriesName returns a line that identifies a series by its key.
func SeriesName(k result.Key) string { return k.Scenario + ": " + Conditions(k) + ", hash " + k.Hash }

// RunName returns the ID of a run, with its label if it has one.
func RunName(r *result.Result) string {
	if r.Label == "" {
		return r.ID
	}
	return r.ID + " (" + r.Label + ")"
}

// ByHand returns what is added to the name of a series of runs by hand.
func ByHand(byHand bool) string {
	if byHand {
		return ", by hand"
	}
	return ""
}

// Conditions lists the facts of a key without the scenario: "docker 28.5.2, iptables
// 1.8.9 (nft), amd64, 2 CPUs".
func Conditions(k result.Key) string {
	parts := []string{DriverName(k.Driver, k.Rootless)}
	if k.Engine != "" {
		parts[0] += " (" + k.Engine + ")"
	}
	if k.Docker != "" {
		parts[0] += " " + k.Docker
	}
	if k.Firewall != "" {
		parts = append(parts, "firewall "+k.Firewall)
	}
	switch {
	case k.Iptables != "":
		parts = append(parts, "iptables "+k.Iptables)
	case k.NAT != "":
		parts = append(parts, k.NAT)
	}
	parts = append(parts, k.Arch, format.Plural(k.CPUs, "CPU", "CPUs"))
	if k.Node != "" {
		parts = append(parts, "node "+k.Node)
	}
	if k.Virtualisation != "" {
		parts = append(parts, "virtualisation "+k.Virtualisation)
	}
	if k.Guest != "" {
		parts = append(parts, "guest under "+k.Guest)
	}
	return strings.Join(parts, ", ")
}
