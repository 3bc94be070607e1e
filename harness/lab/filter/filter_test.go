package filter

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"snatlab/harness/netnstest"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// send sends a datagram from a port of an address to another port of it.
func send(t *testing.T, address netip.Addr, from, to uint16) {
	t.Helper()
	conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, from)), net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, to)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
}

// A filter drops what comes from other ports than it accepts, and counts the packets to the
// common port apart, in each family. It is made once, and must be there when it is read.
func TestFilter(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "::1"} {
		t.Run(address, func(t *testing.T) { checkFilter(t, netip.MustParseAddr(address)) })
	}
}

func checkFilter(t *testing.T, address netip.Addr) {
	netnstest.Enter(t)
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal(err)
	}
	rules := Rules{Server: address, Protocol: result.UDP, Accept: scenario.PortRange{First: 40_000, Last: 49_999}, Common: 19_999}
	if _, err := rules.Read(t.Context()); err == nil {
		t.Error("a filter that does not exist was read")
	}
	if err := rules.Insert(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := rules.Insert(t.Context()); err == nil {
		t.Error("the filter was made twice")
	}
	for _, p := range [][2]uint16{{39_999, 19_999}, {40_000, 19_999}, {49_999, 20_000}, {50_000, 20_000}, {2000, 20_001}} {
		send(t, address, p[0], p[1])
	}
	n, err := rules.Read(t.Context())
	if err != nil || n != (Counts{Common: 1, Others: 2}) {
		t.Errorf("dropped %+v, %v", n, err)
	}
	tcp := rules
	tcp.Accept = scenario.PortRange{}
	if err := tcp.Insert(t.Context()); err == nil {
		t.Error("a filter that accepts nothing was made")
	}
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if _, err := rules.Read(ctx); !errors.Is(err, stop) {
		t.Errorf("read after the end: %v", err)
	}
}

// Counters that went back are those of another filter.
func TestSince(t *testing.T) {
	t.Parallel()
	if n, err := (Counts{5, 9}).Since(Counts{2, 9}); err != nil || n != (Counts{3, 0}) {
		t.Errorf("%+v, %v", n, err)
	}
	if _, err := (Counts{5, 8}).Since(Counts{2, 9}); err == nil {
		t.Error("a counter went back")
	}
}
