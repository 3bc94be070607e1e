package network

import (
	"net/netip"

	"gopkg.in/yaml.v3"

	"snatlab/harness/scenario/strictyaml"
)

// Peer is the address of a server on another machine.
type Peer struct{ Into *netip.AddrPort }

var (
	broadcast   = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8") // RFC 1122: for a host that does not know its own address yet
)

// DescribeAllowed implements [strictyaml.Value].
func (Peer) DescribeAllowed() string {
	return "IPv4:port of another machine, like 192.0.2.7:9000"
}

// ReadNode implements [strictyaml.Value].
func (v Peer) ReadNode(_ *strictyaml.Decoder, _ string, n *yaml.Node) string {
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
	*v.Into = a
	return ""
}

// Schema implements [strictyaml.Value].
func (Peer) Schema() *strictyaml.Schema {
	return &strictyaml.Schema{Kind: "IPv4 address and port", Type: "string", Pattern: `^[0-9]{1,3}(\.[0-9]{1,3}){3}:[0-9]+$`}
}

// MakeNode implements [strictyaml.Value].
func (v Peer) MakeNode() *yaml.Node {
	if !v.Into.IsValid() {
		return nil
	}
	return strictyaml.ScalarNode(v.Into.String())
}

// Source is an address that a lab may add to itself, of either family.
type Source struct{ Into *netip.Addr }

// DescribeAllowed implements [strictyaml.Value].
func (Source) DescribeAllowed() string {
	return "addresses out of " + LabsIPv4.String() + ", or out of " + LabsIPv6.String() + " with lab: {family: ipv6}"
}

// ReadNode implements [strictyaml.Value].
func (v Source) ReadNode(_ *strictyaml.Decoder, _ string, n *yaml.Node) string {
	a, err := netip.ParseAddr(n.Value)
	if err != nil || !IsLab(a) {
		return strictyaml.DescribeNode(n) + " is not allowed"
	}
	*v.Into = a
	return ""
}

// Schema implements [strictyaml.Value]. The patterns are those of LabsIPv4 and LabsIPv6.
func (Source) Schema() *strictyaml.Schema {
	return &strictyaml.Schema{Kind: "address", Type: "string",
		Pattern: `^(198\.1[89]\.[0-9]{1,3}\.[0-9]{1,3}|2001:0{0,3}2:(0{1,4})?:[0-9a-fA-F:.]*)$`}
}

// MakeNode implements [strictyaml.Value].
func (v Source) MakeNode() *yaml.Node { return strictyaml.ScalarNode(v.Into.String()) }
