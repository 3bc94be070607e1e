// Package nattest holds what the tests of nat and of its parts share: a network
// namespace with a client network in it, traffic out of that network, and
// the rules that other programs may have there.
package nattest

import (
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/netnstest"
)

// Bridge is that of the network whose rule the tests write.
const Bridge = "snat-c"

// Network is that network in one family of addresses.
type Network struct {
	Subnet netip.Prefix
	// ClientAddress is that of a client, OutAddress the one that it is translated
	// to. No machine has ServerAddress: packets to it pass all rules.
	ClientAddress, OutAddress, ServerAddress netip.Addr
	Out                                      netip.Prefix // that of OutAddress and ServerAddress
}

var (
	IPv4 = Network{
		Subnet:        netip.MustParsePrefix("198.18.0.0/24"),
		ClientAddress: netip.MustParseAddr("198.18.0.1"),
		OutAddress:    netip.MustParseAddr("192.0.2.1"),
		ServerAddress: netip.MustParseAddr("192.0.2.9"),
		Out:           netip.MustParsePrefix("192.0.2.0/24"),
	}
	IPv6 = Network{
		Subnet:        netip.MustParsePrefix("2001:2::/64"),
		ClientAddress: netip.MustParseAddr("2001:2::1"),
		OutAddress:    netip.MustParseAddr("2001:2:0:1::1"),
		ServerAddress: netip.MustParseAddr("2001:2:0:1::9"),
		Out:           netip.MustParsePrefix("2001:2:0:1::/64"),
	}
)

// Those of the network in IPv4.
var (
	Subnet        = IPv4.Subnet
	ClientAddress = IPv4.ClientAddress
	OutAddress    = IPv4.OutAddress
	ServerAddress = IPv4.ServerAddress
)

// NetworkOf returns the network in the family of an address.
func NetworkOf(a netip.Addr) Network {
	if a.Is6() {
		return IPv6
	}
	return IPv4
}

// Other returns the network in the other family.
func (n Network) Other() Network {
	if n == IPv4 {
		return IPv6
	}
	return IPv4
}

// Family returns "ip" or "ip6", the family of tables of nftables.
func (n Network) Family() string {
	if n == IPv6 {
		return "ip6"
	}
	return "ip"
}

// IPTables returns "iptables" or "ip6tables".
func (n Network) IPTables() string { return n.Family() + "tables" }

// EnterNamespace moves the test into a new network namespace with the client
// network in both families and an interface that leads out of it.
func EnterNamespace(t *testing.T) {
	t.Helper()
	netnstest.Enter(t)
	addClientNetwork(t)
}

// addClientNetwork makes the bridge and the interface that leads out. They are
// the two ends of one veth pair, so that both are up.
func addClientNetwork(t *testing.T) {
	t.Helper()
	const out = "out"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: Bridge}, PeerName: out}); err != nil {
		t.Fatalf("add interfaces: %v", err)
	}
	for _, n := range []Network{IPv4, IPv6} {
		addAddress(t, Bridge, netip.PrefixFrom(n.ClientAddress, n.Subnet.Bits()))
		addAddress(t, out, netip.PrefixFrom(n.OutAddress, n.Out.Bits()))
	}
	for _, name := range []string{Bridge, out} {
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			t.Fatalf("set %s up: %v", name, err)
		}
	}
}

// addAddress adds an address to an interface, without a check for duplicates.
func addAddress(t *testing.T, name string, p netip.Prefix) {
	t.Helper()
	a, err := netlink.ParseAddr(p.String())
	if err != nil {
		t.Fatal(err)
	}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.AddrAdd(link, a)
	}
	if err != nil {
		t.Fatalf("add %v to %s: %v", p, name, err)
	}
}
