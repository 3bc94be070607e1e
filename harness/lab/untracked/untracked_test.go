package untracked

import (
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"snatlab/harness/nat/snat"
	"snatlab/harness/netnstest"
)

// send sends a datagram over the loopback interface.
func send(t *testing.T, from int, to net.IP) {
	t.Helper()
	conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 1, 1), Port: from}, &net.UDPAddr{IP: to, Port: 5353})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
}

// Packets to the server are counted and have no entry, except for those from the tracked
// ports. The rules are made once, and must be there when they are read.
func TestRules(t *testing.T) {
	netnstest.Enter(t)
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Packets(t.Context()); err == nil {
		t.Error("rules that do not exist were read")
	}
	server := netip.MustParseAddr("127.0.0.1")
	rules := Rules{Clients: netip.MustParsePrefix("127.0.1.0/24"), Server: server, Tracked: snat.PortRange{First: 40_000, Last: 49_999}}
	if want := "ip saddr 127.0.1.0/24 ip daddr 127.0.0.1 th sport != 40000-49999 counter notrack"; rules.Text() != want {
		t.Errorf("%q, want %q", rules.Text(), want)
	}
	if err := Insert(t.Context(), rules); err != nil {
		t.Fatal(err)
	}
	if err := Insert(t.Context(), rules); err == nil {
		t.Error("the rules were made twice")
	}
	for _, from := range []int{39_999, 40_000, 49_999, 50_000} {
		send(t, from, server.AsSlice())
	}
	send(t, 39_999, net.IPv4(127, 0, 0, 2))
	if n, err := Packets(t.Context()); err != nil || n != 2 {
		t.Errorf("%d packets, %v", n, err)
	}
	for range 2 {
		if err := Remove(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := Insert(t.Context(), Rules{}); err == nil {
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
