package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/scenario/strictyaml"
)

// Lockstep clients use the source ports that ordinary clients have. A rule with a
// range of ports (to_ports) keeps a port that is in the range, and chooses another
// one for a port that is not. So with other source ports the effect of the rule would
// differ from the effect in production.

// DefaultPorts is the kernel's default of net.ipv4.ip_local_port_range
// (inet_init_net, net/ipv4/af_inet.c).
var DefaultPorts = PortRange{First: 32768, Last: 60999}

// localPortRange is the sysctl that holds a client's range.
const localPortRange = "net.ipv4.ip_local_port_range"

// lowestPort is the first source port that lockstep uses. NAT treats lower ports
// separately (1 to 511, 512 to 1023), and a probe may not bind them.
const lowestPort = 1024

// maxRequests bounds the requests of one client in one trial.
const maxRequests = 30_000

// Len returns the number of ports in the range; 0 for the zero value.
func (r PortRange) Len() int {
	if r == (PortRange{}) {
		return 0
	}
	return int(r.Last) - int(r.First) + 1
}

// Valid reports whether the range has a port, and not port 0.
func (r PortRange) Valid() bool { return r.First > 0 && r.First <= r.Last }

// Slots returns the number of slots that a trial may have with these ports. One
// port in eight is reserved for slots that are made up.
func (r PortRange) Slots() int { return r.Len() - r.Len()/8 }

// PortsForSlots returns the number of ports with which a range has so many slots.
func PortsForSlots(slots int) int {
	if slots == 0 {
		return 0
	}
	return slots + (slots-1)/7
}

// Intersect returns the ports that are in both ranges; zero if there is none.
func (r PortRange) Intersect(other PortRange) PortRange {
	both := PortRange{max(r.First, other.First), min(r.Last, other.Last)}
	if both.First > both.Last {
		return PortRange{}
	}
	return both
}

// ClientPorts returns the source ports that lockstep clients have in every arm, if
// their own range is own. An arm that sets net.ipv4.ip_local_port_range replaces that
// range for its trials. All trials use the same ports nevertheless, so that the arms
// differ in nothing else. The result is zero if the arms have no port in common. Where
// clients open second sockets, theirs are not among them: see ReopenedPorts.
func (s *Scenario) ClientPorts(own PortRange) PortRange {
	ports, _ := s.splitReopened(s.commonPorts(own))
	return ports
}

// commonPorts returns the ports that clients have in every arm.
func (s *Scenario) commonPorts(own PortRange) PortRange {
	common := PortRange{lowestPort, 65535}
	for _, arm := range s.Arms {
		of := own
		for _, set := range arm.Sysctls.Clients {
			if r, ok := parsePorts(set.Value); ok && set.Name == localPortRange {
				of = r
			}
		}
		common = common.Intersect(of)
	}
	return common
}

// parsePorts reads the value of net.ipv4.ip_local_port_range.
func parsePorts(value string) (r PortRange, ok bool) {
	words := strings.Fields(value)
	if len(words) != 2 {
		return r, false
	}
	first, errFirst := strconv.ParseUint(words[0], 10, 16)
	last, errLast := strconv.ParseUint(words[1], 10, 16)
	ok = errFirst == nil && errLast == nil && 0 < first && first <= last
	return PortRange{uint16(first), uint16(last)}, ok
}

// Splits reports whether in an arm each client has source ports of its own.
func (s *Scenario) Splits() bool {
	return slices.ContainsFunc(s.Arms, func(a Arm) bool { return a.ClientPorts == result.SplitPorts })
}

// MaxRequests returns the number of requests that a client may send in one trial, if
// the clients have the default range of source ports. With more clients than CPUs the
// number can be lower; the number of CPUs is not known here.
func (s *Scenario) MaxRequests() int {
	most := min(maxRequests, MaxTrial/s.Clients)
	if !result.InLockstep(s.Load.Pattern) {
		return most
	}
	slots := s.ClientPorts(DefaultPorts).Slots()
	if s.Splits() {
		slots /= s.Clients
	}
	return min(most, slots)
}

// MaxConnections returns the number of connections of a trial, at most: as many as
// requests, and in lockstep as many again, of the control.
func (s *Scenario) MaxConnections() int {
	n := s.Clients * s.Load.Requests
	if s.HasControl() {
		n *= 2
	}
	return n
}

