package untracked

import (
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/nat/snat"
	"snatlab/harness/netnstest"
)

// send sends a datagram from an address and a port to another address.
func send(t *testing.T, from netip.AddrPort, to netip.Addr) {
	t.Helper()
	conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(from), net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 5353)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
}

// Packets to the server are counted and have no entry, except for those from the tracked
// ports, in each family. The rules are made once, and must be there when they are read.
func TestRules(t *testing.T) {
	for want, rules := range map[string]Rules{
		"ip saddr 127.0.1.0/24 ip daddr 127.0.0.1 th sport != 40000-49999 counter notrack": {Clients: netip.MustParsePrefix("127.0.1.0/24"), Server: netip.MustParseAddr("127.0.0.1")},
		"ip6 saddr 2001:2::/64 ip6 daddr ::1 th sport != 40000-49999 counter notrack":      {Clients: netip.MustParsePrefix("2001:2::/64"), Server: netip.MustParseAddr("::1")},
	} {
		t.Run(rules.Server.String(), func(t *testing.T) {
			rules.Tracked = snat.PortRange{First: 40_000, Last: 49_999}
			if rules.Text() != want {
				t.Errorf("%q, want %q", rules.Text(), want)
			}
			checkRules(t, rules)
		})
	}
}

func checkRules(t *testing.T, rules Rules) {
	netnstest.Enter(t)
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal(err)
	}
	client, other := rules.Clients.Addr().Next(), netip.MustParseAddr("127.0.0.2")
	if client.Is6() {
		other = netip.MustParseAddr("2001:2::2")
		for _, a := range []netip.Addr{client, other} {
			if err := netlink.AddrAdd(lo, &netlink.Addr{IPNet: netlink.NewIPNet(a.AsSlice()), Flags: unix.IFA_F_NODAD}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := rules.Packets(t.Context()); err == nil {
		t.Error("rules that do not exist were read")
	}
	if err := rules.Insert(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := rules.Insert(t.Context()); err == nil {
		t.Error("the rules were made twice")
	}
	for _, from := range []uint16{39_999, 40_000, 49_999, 50_000} {
		send(t, netip.AddrPortFrom(client, from), rules.Server)
	}
	send(t, netip.AddrPortFrom(client, 39_999), other)
	if n, err := rules.Packets(t.Context()); err != nil || n != 2 {
		t.Errorf("%d packets, %v", n, err)
	}
	for range 2 {
		if err := rules.Remove(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := (Rules{}).Insert(t.Context()); err == nil {
		t.Error("rules without addresses were made")
	}
}

// Without tracked ports the rule has no condition for them.
func TestText(t *testing.T) {
	t.Parallel()
	r := Rules{Clients: netip.MustParsePrefix("198.18.0.7/24"), Server: netip.MustParseAddr("198.18.1.2")}
	if want := "ip saddr 198.18.0.0/24 ip daddr 198.18.1.2 counter notrack"; r.Text() != want {
		t.Errorf("%q, want %q", r.Text(), want)
	}
}
