package scenario

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"

	"gopkg.in/yaml.v3"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/scenario/strictyaml"
)

// The values that are addresses or ports.

// addressValue is the address of a server on another machine.
type addressValue struct{ into *netip.AddrPort }

var (
	broadcast   = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8") // RFC 1122: for a host that does not know its own address yet
)

func (addressValue) DescribeAllowed() string {
	return "IPv4:port of another machine, like 192.0.2.7:9000"
}

func (v addressValue) ReadNode(_ *strictyaml.Decoder, _ string, n *yaml.Node) string {
	a, err := netip.ParseAddrPort(n.Value)
	ip := a.Addr()
	switch {
	case err != nil || !ip.Is4():
		return strictyaml.DescribeNode(n) + " is not an IPv4 address with a port"
	case a.Port() == 0:
		return strictyaml.DescribeNode(n) + " has port 0"
	case ip.IsLoopback():
		return strictyaml.DescribeNode(n) + " is loopback, which no masquerade rule leads to"
	case thisNetwork.Contains(ip), ip.IsMulticast(), ip == broadcast:
		return strictyaml.DescribeNode(n) + " is not the address of one machine"
	}
	*v.into = a
	return ""
}

func (addressValue) Schema() *strictyaml.Schema {
	return &strictyaml.Schema{Kind: "IPv4 address and port", Type: "string", Pattern: `^[0-9]{1,3}(\.[0-9]{1,3}){3}:[0-9]+$`}
}

func (v addressValue) MakeNode() *yaml.Node {
	if !v.into.IsValid() {
		return nil
	}
	return strictyaml.ScalarNode(v.into.String())
}

// sourceValue is an address that a lab may add to itself.
type sourceValue struct{ into *netip.Addr }

// LabAddresses is the range of the addresses of every lab: RFC 2544, for benchmarks.
// No real network uses it.
var LabAddresses = netip.MustParsePrefix("198.18.0.0/15")

func (sourceValue) DescribeAllowed() string { return "IPv4 addresses out of " + LabAddresses.String() }

func (v sourceValue) ReadNode(_ *strictyaml.Decoder, _ string, n *yaml.Node) string {
	a, err := netip.ParseAddr(n.Value)
	if err != nil || !LabAddresses.Contains(a) {
		return strictyaml.DescribeNode(n) + " is not allowed"
	}
	*v.into = a
	return ""
}

func (sourceValue) Schema() *strictyaml.Schema { // the pattern is that of LabAddresses
	return &strictyaml.Schema{Kind: "IPv4 address", Type: "string", Pattern: `^198\.1[89]\.[0-9]{1,3}\.[0-9]{1,3}$`}
}

func (v sourceValue) MakeNode() *yaml.Node { return strictyaml.ScalarNode(v.into.String()) }

// The networks of a netns lab. They exist only in its namespaces, so every lab has the
// same ones. In both, the router has the first address, and the clients or the server
// have the next ones.
var (
	NetnsClients = netip.MustParsePrefix("198.18.0.0/24")
	NetnsServer  = netip.MustParsePrefix("198.18.1.0/24")
)

// describeNetnsAddress returns the use of an address in a netns lab, if connections
// cannot be translated to it; empty if they can.
func describeNetnsAddress(a netip.Addr, clients, backends int) string {
	first := NetnsClients.Addr().Next()
	router, server := NetnsServer.Addr().Next(), NetnsServer.Addr().Next().Next()
	last := NetnsServer.Addr().As4()
	last[3] = 255
	broadcast := netip.AddrFrom4(last)
	switch {
	case a == first, a == router:
		return "the router's own address"
	case a == server:
		return "the server's own address"
	case backends > 0 && a == broadcast.Prev():
		return "the address of the service"
	case NetnsServer.Contains(a) && a.Compare(server) > 0 && int(a.As4()[3])-int(server.As4()[3]) < backends:
		return "the address of a backend"
	case NetnsClients.Contains(a) && int(a.As4()[3])-int(first.As4()[3]) <= clients && a.Compare(first) > 0:
		return "a client's own address"
	case a == broadcast:
		return "the broadcast address of the server's network"
	case a == NetnsServer.Addr():
		// Before Linux 5.14 this is a second broadcast address (fib_add_ifaddr in
		// net/ipv4/fib_frontend.c).
		return "the address of the server's network itself"
	}
	return ""
}

