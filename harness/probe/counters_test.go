package probe

import (
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
