package conntrack

import (
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"github.com/ti-mo/conntrack"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/netnstest"
)

// enterNamespace moves the test into a network namespace of its own, in which
// connections over lo are tracked.
func enterNamespace(t *testing.T) {
	t.Helper()
	netnstest.Enter(t)
	lo, err := netlink.LinkByName("lo")
	if err := errors.Join(err, netlink.LinkSetUp(lo)); err != nil {
		t.Fatalf("set lo up: %v", err)
	}
	addRule(t, "-A INPUT -m conntrack --ctstate NEW -j ACCEPT")
}

// enterIPv6Namespace does the same for both families.
func enterIPv6Namespace(t *testing.T) {
	t.Helper()
	enterNamespace(t)
	netnstest.Run(t, "ip6tables -A INPUT -m conntrack --ctstate NEW -j ACCEPT")
}

func addRule(t *testing.T, rule string) {
	t.Helper()
	if _, err := exec.LookPath("iptables"); err != nil {
		netnstest.SkipWithout(t, err.Error())
	}
	netnstest.Run(t, "iptables "+rule)
}

// addSNAT translates the sources in 127.0.1.0/24 to 127.0.2.1: those of TCP to any
// port, those of UDP to one port only.
func addSNAT(t *testing.T) {
	t.Helper()
	addRule(t, "-t nat -A POSTROUTING -s 127.0.1.0/24 -p tcp -j SNAT --to-source 127.0.2.1")
	addRule(t, "-t nat -A POSTROUTING -s 127.0.1.0/24 -p udp -j SNAT --to-source 127.0.2.1:5000")
}

// startServer returns the address of a server that never closes a connection.
func startServer(t *testing.T) netip.AddrPort {
	t.Helper()
	return startServerAt(t, "127.0.0.1:0")
}

func startServerAt(t *testing.T, address string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// connect opens a connection that stays open, and returns its source. The port of
// from may be 0, or one that has a connection to another server.
func connect(t *testing.T, from netip.AddrPort, to netip.AddrPort) (source netip.AddrPort) {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(from), Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) }), err)
	}}
	c, err := d.DialContext(t.Context(), "tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().(*net.TCPAddr).AddrPort()
}

// sendUDP sends one UDP packet.
func sendUDP(t *testing.T, from, to netip.AddrPort) error {
	t.Helper()
	c, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(from), net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Write([]byte("x"))
	return err
}

// loopback returns an address of 127.0.0.0/8 with a port.
func loopback(host string, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("127.0."+host), port)
}

// listTracked lists the tracked connections by their sources and destinations
// before NAT.
func listTracked(t *testing.T) (all []string) {
	t.Helper()
	flows, err := dialConntrack(t).Dump(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range flows {
		all = append(all, formatFlow(f))
	}
	slices.Sort(all)
	return all
}

func formatFlow(f conntrack.Flow) string {
	proto := map[uint8]string{unix.IPPROTO_TCP: "tcp ", unix.IPPROTO_UDP: "udp "}[f.TupleOrig.Proto.Protocol]
	o := f.TupleOrig
	return proto + formatLink(netip.AddrPortFrom(o.IP.SourceAddress, o.Proto.SourcePort), netip.AddrPortFrom(o.IP.DestinationAddress, o.Proto.DestinationPort))
}

func formatLink(source, destination netip.AddrPort) string {
	return source.String() + " > " + destination.String()
}

func dialConntrack(t *testing.T) *conntrack.Conn {
	t.Helper()
	c, err := conntrack.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
