package probe

import (
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestAClientWithPortsOfItsOwnLeavesFromThoseOnly(t *testing.T) {
	server, address := startServer(t)
	clients := []*Client{startClient(t, "client 0"), startClient(t, "client 1"), startClient(t, "client 2")}
	loads := lockstepLoads(t, address, 3, 100, filepath.Join(t.TempDir(), "barrier"))
	reports := make(chan *Report)
	for i, c := range clients {
		loads[i].Lockstep.Ports, loads[i].Lockstep.Own = Ports{uint16(10_000 + 1_000*i), uint16(10_999 + 1_000*i)}, true
		go func() {
			report, err := c.Run(t.Context(), loads[i])
			if err != nil {
				t.Error(err)
			}
			reports <- report
		}()
	}
	seen := map[uint16]int{} // thousands of ports
	for range clients {
		r := <-reports
		for _, p := range r.Ports {
			seen[p.First/1000]++
			if p.First/1000 != p.Last/1000 {
				t.Errorf("ports %+v are of two clients", r.Ports)
			}
		}
		if r.Succeeded != 100 {
			t.Errorf("%+v", r)
		}
	}
	if len(seen) != 3 {
		t.Errorf("ports out of %v thousands", seen)
	}
	if _, err := server.Finish(t.Context()); err != nil {
		t.Error(err)
	}
}

// A queue of one that nobody accepts from: what comes later gets no answer.
func TestRequestsWithoutAnAnswerAreToldByTheirPortsIfThatIsAskedFor(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	port := freePort(t)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	client := startClient(t, "client 0")
	load := Load{Server: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), Requests: 20, Timeout: 100 * time.Millisecond, Concurrency: 20}
	for _, load.Explain = range []bool{false, true} {
		report, err := client.Run(t.Context(), load)
		if err != nil {
			t.Fatal(err)
		}
		silent := Count(report.Silent)
		want := 0
		if load.Explain {
			want = report.Failures["timeout"]
		}
		if silent != want || report.Failures["timeout"] == 0 {
			t.Errorf("explain %v: %d ports told, of %+v", load.Explain, silent, report)
		}
	}
}

func TestCountersAreReadByGroupAndName(t *testing.T) {
	c := counters{}
	c.parse("TcpExt: SyncookiesSent ListenDrops\nTcpExt: 3 4\nIpExt: InNoRoutes\nIpExt: 5\n")
	c.parse("Tcp: RtoAlgorithm MaxConn RetransSegs\nTcp: 1 -1 7\nUdp: a b\nUdp: 1\nnothing\n")
	want := counters{"TcpExt.SyncookiesSent": 3, "TcpExt.ListenDrops": 4, "IpExt.InNoRoutes": 5, "Tcp.RtoAlgorithm": 1, "Tcp.RetransSegs": 7, "Udp.a": 1}
	if d := cmp.Diff(want, c); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
