package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
	"snatlab/harness/probe/load/lockstep"
	"snatlab/harness/scenario"
)

// A load must be one that this client can send.
func TestCheckLoad(t *testing.T) {
	t.Parallel()
	server := netip.MustParseAddrPort("198.18.1.2:20001")
	load := func(change func(*probe.ClientLoad)) probe.ClientLoad {
		l := probe.ClientLoad{Server: server, Requests: 3000, Timeout: 500 * time.Millisecond}
		change(&l)
		return l
	}
	step := func(change func(*probe.LockstepPart)) probe.ClientLoad {
		s := probe.LockstepPart{Client: 1, Clients: 2, CPUs: 2, Ports: scenario.PortRange{First: 2048, Last: 3047}, Barrier: "/dev/shm/snatlab", Epoch: 7}
		change(&s)
		return load(func(l *probe.ClientLoad) { l.Lockstep = &s })
	}
	control := func(address string) *probe.ControlPart {
		return &probe.ControlPart{Server: netip.MustParseAddrPort(address), Every: 1, Ports: scenario.PortRange{First: 4000, Last: 4999}}
	}
	for _, test := range []struct {
		load probe.ClientLoad
		want string
	}{
		{load(func(*probe.ClientLoad) {}), "<nil>"},
		{step(func(*probe.LockstepPart) {}), "<nil>"},
		{step(func(s *probe.LockstepPart) {
			s.Barrier, s.Own, s.Ports = "/proc/self/fd/3", true, scenario.PortRange{First: 1, Last: 65535}
		}), "<nil>"},
		{step(func(s *probe.LockstepPart) { s.Barrier, s.Start = "", probe.MonotonicTime()+int64(time.Second) }), "<nil>"},
		{load(func(l *probe.ClientLoad) { l.Server = netip.MustParseAddrPort("[2001:2:0:1::2]:20001") }), "<nil>"},
		{step(func(s *probe.LockstepPart) { s.Control = control("198.18.1.2:20000") }), "<nil>"},
		{step(func(s *probe.LockstepPart) { s.Control = control("[2001:2:0:1::2]:20000") }), "control: server [2001:2:0:1::2]:20000: not of the family of 198.18.1.2:20001"},
		{step(func(s *probe.LockstepPart) { s.Control = control("[::ffff:198.18.1.2]:20000") }), "control: server [::ffff:198.18.1.2]:20000: not of the family of 198.18.1.2:20001"},
		{load(func(l *probe.ClientLoad) { l.Server = netip.MustParseAddrPort("[fe80::1%lo]:80") }), "server [fe80::1%lo]:80: not an address with a port"},
		{load(func(l *probe.ClientLoad) { l.Server = netip.AddrPort{} }), "server invalid AddrPort: not an address with a port"},
		{load(func(l *probe.ClientLoad) { l.Server = netip.MustParseAddrPort("[::ffff:127.0.0.1]:80") }), "server [::ffff:127.0.0.1]:80: not an address with a port"},
		{load(func(l *probe.ClientLoad) { l.Server = netip.MustParseAddrPort("198.18.1.2:0") }), "server 198.18.1.2:0: not an address with a port"},
		{load(func(l *probe.ClientLoad) { l.Requests = 1 << 40 }), "1099511627776 requests: out of range"},
		{load(func(l *probe.ClientLoad) { l.Requests = -1 }), "-1 requests: out of range"},
		{load(func(l *probe.ClientLoad) { l.Timeout = -1 }), "a timeout of -1 ns: out of range"},
		{load(func(l *probe.ClientLoad) { l.Timeout = math.MaxInt64 }), "a timeout of 9223372036854775807 ns: out of range"},
		{load(func(l *probe.ClientLoad) { l.Rate = -1 }), "a rate of -1 a second: out of range"},
		{load(func(l *probe.ClientLoad) { l.Rate = 1 << 40 }), "a rate of 1099511627776 a second: out of range"},
		{load(func(l *probe.ClientLoad) { l.Concurrency = -1 }), "-1 requests at once: out of range"},
		{step(func(s *probe.LockstepPart) { s.Client = -1 }), "lockstep of client -1 of 2 on 2 of 2 CPUs: out of range"},
		{step(func(s *probe.LockstepPart) { s.Client = 2 }), "lockstep of client 2 of 2 on 2 of 2 CPUs: out of range"},
		{step(func(s *probe.LockstepPart) { s.Clients = 65 }), "lockstep of client 1 of 65 on 2 of 2 CPUs: out of range"},
		{step(func(s *probe.LockstepPart) { s.CPUs = 0 }), "lockstep of client 1 of 2 on 0 of 2 CPUs: out of range"},
		{step(func(s *probe.LockstepPart) { s.CPUs = 3 }), "lockstep of client 1 of 2 on 3 of 2 CPUs: out of range"},
		{step(func(s *probe.LockstepPart) { s.Clients = 64 }), "3000 requests of each of 64 clients: out of range"},
		{step(func(s *probe.LockstepPart) { s.Ports.First = 0 }), "source ports 0 to 3047: out of range"},
		{step(func(s *probe.LockstepPart) { s.Ports.Last = 2047 }), "source ports 2048 to 2047: out of range"},
		{step(func(s *probe.LockstepPart) { s.Epoch = 1 << 32 }), "epoch 4294967296: out of range"},
		{step(func(s *probe.LockstepPart) { s.Start = math.MaxInt64 }), "start at 9223372036854775807 ns: out of range"},
		{step(func(s *probe.LockstepPart) { s.Start = -1 }), "start at -1 ns: out of range"},
		{step(func(s *probe.LockstepPart) { s.Barrier = "barrier" }), `barrier "barrier": not a full path`},
		{step(func(s *probe.LockstepPart) { s.Barrier = "/dev/shm/../sda" }), `barrier "/dev/shm/../sda": not a full path`},
		{step(func(s *probe.LockstepPart) { s.Barrier = "/" + strings.Repeat("x", maxPath) }), `barrier "/` + strings.Repeat("x", 59) + `": not a full path`},
		{step(func(s *probe.LockstepPart) { s.Barrier = "/dev/sda" }), `barrier "/dev/sda": not allowed in this directory`},
		{step(func(s *probe.LockstepPart) { s.Barrier = "/proc/1/mem" }), `barrier "/proc/1/mem": not allowed in this directory`},
		{step(func(s *probe.LockstepPart) { s.Barrier = "/proc/self/fd/0" }), `barrier "/proc/self/fd/0": not an inherited file`},
		{step(func(s *probe.LockstepPart) { s.Barrier = "/proc/self/fd/03" }), `barrier "/proc/self/fd/03": not an inherited file`},
		{step(func(s *probe.LockstepPart) { s.Barrier = "/proc/self/fd/../mem" }), `barrier "/proc/self/fd/../mem": not an inherited file`},
	} {
		if got := fmt.Sprint(checkLoad(&test.load, 2)); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

// A load that passes the check can be prepared for in little memory.
func FuzzCheckLoad(f *testing.F) {
	messages, err := os.ReadFile("../testdata/messages.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(messages)) {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := probe.ParseMessage(line)
		if err == nil && m.Run != nil && checkLoad(m.Run, 4) == nil {
			sendable(t, *m.Run)
		}
	})
}

// sendable checks that a load can be prepared for in little memory.
func sendable(t *testing.T, load probe.ClientLoad) {
	t.Helper()
	if load.Requests < 1 || load.Requests > probe.MaxRequests || load.TimeLimit(1) <= 0 {
		t.Errorf("%+v takes %v", load, load.TimeLimit(1))
	}
	s := load.Lockstep
	if s == nil {
		return
	}
	fired := 0
	turns := lockstep.MakeSchedule(s.Clients, s.CPUs, load.Requests, lockstep.TurnLength, 0)
	for _, turn := range turns {
		fired += turn.Slots * len(turn.Members)
	}
	if last := portAt(s.Ports, load.Requests); fired != s.Clients*load.Requests || len(turns) > probe.MaxRequests || last < 1 {
		t.Errorf("%+v: %d requests in %d turns, the last from port %d", *s, fired, len(turns), last)
	}
}

// deafServer returns a port of an address whose SYNs are not answered: its queue is full.
func deafServer(t *testing.T, at netip.Addr) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(at, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err == nil { // nothing accepts, and a second call shortens the queue
		var shortened error
		err = errors.Join(raw.Control(func(fd uintptr) { shortened = unix.Listen(int(fd), 0) }), shortened)
	}
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return netip.MustParseAddrPort(l.Addr().String())
}

// A client that has sent all requests announces how many are unanswered, and gives them up
// when it is told to.
func TestAnnounce(t *testing.T) {
	t.Parallel()
	for family, at := range loopbacks {
		address := deafServer(t, at)
		for name, load := range map[string]probe.ClientLoad{
			"ephemeral": {Server: address, Requests: 7, Timeout: time.Minute, Concurrency: 64, Explain: true},
			"lockstep": {Server: address, Requests: 7, Timeout: time.Minute, Explain: true, Lockstep: &probe.LockstepPart{
				Clients: 1, CPUs: 1, Ports: scenario.PortRange{First: 11_000, Last: 11_999}}},
		} {
			t.Run(name+", "+family, func(t *testing.T) {
				ctx, end := context.WithCancel(t.Context())
				defer end()
				var announced []probe.Waiting
				report, err := Send(ctx, load, []int{0}, 1024, func(w probe.Waiting) error {
					announced = append(announced, w)
					end()
					return nil
				})
				if err == nil {
					err = report.CheckAgainst(load)
				}
				if err != nil {
					t.Fatal(err)
				}
				if len(announced) != 1 || announced[0] != (probe.Waiting{Arm: 7}) {
					t.Errorf("announced %+v", announced)
				}
				if report.Failures["timeout"] != 7 || probe.CountPorts(report.Silent) != 7 {
					t.Errorf("report %+v", report)
				}
			})
		}
	}
}

// A client that is told nothing waits for its timeout, and an error of the announcement
// ends the load.
func TestAnnounceAlone(t *testing.T) {
	t.Parallel()
	load := probe.ClientLoad{Server: deafServer(t, loopbacks["IPv4"]), Requests: 3, Timeout: 50 * time.Millisecond, Concurrency: 64}
	begun := time.Now()
	report, err := Send(t.Context(), load, []int{0}, 1024, func(probe.Waiting) error { return nil })
	if err != nil || report.Failures["timeout"] != 3 || time.Since(begun) < load.Timeout {
		t.Errorf("%+v, %v after %v", report, err, time.Since(begun))
	}
	broken := errors.New("broken pipe")
	load.Timeout = time.Minute
	if _, err := Send(t.Context(), load, []int{0}, 1024, func(probe.Waiting) error { return broken }); err != broken {
		t.Errorf("error %v", err)
	}
}
