package probe

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Counters are found by group and name.
func TestParseCounters(t *testing.T) {
	t.Parallel()
	c := Counters{}
	c.parsePairs("TcpExt: SyncookiesSent ListenDrops\nTcpExt: 3 4\nIpExt: InNoRoutes\nIpExt: 5\n")
	c.parsePairs("Tcp: RtoAlgorithm MaxConn RetransSegs\nTcp: 1 -1 7\nUdp: a b\nUdp: 1\nnothing\n")
	c.addUDP6("Ip6InReceives                   \t34015\nUdp6a                           \t5\nUdp6NoPorts\t2\nUdp6b\t-1\nUdp6\n")
	want := Counters{"Udp.NoPorts": 2, "TcpExt.SyncookiesSent": 3, "TcpExt.ListenDrops": 4, "IpExt.InNoRoutes": 5, "Tcp.RtoAlgorithm": 1, "Tcp.RetransSegs": 7, "Udp.a": 6}
	if d := cmp.Diff(want, c); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// A datagram to a port without a server is counted in each family.
func TestReadCounters(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"127.0.0.3:9", "[::1]:9"} {
		before := ReadCounters()
		conn, err := net.Dial("udp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) { // it has been counted by then
			t.Fatalf("%s answers with %d bytes, %v", at, n, err)
		}
		if n := CounterDelta(before, ReadCounters(), "Udp.NoPorts"); n == nil || *n < 1 {
			t.Errorf("%s: counted %v", at, n)
		}
	}
}
