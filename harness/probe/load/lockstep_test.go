package load

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"snatlab/harness/probe"
	"snatlab/harness/probe/load/lockstep"
	"snatlab/harness/probe/server"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// Members of a slot agree on whether to fire in it, whatever the order in which they
// arrive, and whichever of them cannot.
func TestMeetPartners(t *testing.T) {
	const members, slots = 2, 1000
	path := filepath.Join(t.TempDir(), "barrier")
	var able, fired [members][slots]bool
	for m := range members {
		for s := range slots {
			able[m][s] = rand.IntN(4) > 0
		}
	}
	var wait sync.WaitGroup
	for m := range members {
		wait.Go(func() {
			b, err := lockstep.OpenBarrier(path, m, 7, lockstep.Pacer{}, nil, func(time.Duration) {})
			if err != nil {
				t.Error(err)
				return
			}
			defer b.Close()
			for s := range slots {
				if fired[m][s], err = b.MeetPartners(s, []int{0, 1}, able[m][s]); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	for s := range slots {
		want := able[0][s] && able[1][s]
		for m := range members {
			if fired[m][s] != want {
				t.Fatalf("slot %d, member %d: fired %v, want %v", s, m, fired[m][s], want)
			}
		}
	}
}

// Nothing is allocated between slots, of the arm or of the control.
func TestFireTurnAllocations(t *testing.T) {
	for _, at := range loopbacks {
		checkAllocations(t, at)
	}
}

// checkAllocations checks it for requests to an address.
func checkAllocations(t *testing.T, at netip.Addr) {
	// The kernel completes the handshakes. Nothing accepts or answers, so nothing allocates.
	kernel, err := net.Listen("tcp", netip.AddrPortFrom(at, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.Close()
	address := netip.MustParseAddrPort(kernel.Addr().String())
	datagrams, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(address))
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	for name, load := range map[string]probe.ClientLoad{
		"tcp":      {Protocol: result.TCP},
		"udp":      {Protocol: result.UDP},
		"look-ups": {Protocol: result.UDP, Lookups: &probe.LookupPart{Threads: 1}},
	} {
		step := probe.LockstepPart{
			Clients: 1, CPUs: 1, Ports: scenario.PortRange{First: 20_000, Last: 24_999},
			Control: &probe.ControlPart{Server: address, Every: 1, Ports: scenario.PortRange{First: 25_000, Last: 29_999}},
		}
		load.Server, load.Requests, load.Timeout, load.Lockstep = address, 2000, time.Hour, &step
		flight, err := newConnections(load, 4096)
		if err != nil {
			t.Fatal(err)
		}
		l := newPart(step, load.Requests, flight)
		gate, err := lockstep.OpenBarrier(filepath.Join(t.TempDir(), "barrier"), 0, 1, lockstep.Pacer{}, l.turns, func(time.Duration) {})
		if err != nil {
			t.Fatal(err)
		}
		l.gate = gate
		next, members := lockstep.Position{}, lockstep.Turn{Members: []int{0}, Slots: 1, Control: 1}
		allocated := testing.AllocsPerRun(1000, func() {
			if next, err = l.fireTurn(members, next); err != nil {
				t.Fatal(err)
			}
		})
		if allocated != 0 {
			t.Errorf("%s to %v: %v allocations a turn", name, address, allocated)
		}
		flight.close()
		gate.Close()
	}
}

// Clients send the arm's requests to its port and those of the control to the other, and
// report both apart, whether they share memory or keep step by the clock.
func TestSendControl(t *testing.T) {
	for family, at := range loopbacks {
		for name, every := range map[string]int{"barrier": 1, "clock": 1, "barrier, every third": 3} {
			t.Run(family+", "+name, func(t *testing.T) {
				barrier := ""
				if name != "clock" {
					barrier = filepath.Join(t.TempDir(), "barrier")
				}
				checkClients(t, at, every, barrier)
			})
		}
	}
}

// checkClients sends the load of three clients to an address, with a slot of the control
// after each so many of the arm.
func checkClients(t *testing.T, at netip.Addr, every int, barrier string) {
	const clients, requests = 3, 500
	arm, control := netip.AddrPortFrom(at, 39021), netip.AddrPortFrom(at, 39022)
	var listeners []*server.Listener
	for _, address := range []netip.AddrPort{arm, control} {
		l, err := server.OpenListener(server.Config{Protocol: result.TCP, Address: address, Guests: guest(at), Files: 1024})
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
	}
	start := probe.MonotonicTime() + int64(50*time.Millisecond)
	var wait sync.WaitGroup
	for c := range clients {
		// In one namespace, two clients cannot have the same source ports.
		ports := func(first int) scenario.PortRange {
			return scenario.PortRange{First: uint16(first + 2000*c), Last: uint16(first + 2000*c + 1999)}
		}
		load := probe.ClientLoad{Server: arm, Requests: requests, Timeout: time.Second, Lockstep: &probe.LockstepPart{
			Client: c, Clients: clients, CPUs: 1, Ports: ports(10_000), Barrier: barrier, Epoch: 1, Start: start,
			Control: &probe.ControlPart{Server: control, Every: every, Ports: ports(20_000)},
		}}
		wait.Go(func() {
			report, err := Send(t.Context(), load, []int{0}, 1024, nil)
			if err != nil {
				t.Errorf("client %d: %v", c, err)
				return
			}
			if err := report.CheckAgainst(load); err != nil || report.Succeeded != requests {
				t.Errorf("client %d: %+v, %v", c, report, err)
			}
		})
	}
	wait.Wait()
	want := lockstep.CountControlSlots(clients, 1, requests, every)
	for i, n := range []int{clients * requests, want} {
		if served, err := listeners[i].Finish(); err != nil || served.Accepted != uint64(n) {
			t.Errorf("port %d: served %+v, %v, want %d", i, served, err, n)
		}
	}
}

// A load is sent completely even if few files may be open.
func TestSendWithFewFiles(t *testing.T) {
	address := netip.MustParseAddrPort("127.0.0.1:39020")
	listener, err := server.OpenListener(server.Config{Protocol: result.TCP, Address: address, Guests: guest(address.Addr()), Files: 1024})
	if err != nil {
		t.Fatal(err)
	}
	const files = probe.ReservedFiles + 5
	ephemeral := probe.ClientLoad{Server: address, Requests: 300, Timeout: time.Second, Concurrency: 64}
	report, err := Send(t.Context(), ephemeral, []int{0}, files, nil)
	if err != nil || report.CheckAgainst(ephemeral) != nil || report.Succeeded != 300 {
		t.Errorf("ephemeral: %+v, %v", report, err)
	}
	lockstep := probe.ClientLoad{Server: address, Requests: 300, Timeout: time.Second, Lockstep: &probe.LockstepPart{
		Clients: 1, CPUs: 1, Ports: scenario.PortRange{First: 10_000, Last: 13_999}, Barrier: filepath.Join(t.TempDir(), "barrier"), Epoch: 1,
	}}
	report, err = Send(t.Context(), lockstep, []int{0}, files, nil)
	if err != nil || report.CheckAgainst(lockstep) != nil || report.Succeeded != 300 {
		t.Errorf("lockstep: %+v, %v", report, err)
	}
	if _, err := Send(t.Context(), ephemeral, []int{0}, probe.ReservedFiles, nil); fmt.Sprint(err) != "32 open files are allowed, 33 are needed" {
		t.Errorf("no file to spare: %v", err)
	}
	if served, err := listener.Finish(); err != nil || served.Accepted != 600 {
		t.Errorf("served %+v, %v", served, err)
	}
}

// After the last source port comes the first.
func TestPortAt(t *testing.T) {
	t.Parallel()
	ports := scenario.PortRange{First: 40000, Last: 40002}
	for k, want := range []uint16{40000, 40001, 40002, 40000, 40001} {
		if got := portAt(ports, k); got != want {
			t.Errorf("slot %d leaves from port %d, want %d", k, got, want)
		}
	}
}

// Every client draws the same, and another trial or run draws otherwise.
func TestKindsOfClients(t *testing.T) {
	t.Parallel()
	draw := func(client int, seed, epoch uint64) (kinds [2 * lockstep.TurnLength]lockstep.SlotKind) {
		flight := &connections{limit: 1000, conns: make([]conn, 64)}
		l := newPart(probe.LockstepPart{Client: client, Clients: 2, CPUs: 2, Epoch: epoch, Control: &probe.ControlPart{Server: netip.MustParseAddrPort("127.0.0.1:1"), Every: 1, Seed: seed}}, 64, flight)
		l.drawTurn(0)
		for i := range kinds {
			kinds[i] = l.turns[0].KindOf(i, l.every, l.kinds)
		}
		return kinds
	}
	first := draw(0, 1, 1)
	if draw(1, 1, 1) != first {
		t.Error("two clients draw different slots")
	}
	if draw(0, 1, 2) == first || draw(0, 2, 1) == first {
		t.Error("another trial, or another seed, draws the same slots")
	}
}
