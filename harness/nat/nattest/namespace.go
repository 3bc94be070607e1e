// Package nattest holds what the tests of nat and of its parts share: a network
// namespace with a client network in it, traffic out of that network, and
// the rules that other programs may have there.
package nattest

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"snatlab/harness/netnstest"
)

// Subnet and Bridge are those of the network whose rule the tests write.
var Subnet = netip.MustParsePrefix("198.18.0.0/24")

const Bridge = "snat-c"

// ClientAddress is that of a client, OutAddress the one that it is translated
// to. No machine has ServerAddress: packets to it pass all rules.
var (
	ClientAddress = netip.MustParseAddr("198.18.0.1")
	OutAddress    = netip.MustParseAddr("192.0.2.1")
	ServerAddress = netip.MustParseAddr("192.0.2.9")
)

// EnterNamespace moves the test into a new network namespace with the client
// network and an interface that leads out of it.
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
	for name, address := range map[string]netip.Addr{Bridge: ClientAddress, out: OutAddress} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		a, err := netlink.ParseAddr(address.String() + "/24")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(netlink.AddrAdd(link, a), netlink.LinkSetUp(link)); err != nil {
			t.Fatalf("add %s to %s: %v", address, name, err)
		}
	}
}
