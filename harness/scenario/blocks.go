package scenario

import (
	"cmp"
	"fmt"

	"gopkg.in/yaml.v3"

	"snatlab/harness/scenario/strictyaml"
)

// allNATPorts are the ports from which NAT chooses if a rule has no range: see NATPorts.
var allNATPorts = PortRange{65536 - NATPorts, 65535}

// ToPorts returns the range of ports that the arm's rule translates to, the first of several,
// or that blocks for its clients are cut from; zero if it has none.
func (a Arm) ToPorts() PortRange {
	to := a.Masquerade.ToPorts
	if len(a.SNAT.ToPorts) > 0 {
		to = a.SNAT.ToPorts[0]
	}
	if a.SNAT.PortsPerClient > 0 {
		return cmp.Or(to, allNATPorts)
	}
	return to
}

// portsKey returns the key that sets the ports of the arm's rule.
func (a Arm) portsKey() string {
	if a.SNAT.PortsPerClient > 0 {
		return "ports_per_client"
	}
	return "to_ports"
}

// UsedPorts returns the range of ports that the arm's rules translate so many clients to:
// ToPorts, or the part of it that the blocks of the clients fill.
func (a Arm) UsedPorts(clients int) PortRange {
	to := a.ToPorts()
	if n := a.SNAT.PortsPerClient; n > 0 {
		to.Last = to.First + uint16(n*clients-1)
	}
	return to
}

// checkBlocks refuses blocks that do not fit into the range of ports that they are cut from.
func (c checker) checkBlocks(s *Scenario, root *yaml.Node) {
	clients := strictyaml.ChildOf(root, "clients")
	for i, arm := range s.Arms {
		to := strictyaml.ChildOf(strictyaml.ChildOf(root, "arms").Content[i], "snat")
		at, n := strictyaml.ChildOf(to, "ports_per_client"), arm.SNAT.PortsPerClient
		if at == nil || !c.IsSound(to, at, clients, strictyaml.ChildOf(to, "to_ports")) {
			continue
		}
		switch from := arm.ToPorts(); {
		case s.Clients > from.Len():
			c.AddFault(at, fmt.Sprintf("ports_per_client: %v has fewer ports than there are clients, %d; allowed: a wider to_ports, or fewer clients", from, s.Clients))
		case n*s.Clients > from.Len():
			c.AddFault(at, fmt.Sprintf("ports_per_client: %d clients x %d ports are %d; allowed: at most %d for each client (the blocks are cut from %v)",
				s.Clients, n, n*s.Clients, from.Len()/s.Clients, from))
		}
	}
}
