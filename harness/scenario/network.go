package scenario

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"

	"gopkg.in/yaml.v3"
)

// The values that name places on the network: addresses and ports.

// address is where a server on another machine listens.
type address struct{ into *netip.AddrPort }

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

func (address) allowed() string {
	return "IPv4:port of another machine, like 192.0.2.7:9000"
}

func (v address) read(_ *decoder, _ string, n *yaml.Node) string {
	a, err := netip.ParseAddrPort(n.Value)
	ip := a.Addr()
	switch {
	case err != nil || !ip.Is4():
		return describe(n) + " is not an IPv4 address with a port"
	case a.Port() == 0:
		return describe(n) + " has port 0"
	case ip.IsLoopback():
		return describe(n) + " is loopback, which no masquerade rule leads to"
	case ip.IsUnspecified(), ip.IsMulticast(), ip == broadcast:
		return describe(n) + " is not the address of one machine"
	}
	*v.into = a
	return ""
}

func (v address) node() *yaml.Node {
	if !v.into.IsValid() {
		return nil
	}
	return scalar(v.into.String())
}

// source is an address that a lab may give itself.
type source struct{ into *netip.Addr }

// LabAddresses is the range that every lab takes its addresses from: RFC 2544, for
// benchmarks. It is nobody's network.
var LabAddresses = netip.MustParsePrefix("198.18.0.0/15")

func (source) allowed() string { return "IPv4 addresses out of " + LabAddresses.String() }

func (v source) read(_ *decoder, _ string, n *yaml.Node) string {
	a, err := netip.ParseAddr(n.Value)
	if err != nil || !LabAddresses.Contains(a) {
		return describe(n) + " is not allowed"
	}
	*v.into = a
	return ""
}

func (v source) node() *yaml.Node { return scalar(v.into.String()) }

// portRange is a range of ports, both ends included.
type portRange struct {
	into   *PortRange
	bounds span
	why    string // these bounds; may be empty
}

var rangeForm = regexp.MustCompile(`^([1-9][0-9]{0,4})-([1-9][0-9]{0,4})$`)

func (v portRange) allowed() string {
	return fmt.Sprintf("FIRST-LAST out of %s%s", v.bounds, v.why)
}

func (v portRange) read(_ *decoder, _ string, n *yaml.Node) string {
	match := rangeForm.FindStringSubmatch(n.Value)
	if match == nil {
		return describe(n) + " is not a range of ports"
	}
	first, _ := strconv.ParseUint(match[1], 10, 64) // five digits are a number
	last, _ := strconv.ParseUint(match[2], 10, 64)
	switch {
	case !v.bounds.holds(first) || !v.bounds.holds(last):
		return n.Value + " is out of range"
	case first > last:
		return n.Value + " ends before it begins"
	}
	*v.into = PortRange{uint16(first), uint16(last)}
	return ""
}

func (v portRange) node() *yaml.Node {
	if *v.into == (PortRange{}) {
		return nil
	}
	return scalar(v.into.String())
}
