package scenario

import (
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"

	"snatlab/harness/result"
	"snatlab/harness/scenario/strictyaml"
)

// Pattern dns: each request is the look-up of a name, with two queries.

// resolvers are the ways in which an arm may send the queries.
var resolvers = []string{result.SingleRequest, result.SingleRequestReopen, result.UseVC}

// Reopens reports whether the clients open a second socket for each look-up in an arm.
func (s *Scenario) Reopens() bool {
	return slices.ContainsFunc(s.Arms, func(a Arm) bool { return a.Resolver == result.SingleRequestReopen })
}

// splitReopened parts the source ports of clients: the last third is for second sockets. If
// they left from a port of a later slot, that slot would find it in NAT's memory, and could
// not collide.
func (s *Scenario) splitReopened(ports PortRange) (own, reopened PortRange) {
	if !s.Reopens() || ports.Len() < 3 {
		return ports, PortRange{}
	}
	border := ports.Last - uint16(ports.Len()/3)
	return PortRange{ports.First, border}, PortRange{border + 1, ports.Last}
}

// ReopenedPorts returns the source ports of second sockets, if the clients' own range is
// own; zero if no arm opens them.
func (s *Scenario) ReopenedPorts(own PortRange) PortRange {
	_, reopened := s.splitReopened(s.commonPorts(own))
	return reopened
}

// checkLookups refuses what is impossible with look-ups, and the keys of look-ups where the
// requests are others. It sets the defaults of look-ups.
func (c checker) checkLookups(s *Scenario, root *yaml.Node) {
	load, arms := strictyaml.ChildOf(root, "load"), strictyaml.ChildOf(root, "arms")
	protocol := strictyaml.ChildOf(load, "protocol")
	if !c.IsSound(load, strictyaml.ChildOf(load, "pattern"), protocol, arms) {
		return
	}
	if s.Load.Pattern != result.DNS {
		for _, at := range []strictyaml.Path{{"load", "threads"}, {"arms", "resolver"}, {"arms", "notrack"}} {
			for _, p := range at.FindPairs(root) {
				c.AddFault(p.Key, fmt.Sprintf("%s: belongs to pattern %s; the pattern here is %s", p.Key.Value, result.DNS, s.Load.Pattern))
			}
		}
		return
	}
	if protocol != nil && s.Load.Protocol != result.UDP {
		c.AddFault(protocol, fmt.Sprintf("protocol: look-ups are made over %s; allowed: %s, and over TCP an arm with resolver: %s", result.UDP, result.UDP, result.UseVC))
	}
	s.Load.Protocol, s.Load.Threads = result.UDP, max(1, s.Load.Threads)
	for i, a := range s.Arms {
		c.checkNoTrack(s, i, strictyaml.ChildOf(arms.Content[i], "notrack"))
		at := strictyaml.ChildOf(arms.Content[i], "resolver")
		if at == nil || !c.IsSound(at) {
			continue
		}
		switch {
		case i == 0:
			c.AddFault(at, "resolver: the first arm is what others are compared with, and sends both queries at once, as the control does; allowed in the arms after it")
		case a.Resolver != result.UseVC:
		case a.ToPorts().Len() > 0:
			c.AddFault(at, fmt.Sprintf("resolver: use-vc is TCP, and a rule with %[1]s is for UDP here; allowed without %[1]s", a.portsKey()))
		case s.Server.AcceptSourcePorts.Len() > 0:
			c.AddFault(at, "resolver: use-vc is TCP, and the filter of server.accept_source_ports is for UDP here; allowed without it")
		}
	}
	for i, e := range s.Expect {
		at := slices.IndexFunc(s.Arms, func(a Arm) bool { return a.Name == e.Arm })
		if list := strictyaml.ChildOf(root, "expect"); at > 0 && (s.Arms[at].Resolver != "" || s.Arms[at].NoTrack) && (e.P50 != nil || e.P99 != nil) {
			c.AddFault(list.Content[i], fmt.Sprintf("expect: %s sends its packets in another way than the first arm, so their latencies are not compared; allowed: claims about failures", strictyaml.QuoteText(e.Arm)))
		}
	}
}

// checkNoTrack refuses packets without conntrack where they are to be translated.
func (c checker) checkNoTrack(s *Scenario, i int, at *yaml.Node) {
	a := s.Arms[i]
	if at == nil || !c.IsSound(at) || !a.NoTrack {
		return
	}
	switch {
	case i == 0:
		c.AddFault(at, "notrack: the first arm is what others are compared with, and its look-ups are translated; allowed in the arms after it")
	case a.Masquerade != MasqueradeOptions{} || len(a.SNAT.ToSource) > 0:
		c.AddFault(at, "notrack: what is not tracked is not translated; allowed without masquerade and snat")
	case s.DNAT.Backends > 0:
		c.AddFault(at, "notrack: what is not tracked is not translated to a backend; allowed without dnat")
	case s.Server.AcceptSourcePorts.Len() > 0:
		c.AddFault(at, "notrack: what is not tracked keeps its source port; allowed without server.accept_source_ports")
	}
}
