package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// Each request of an ephemeral load is served, and the report adds up.
func TestEphemeralLoad(t *testing.T) {
	for family, at := range loopbacks {
		t.Run(family, func(t *testing.T) {
			server, address := startServerAt(t, at)
			client := startClient(t, "client 0")
			for _, load := range []probe.ClientLoad{
				{Server: address, Requests: 1, Timeout: time.Second, Concurrency: 1},
				{Server: address, Requests: 500, Timeout: time.Second, Concurrency: 64},
				{Server: address, Requests: 100, Timeout: time.Second, Concurrency: 8, Rate: 1000},
			} {
				report, err := client.Run(t.Context(), load) // checks the report
				if err != nil {
					t.Fatal(err)
				}
				if report.Succeeded != load.Requests {
					t.Errorf("%+v: %+v", load, report)
				}
			}
			served, err := server.Finish(t.Context())
			if err != nil || served.Accepted != 601 {
				t.Errorf("served %+v, %v; want 601 accepted", served, err)
			}
		})
	}
}

// A connection from outside the lab is reset, and counted separately.
func TestServerGuests(t *testing.T) {
	for name, c := range map[string]struct {
		guests    []netip.Prefix
		from      string
		strangers uint64
	}{
		"by itself":     {nil, "127.0.0.1", 1},
		"a guest":       {localGuests, "127.0.0.1", 0},
		"a guest's kin": {localGuests, "127.0.0.9", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := probe.OpenServer(t.Context(), startAgent(t, "server", Agent{Role: probe.RoleServer, Guests: c.guests}))
			if err != nil {
				t.Fatal(err)
			}
			port := freePort(t)
			if err := s.Listen(t.Context(), probe.Listen{Protocol: result.TCP, Port: port}); err != nil {
				t.Fatal(err)
			}
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.from)}}
			conn, err := dialer.DialContext(t.Context(), "tcp4", netip.AddrPortFrom(localGuests[0].Addr(), port).String())
			served, finished := s.Finish(t.Context()) // accepts all that has connected
			if finished != nil || served.Strangers != c.strangers || served.Accepted != 1-c.strangers {
				t.Errorf("%+v, %v", served, finished)
			}
			if err == nil { // else it was reset within connect
				_, err = conn.Read(make([]byte, 1))
				conn.Close()
			}
			if errors.Is(err, syscall.ECONNRESET) != (c.strangers == 1) {
				t.Errorf("the connection ends with %v", err)
			}
		})
	}
}

// A refused request is counted as refused.
func TestRefusedRequests(t *testing.T) {
	for family, at := range loopbacks {
		address := netip.AddrPortFrom(at, freePort(t))
		report, err := startClient(t, "client "+family).Run(t.Context(), probe.ClientLoad{Server: address, Requests: 50, Timeout: time.Second, Concurrency: 4})
		if err != nil {
			t.Fatal(err)
		}
		if report.Failures["refused"] != 50 || report.Succeeded != 0 {
			t.Errorf("%s: %+v", family, report)
		}
	}
}

// A client gives up its unanswered requests when it is told to, and executes later orders.
func TestEnd(t *testing.T) {
	deaf, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(deaf) })
	port := freePort(t)
	if err := unix.Bind(deaf, &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(deaf, 0); err != nil {
		t.Fatal(err)
	}
	client := startClient(t, "client 0")
	load := probe.ClientLoad{Server: netip.AddrPortFrom(localGuests[0].Addr(), port), Requests: 4, Timeout: time.Minute, Concurrency: 4, Announce: true}
	end := make(chan struct{})
	// One connection finds room in the queue.
	report, err := client.RunUntil(t.Context(), load, end, func(w probe.Waiting) {
		if w != (probe.Waiting{Arm: 3}) {
			t.Errorf("%+v unanswered", w)
		}
		close(end)
	})
	if err != nil || report.Succeeded != 1 || report.Failures["timeout"] != 3 {
		t.Fatalf("%+v, %v", report, err)
	}
	// A client that is told to give up nothing goes on as well: end is closed already.
	load.Server = netip.AddrPortFrom(localGuests[0].Addr(), freePort(t))
	for range 20 {
		if report, err = client.RunUntil(t.Context(), load, end, nil); err != nil || report.Failures["refused"] != 4 {
			t.Fatalf("%+v, %v", report, err)
		}
	}
	// Other orders come after the load. They are not asked for by a session, which waits.
	if err := client.Share(t.Context(), filepath.Join(t.TempDir(), "barrier")); err != nil {
		t.Error(err)
	}
}

// lockstepLoads returns the loads of clients that share this network namespace and
// therefore need source ports of their own.
func lockstepLoads(t *testing.T, address netip.AddrPort, clients, requests int, barrier string) []probe.ClientLoad {
	t.Helper()
	loads := make([]probe.ClientLoad, clients)
	for i := range loads {
		loads[i] = probe.ClientLoad{Server: address, Requests: requests, Timeout: time.Second, Lockstep: &probe.LockstepPart{
			Client: i, Clients: clients, CPUs: min(clients, runtime.NumCPU()), Ports: scenario.PortRange{First: uint16(10_000 + 4_000*i), Last: uint16(13_999 + 4_000*i)},
			Barrier: barrier, Epoch: 1, Start: probe.MonotonicTime() + int64(50*time.Millisecond),
		}}
	}
	return loads
}