// checkPorts refuses a lockstep scenario whose trials need more source ports than
// clients have by default.
func (c checker) checkPorts(s *Scenario, root *yaml.Node) {
	load := strictyaml.ChildOf(root, "load")
	requests, clients, arms := strictyaml.ChildOf(load, "requests"), strictyaml.ChildOf(root, "clients"), strictyaml.ChildOf(root, "arms")
	c.checkPortRanges(root)
	if !result.InLockstep(s.Load.Pattern) || s.Clients*s.Load.Requests > MaxTrial || !c.IsSound(load, requests, clients, strictyaml.ChildOf(load, "pattern"), arms) {
		return
	}
	ports := s.ClientPorts(DefaultPorts)
	most := s.MaxRequests()
	switch {
	case len(s.Arms) == 0 || s.Load.Requests <= most:
	case ports.Len() == 0:
		c.AddFault(cmp.Or(c.findPortRange(root), arms), fmt.Sprintf("%s: the arms leave lockstep clients no source port that they have in all of them; allowed: ranges that overlap (without a setting it is %s)", localPortRange, DefaultPorts))
	case s.Splits():
		c.AddFault(cmp.Or(requests, clients, load, root), fmt.Sprintf("requests: %d of each of %s do not fit into the %d source ports that clients have, %s, where client_ports: split gives each client ports of its own; allowed: at most %d (one port in eight is kept for slots that are made up)",
			s.Load.Requests, format.Plural(s.Clients, "client", "clients"), ports.Len(), ports, most))
	default:
		c.AddFault(cmp.Or(requests, clients, load, root), fmt.Sprintf("requests: %d do not fit into the %d source ports that clients have, %s; allowed: at most %d (one port in eight is kept for slots that are made up)",
			s.Load.Requests, ports.Len(), ports, most))
	}
}

// Holds reports whether a range has all ports of another one.
func (r PortRange) Holds(other PortRange) bool { return r.First <= other.First && other.Last <= r.Last }

// checkAccepted refuses a server that does not accept the clients' own ports. The control,
// and the check of the path before the first trial, keep them: they would be lost in every
// arm.
func (c checker) checkAccepted(s *Scenario, root *yaml.Node) {
	at := strictyaml.ChildOf(strictyaml.ChildOf(root, "server"), "accept_source_ports")
	if at == nil || !c.IsSound(at, strictyaml.ChildOf(root, "arms"), strictyaml.ChildOf(strictyaml.ChildOf(root, "load"), "pattern")) {
		return
	}
	own := DefaultPorts
	if result.InLockstep(s.Load.Pattern) {
		own = s.ClientPorts(DefaultPorts)
	}
	if own.Len() > 0 && !s.Server.AcceptSourcePorts.Holds(own) {
		c.AddFault(at, "accept_source_ports: "+s.describeExcluded(own)+"; allowed: a range that holds them")
	}
}

// describeExcluded returns why the server must accept the ports that clients have.
func (s *Scenario) describeExcluded(own PortRange) string {
	return fmt.Sprintf("%v leaves out source ports of the clients, %v, which plain masquerade keeps: it would lose all of their requests", s.Server.AcceptSourcePorts, own)
}

// CheckAccepted returns an error if the server does not accept the ports that the clients
// have.
func (s *Scenario) CheckAccepted(own PortRange) error {
	if accept := s.Server.AcceptSourcePorts; accept.Len() > 0 && !accept.Holds(own) {
		return fmt.Errorf("server.accept_source_ports: %s (widen the range, or set net.ipv4.ip_local_port_range of the clients)", s.describeExcluded(own))
	}
	return nil
}

// checkPortRanges refuses a value of net.ipv4.ip_local_port_range that is not a range.
func (c checker) checkPortRanges(root *yaml.Node) {
	for _, p := range (strictyaml.Path{"arms", "sysctls", "clients", localPortRange}).FindPairs(root) {
		if _, ok := parsePorts(p.Value.Value); !ok && c.IsSound(p.Value) {
			c.AddFault(p.Value, fmt.Sprintf("%s: %s is not a range of ports; allowed: FIRST LAST, like %d %d", localPortRange, strictyaml.DescribeNode(p.Value), DefaultPorts.First, DefaultPorts.Last))
		}
	}
}

// checkOneRange refuses an arm that sets the range of its clients' ports twice: as a
// sysctl, and with a key that sets the same sysctl.
func (c checker) checkOneRange(arm *yaml.Node) {
	for _, key := range []string{"client_ports", "client_port_range"} {
		if strictyaml.ChildOf(arm, key) == nil {
			continue
		}
		for _, p := range (strictyaml.Path{"sysctls", "clients", localPortRange}).FindPairs(arm) {
			c.AddFault(p.Key, fmt.Sprintf("%s: stands beside %s, which sets it; allowed: one of them", localPortRange, key))
		}
	}
}

// findPortRange returns the first setting of the range in an arm, or nil.
func (c checker) findPortRange(root *yaml.Node) *yaml.Node {
	if all := (strictyaml.Path{"arms", "sysctls", "clients", localPortRange}).FindPairs(root); len(all) > 0 {
		return all[0].Value
	}
	return nil
}
