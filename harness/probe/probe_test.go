package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// start runs an agent in this process and gives the stream to it.
func start(t *testing.T, name string, agent Agent) Stream {
	t.Helper()
	requests, in := io.Pipe()
	out, answers := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := agent.Serve(requests, answers)
		answers.Close()
		done <- err
	}()
	t.Cleanup(func() {
		in.Close()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	return Stream{Name: name, In: out, Out: in, Close: func() error { out.Close(); return in.Close() }}
}

func startClient(t *testing.T, name string) *Client {
	t.Helper()
	c, err := OpenClient(t.Context(), start(t, name, Agent{Role: RoleClient}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// here is who connects in these tests.
var here = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}

// startServer gives a server and the address it listens on.
func startServer(t *testing.T) (*Server, netip.AddrPort) {
	t.Helper()
	s, err := OpenServer(t.Context(), start(t, "server", Agent{Role: RoleServer, Guests: here}))
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	if err := s.Listen(t.Context(), port); err != nil {
		t.Fatal(err)
	}
	return s, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
}

func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

func TestAnEphemeralLoadIsServedAndAddsUp(t *testing.T) {
	server, address := startServer(t)
	client := startClient(t, "client 0")
	for _, load := range []Load{
		{Server: address, Requests: 1, Timeout: time.Second, Concurrency: 1},
		{Server: address, Requests: 500, Timeout: time.Second, Concurrency: 64},
		{Server: address, Requests: 100, Timeout: time.Second, Concurrency: 8, Rate: 1000},
	} {
		report, err := client.Run(t.Context(), load) // checks that it adds up
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
}

// Who is not of the lab is reset, and counted apart.
func TestAServerAcceptsFromTheLabOnly(t *testing.T) {
	for name, c := range map[string]struct {
		guests    []netip.Prefix
		from      string
		strangers uint64
	}{
		"by itself":     {nil, "127.0.0.1", 1},
		"a guest":       {here, "127.0.0.1", 0},
		"a guest's kin": {here, "127.0.0.9", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := OpenServer(t.Context(), start(t, "server", Agent{Role: RoleServer, Guests: c.guests}))
			if err != nil {
				t.Fatal(err)
			}
			port := freePort(t)
			if err := s.Listen(t.Context(), port); err != nil {
				t.Fatal(err)
			}
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.from)}}
			conn, err := dialer.DialContext(t.Context(), "tcp4", netip.AddrPortFrom(here[0].Addr(), port).String())
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

func TestARefusedRequestIsCountedAsRefused(t *testing.T) {
	address := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), freePort(t))
	report, err := startClient(t, "client 0").Run(t.Context(), Load{Server: address, Requests: 50, Timeout: time.Second, Concurrency: 4})
	if err != nil {
		t.Fatal(err)
	}
	if report.Failures["refused"] != 50 || report.Succeeded != 0 {
		t.Errorf("%+v", report)
	}
}

// lockstepLoads gives the loads of clients that share this network namespace,
// and so need source ports of their own.
func lockstepLoads(t *testing.T, address netip.AddrPort, clients, requests int, barrier string) []Load {
	t.Helper()
	loads := make([]Load, clients)
	for i := range loads {
		loads[i] = Load{Server: address, Requests: requests, Timeout: time.Second, Lockstep: &Lockstep{
			Client: i, Clients: clients, CPUs: min(clients, runtime.NumCPU()), Ports: Ports{uint16(10_000 + 4_000*i), uint16(13_999 + 4_000*i)},
			Barrier: barrier, Epoch: 1, Start: monotonic() + int64(50*time.Millisecond),
		}}
	}
	return loads
}

func TestEveryLockstepRequestIsSentAndServed(t *testing.T) {
	for _, test := range []struct {
		clients, requests int
		barrier           bool
	}{{1, 100, true}, {2, 1000, true}, {5, 200, true}, {2, 200, false}, {3, 130, false}} {
		t.Run(fmt.Sprintf("%d clients, barrier %v", test.clients, test.barrier), func(t *testing.T) {
			server, address := startServer(t)
			barrier := ""
			if test.barrier {
				barrier = filepath.Join(t.TempDir(), "barrier")
			}
			var clients []*Client
			for i := range test.clients {
				clients = append(clients, startClient(t, fmt.Sprintf("client %d", i)))
			}
			loads := lockstepLoads(t, address, test.clients, test.requests, barrier)
			runAll(t, clients, loads)
			for i := range loads { // a second trial in the same memory
				loads[i].Lockstep.Epoch++
				loads[i].Lockstep.Start = monotonic() + int64(50*time.Millisecond)
			}
			runAll(t, clients, loads)
			served, err := server.Finish(t.Context())
			if err != nil || served.Accepted != uint64(2*test.clients*test.requests) {
				t.Errorf("served %+v, %v; want %d accepted", served, err, 2*test.clients*test.requests)
			}
		})
	}
}

func runAll(t *testing.T, clients []*Client, loads []Load) {
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

func TestASlotThatOneClientMissesIsFiredByNobodyAndMadeUp(t *testing.T) {
	server, address := startServer(t)
	taken, err := net.Listen("tcp4", "0.0.0.0:10020") // client 0's source port of slot 20
	if err != nil {
		t.Skip("port 10020 is in use on this machine")
	}
	defer taken.Close()
	clients := []*Client{startClient(t, "client 0"), startClient(t, "client 1")}
	loads := lockstepLoads(t, address, 2, 200, filepath.Join(t.TempDir(), "barrier"))
	var wait sync.WaitGroup
	for i, c := range clients {
		wait.Go(func() {
			report, err := c.Run(t.Context(), loads[i])
			if err != nil {
				t.Error(err)
				return
			}
			missed := 1 - i // it was client 0 that missed it
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

// Members of a slot agree on whether it is fired in, whatever the order in
// which they come and whoever cannot.
func TestMembersOfASlotAgree(t *testing.T) {
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
			b, err := openBarrier(path, m, 7, pacer{}, func(time.Duration) {})
			if err != nil {
				t.Error(err)
				return
			}
			defer b.close()
			for s := range slots {
				if fired[m][s], err = b.meet(s, []int{0, 1}, able[m][s]); err != nil {
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

func TestNothingIsAllocatedBetweenSlots(t *testing.T) {
	// The kernel completes the handshakes; nobody accepts, so nobody allocates.
	kernel, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.Close()
	flight, err := newFlight(netip.MustParseAddrPort(kernel.Addr().String()), 2000, time.Second, 1024)
	if err != nil {
		t.Fatal(err)
	}
	defer flight.close()
	gate, err := openBarrier(filepath.Join(t.TempDir(), "barrier"), 0, 1, pacer{}, func(time.Duration) {})
	if err != nil {
		t.Fatal(err)
	}
	defer gate.close()
	l := &lockstep{step: Lockstep{Ports: Ports{20_000, 29_999}}, gate: gate, flight: flight}
	slot, members := 0, turn{members: []int{0}, slots: 1}
	allocated := testing.AllocsPerRun(1000, func() {
		if _, err := l.fire(members, slot); err != nil {
			t.Fatal(err)
		}
		slot++
	})
	if allocated != 0 {
		t.Errorf("%v allocations a slot", allocated)
	}
}

func TestWhatAProbeSaysMustAddUp(t *testing.T) {
	load := Load{Requests: 10}
	for _, test := range []struct {
		report Report
		want   string
	}{
		{Report{Requests: 10, Succeeded: 9, Failures: map[string]int{"timeout": 1}, Latency: [][2]int64{{30, 9}}}, ""},
		{Report{Requests: 9, Succeeded: 9}, "report: 9 requests sent, 10 asked for"},
		{Report{Requests: 10, Succeeded: 9, Latency: [][2]int64{{30, 9}}}, "report: 10 requests, but 9 succeeded, 0 failed and 9 with a latency"},
		{Report{Requests: 10, Succeeded: 10, Latency: [][2]int64{{30, 9}}}, "report: 10 requests, but 10 succeeded, 0 failed and 9 with a latency"},
		{Report{Requests: 10, Failures: map[string]int{"bad luck": 10}}, `report: 10 failures of kind "bad luck"`},
		{Report{Requests: 10, Failures: map[string]int{"timeout": 11, "reset": -1}}, `report: -1 failures of kind "reset"`},
	} {
		err := test.report.check(load)
		if got := fmt.Sprint(err); (err != nil || test.want != "") && got != test.want {
			t.Errorf("%+v: %q, want %q", test.report, got, test.want)
		}
	}
}

func TestAProbeThatIsNoneIsRefused(t *testing.T) {
	for _, test := range []struct{ says, want string }{
		{"", "client 0 died: its stream ended; exit code 1"},
		{"Connection: close\n", `client 0 died: not a message: "Connection: close"; exit code 1`},
		{`{"v":1,"hello":{}}` + "\n", "client 0 died: protocol version 1, this is 3: both sides must be the same snatlab; exit code 1"},
		{`{"v":3,"hello":{"role":"server","cpus":[0],"files":9}}` + "\n", "client 0: is no snatlab client"},
		{`{"v":3,"hello":{"role":"client","cpus":[],"files":9}}` + "\n", "client 0: says that it has 0 CPUs and 9 files"},
		{strings.Repeat("x", maxAnswer+1), "client 0 died: a line is too long: more than 2097152 bytes; exit code 1"},
	} {
		in := strings.NewReader(test.says)
		_, err := OpenClient(t.Context(), Stream{Name: "client 0", In: in, Out: io.Discard,
			Close: func() error { return nil }, Obituary: func() string { return "exit code 1" }})
		if fmt.Sprint(err) != test.want {
			t.Errorf("%.40q: %v, want %s", test.says, err, test.want)
		}
	}
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	silent, w := io.Pipe()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted"))
	_, err := OpenClient(ctx, Stream{Name: "client 0", In: silent, Out: io.Discard, Close: w.Close})
	if fmt.Sprint(err) != "interrupted" {
		t.Errorf("%v", err)
	}
}

func TestWithFewFilesALoadIsSentAllTheSame(t *testing.T) {
	server, address := startServer(t)
	const files = reserved + 5
	ephemeral := Load{Server: address, Requests: 300, Timeout: time.Second, Concurrency: 64}
	report, err := runEphemeral(ephemeral, files)
	if err != nil || report.check(ephemeral) != nil || report.Succeeded != 300 {
		t.Errorf("ephemeral: %+v, %v", report, err)
	}
	lockstep := lockstepLoads(t, address, 1, 300, filepath.Join(t.TempDir(), "barrier"))[0]
	report, err = runLockstep(lockstep, []int{0}, files)
	if err != nil || report.check(lockstep) != nil || report.Succeeded != 300 {
		t.Errorf("lockstep: %+v, %v", report, err)
	}
	if _, err := runEphemeral(ephemeral, reserved); fmt.Sprint(err) != "32 open files are allowed, 33 are needed" {
		t.Errorf("no file to spare: %v", err)
	}
	if served, err := server.Finish(t.Context()); err != nil || served.Accepted != 600 {
		t.Errorf("served %+v, %v", served, err)
	}
}