// Each request of a lockstep load is sent and served.
func TestLockstepLoad(t *testing.T) {
	for _, test := range []struct {
		family            string
		clients, requests int
		barrier           bool
	}{
		{"IPv4", 1, 100, true}, {"IPv4", 2, 1000, true}, {"IPv4", 5, 200, true}, {"IPv4", 2, 200, false}, {"IPv4", 3, 130, false},
		{"IPv6", 2, 1000, true}, {"IPv6", 3, 130, false},
	} {
		t.Run(fmt.Sprintf("%s, %d clients, barrier %v", test.family, test.clients, test.barrier), func(t *testing.T) {
			server, address := startServerAt(t, loopbacks[test.family])
			barrier := ""
			if test.barrier {
				barrier = filepath.Join(t.TempDir(), "barrier")
			}
			var clients []*probe.ClientSession
			for i := range test.clients {
				clients = append(clients, startClient(t, fmt.Sprintf("client %d", i)))
			}
			loads := lockstepLoads(t, address, test.clients, test.requests, barrier)
			runAll(t, clients, loads)
			for i := range loads { // a second trial in the same memory
				loads[i].Lockstep.Epoch++
				loads[i].Lockstep.Start = probe.MonotonicTime() + int64(50*time.Millisecond)
			}
			runAll(t, clients, loads)
			served, err := server.Finish(t.Context())
			if err != nil || served.Accepted != uint64(2*test.clients*test.requests) {
				t.Errorf("served %+v, %v; want %d accepted", served, err, 2*test.clients*test.requests)
			}
		})
	}
}

func runAll(t *testing.T, clients []*probe.ClientSession, loads []probe.ClientLoad) {
	t.Helper()
	var wait sync.WaitGroup
	for i, c := range clients {
		wait.Go(func() {
			report, err := c.Run(t.Context(), loads[i])
			if err != nil {
				t.Error(err)
			} else if report.Succeeded != loads[i].Requests {
				t.Errorf("client %d: %+v", i, report)
			}
		})
	}
	wait.Wait()
}

// If one client misses a slot, no client fires in it, and another slot makes up for it.
func TestMissedSlot(t *testing.T) {
	server, address := startServer(t)
	taken, err := net.Listen("tcp4", "0.0.0.0:10020") // client 0's source port of slot 20
	if err != nil {
		t.Skip("port 10020 is in use on this machine")
	}
	defer taken.Close()
	clients := []*probe.ClientSession{startClient(t, "client 0"), startClient(t, "client 1")}
	loads := lockstepLoads(t, address, 2, 200, filepath.Join(t.TempDir(), "barrier"))
	var wait sync.WaitGroup
	for i, c := range clients {
		wait.Go(func() {
			report, err := c.Run(t.Context(), loads[i])
			if err != nil {
				t.Error(err)
				return
			}
			missed := 1 - i // client 0 missed it
			if report.Requests != 200 || report.Missed != missed || report.BindErrors != missed || report.MadeUp != 1 {
				t.Errorf("client %d: %+v", i, report)
			}
		})
	}
	wait.Wait()
	if served, err := server.Finish(t.Context()); err != nil || served.Accepted != 400 {
		t.Errorf("served %+v, %v; want 400 accepted", served, err)
	}
}

// A client with ports of its own connects from those only.
func TestClientsWithOwnPorts(t *testing.T) {
	server, address := startServer(t)
	clients := []*probe.ClientSession{startClient(t, "client 0"), startClient(t, "client 1"), startClient(t, "client 2")}
	loads := lockstepLoads(t, address, 3, 100, filepath.Join(t.TempDir(), "barrier"))
	reports := make(chan *probe.Report)
	for i, c := range clients {
		loads[i].Lockstep.Ports, loads[i].Lockstep.Own = scenario.PortRange{First: uint16(10_000 + 1_000*i), Last: uint16(10_999 + 1_000*i)}, true
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

// A load with Explain reports the source ports of the requests without an answer. The
// accept queue has a length of one, and nothing accepts from it, so later requests get no
// answer.
func TestExplainedLoad(t *testing.T) {
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
	load := probe.ClientLoad{Server: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), Requests: 20, Timeout: 100 * time.Millisecond, Concurrency: 20}
	for _, load.Explain = range []bool{false, true} {
		report, err := client.Run(t.Context(), load)
		if err != nil {
			t.Fatal(err)
		}
		silent := probe.CountPorts(report.Silent)
		want := 0
		if load.Explain {
			want = report.Failures["timeout"]
		}
		if silent != want || report.Failures["timeout"] == 0 {
			t.Errorf("explain %v: %d ports told, of %+v", load.Explain, silent, report)
		}
	}
}