// findTakenSources returns the addresses of arms that a netns lab already has or
// cannot use.
func findTakenSources(s *Scenario, driver string, root *yaml.Node) (found []driverFault) {
	if driver != result.DriverNetns {
		return nil
	}
	for _, p := range (strictyaml.Path{"arms", "snat", "to_source"}).FindPairs(root) {
		for _, n := range p.Value.Content {
			a, err := netip.ParseAddr(n.Value)
			if err != nil || !a.Is4() {
				continue
			}
			if what := describeNetnsAddress(a, s.Clients, s.DNAT.Backends); what != "" {
				found = append(found, driverFault{n, fmt.Sprintf("to_source: %v is %s in a netns lab; allowed: other addresses, like 198.19.0.1", a, what)})
			}
		}
	}
	return found
}

// MostTrials returns the number of trials of a run at most, including the path check and
// the warm-up. Each of them uses a port of the server.
func (s *Scenario) MostTrials() int { return 2 + s.MostRounds()*len(s.Arms) }

// HasControl reports whether trials of the scenario have a control.
func (s *Scenario) HasControl() bool { return result.InLockstep(s.Load.Pattern) }

// describePortShortage returns the fault of a server on another machine that has too
// few ports after that of its address; empty if it has enough.
func (s *Scenario) describePortShortage() string {
	if !s.Server.Address.IsValid() {
		return ""
	}
	left, needed, uses := 65535-int(s.Server.Address.Port()), s.MostTrials(), "one for each trial, for the warm-up and for the path check"
	if s.HasControl() {
		needed, uses = needed+1, "one for each trial, for the warm-up, for the path check and for the control"
	}
	if needed <= left {
		return ""
	}
	return fmt.Sprintf("address: %s %d, and %d are needed for %s of %s, %s; allowed: a port up to %d",
		format.Plural(left, "port follows", "ports follow"), s.Server.Address.Port(), needed,
		format.Plural(s.MostRounds(), "round", "rounds"), format.Plural(len(s.Arms), "arm", "arms"), uses, max(0, 65535-needed))
}

// checkServerPorts refuses the address of a server that has no port for each trial.
func (c checker) checkServerPorts(s *Scenario, root *yaml.Node) {
	at := strictyaml.ChildOf(strictyaml.ChildOf(root, "server"), "address")
	load := strictyaml.ChildOf(root, "load")
	if at == nil || !c.IsSound(strictyaml.ChildOf(root, "server"), at, strictyaml.ChildOf(root, "rounds"), strictyaml.ChildOf(root, "until"), strictyaml.ChildOf(root, "arms"), load, strictyaml.ChildOf(load, "pattern")) {
		return
	}
	if problem := s.describePortShortage(); problem != "" {
		c.AddFault(at, problem)
	}
}

// portRangeValue is a range of ports, both ends included.
type portRangeValue struct {
	into   *PortRange
	bounds strictyaml.Span
	why    string // the reason for these bounds; may be empty
}

var portRangeForm = regexp.MustCompile(`^([1-9][0-9]{0,4})-([1-9][0-9]{0,4})$`)

func (v portRangeValue) DescribeAllowed() string {
	return fmt.Sprintf("FIRST-LAST out of %s%s", v.bounds, v.why)
}

func (v portRangeValue) ReadNode(_ *strictyaml.Decoder, _ string, n *yaml.Node) string {
	match := portRangeForm.FindStringSubmatch(n.Value)
	if match == nil {
		return strictyaml.DescribeNode(n) + " is not a range of ports"
	}
	first, _ := strconv.ParseUint(match[1], 10, 64) // five digits are a number
	last, _ := strconv.ParseUint(match[2], 10, 64)
	switch {
	case !v.bounds.Contains(first) || !v.bounds.Contains(last):
		return n.Value + " is out of range"
	case first > last:
		return n.Value + " ends before it begins"
	}
	*v.into = PortRange{uint16(first), uint16(last)}
	return ""
}

func (portRangeValue) Schema() *strictyaml.Schema {
	return &strictyaml.Schema{Kind: "range of ports", Type: "string", Pattern: portRangeForm.String()}
}

func (v portRangeValue) MakeNode() *yaml.Node {
	if *v.into == (PortRange{}) {
		return nil
	}
	return strictyaml.ScalarNode(v.into.String())
}
