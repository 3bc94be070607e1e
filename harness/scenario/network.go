package scenario

import (
	"cmp"
	"fmt"
	"net/netip"

	"gopkg.in/yaml.v3"

	"snatlab/harness/result"
	"snatlab/harness/scenario/network"
	"snatlab/harness/scenario/strictyaml"
)

// checkFamily refuses addresses of the other family than that of the lab.
func (c checker) checkFamily(s *Scenario, root *yaml.Node) {
	family := strictyaml.ChildOf(strictyaml.ChildOf(root, "lab"), "family")
	if s.Lab.Family == result.IPv4 {
		s.Lab.Family = "" // the default
	}
	if !c.IsSound(family) {
		return
	}
	for _, at := range []strictyaml.Path{{"network"}, {"server", "address"}} {
		for _, p := range at.FindPairs(root) {
			if s.Lab.Family == result.IPv6 {
				c.AddFault(p.Key, p.Key.Value+": has IPv4 addresses only, and lab.family is ipv6; allowed without lab.family, or with networks and a server of the lab's own")
			}
		}
	}
	labs := network.Labs(s.Lab.Family)
	for _, p := range (strictyaml.Path{"arms", "snat", "to_source"}).FindPairs(root) {
		for _, n := range p.Value.Content {
			if a, err := netip.ParseAddr(n.Value); err == nil && network.IsLab(a) && !labs.Contains(a) {
				c.AddFault(n, fmt.Sprintf("to_source: %v is not of the lab's family, %s; allowed: addresses out of %v", a, s.Family(), labs))
			}
		}
	}
}

// Family returns the family of the lab's addresses: result.IPv4 or result.IPv6.
func (s *Scenario) Family() string { return cmp.Or(s.Lab.Family, result.IPv4) }

// findTakenSources returns the addresses of arms that a netns lab already has or
// cannot use.
func findTakenSources(s *Scenario, driver string, root *yaml.Node) (found []driverFault) {
	if driver != result.DriverNetns {
		return nil
	}
	plan := network.NetnsPlan(s.Lab.Family)
	for _, p := range (strictyaml.Path{"arms", "snat", "to_source"}).FindPairs(root) {
		for _, n := range p.Value.Content {
			a, err := netip.ParseAddr(n.Value)
			if err != nil {
				continue
			}
			if what := plan.Describe(a, s.Clients, s.DNAT.Backends); what != "" {
				found = append(found, driverFault{n, fmt.Sprintf("to_source: %v is %s in a netns lab; allowed: other addresses, like %v", a, what, network.Example(s.Lab.Family))})
			}
		}
	}
	return found
}
