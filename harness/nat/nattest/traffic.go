package nattest

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"
)

// SendUDP is [Network.SendUDP] of the network in IPv4.
func SendUDP(t *testing.T, n int) {
	t.Helper()
	IPv4.SendUDP(t, n)
}

// SendUDP opens n connections out of the client network and sends two packets
// on each.
func (network Network) SendUDP(t *testing.T, n int) {
	t.Helper()
	for range n {
		c, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(network.ClientAddress, 0)), net.UDPAddrFromAddrPort(netip.AddrPortFrom(network.ServerAddress, 9000)))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() // no port is used twice
		for range 2 {
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// SendSYNs sends n SYNs out of the client network, each from another port that the kernel
// chooses.
func SendSYNs(t *testing.T, server netip.AddrPort, n int) {
	t.Helper()
	SendSYNsOf(t, NetworkOf(server.Addr()).ClientAddress, server, n)
}

// SendSYNsOf sends n SYNs from an address of the client network.
func SendSYNsOf(t *testing.T, client netip.Addr, server netip.AddrPort, n int) {
	t.Helper()
	sendSYNs(t, client, server, n, func(int) int { return 0 })
}

// SendSYNsFrom sends n SYNs out of the client network, from one port after the other.
func SendSYNsFrom(t *testing.T, first uint16, server netip.AddrPort, n int) {
	t.Helper()
	sendSYNs(t, NetworkOf(server.Addr()).ClientAddress, server, n, func(i int) int { return int(first) + i })
}

func sendSYNs(t *testing.T, client netip.Addr, server netip.AddrPort, n int, port func(i int) int) {
	t.Helper()
	for i := range n {
		family := unix.AF_INET
		if client.Is6() {
			family = unix.AF_INET6
		}
		socket, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(socket) // no port is used twice
		if err := unix.Bind(socket, socketAddress(client, port(i))); err != nil {
			t.Fatal(err)
		}
		err = unix.Connect(socket, socketAddress(server.Addr(), int(server.Port())))
		if !errors.Is(err, unix.EINPROGRESS) {
			t.Fatal(err)
		}
	}
}

func socketAddress(a netip.Addr, port int) unix.Sockaddr {
	if a.Is6() {
		return &unix.SockaddrInet6{Addr: a.As16(), Port: port}
	}
	return &unix.SockaddrInet4{Addr: a.As4(), Port: port}
}

// CountKeptPorts is [Network.CountKeptPorts] of the network in IPv4.
func CountKeptPorts(t *testing.T) (kept, drawn int) {
	t.Helper()
	return IPv4.CountKeptPorts(t)
}

// CountKeptPorts returns how many connections of the client in the namespace kept their
// source port, and how many got another one.
func (network Network) CountKeptPorts(t *testing.T) (kept, drawn int) {
	t.Helper()
	for _, f := range readFlows(t) {
		switch from, to := f.TupleOrig, f.TupleReply; {
		case from.IP.SourceAddress != network.ClientAddress:
		case to.IP.DestinationAddress != network.OutAddress:
			t.Errorf("not masqueraded: %v", f)
		case from.Proto.SourcePort == to.Proto.DestinationPort:
			kept++
		default:
			drawn++
		}
	}
	return kept, drawn
}

// TranslatedSources counts the connections to a server by the address and port
// that they were translated to.
func TranslatedSources(t *testing.T, server netip.AddrPort) map[netip.AddrPort]int {
	t.Helper()
	given := map[netip.AddrPort]int{}
	for _, f := range readFlows(t) {
		if to := f.TupleReply; f.TupleOrig.Proto.DestinationPort == server.Port() && f.TupleOrig.IP.DestinationAddress == server.Addr() {
			given[netip.AddrPortFrom(to.IP.DestinationAddress, to.Proto.DestinationPort)]++
		}
	}
	return given
}

func readFlows(t *testing.T) []conntrack.Flow {
	t.Helper()
	c, err := conntrack.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all, err := c.Dump(nil)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
