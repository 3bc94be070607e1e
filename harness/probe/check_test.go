package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAHelloIsHeldAgainstTheRoleAndTheMachine(t *testing.T) {
	million := make([]int, 1_000_000)
	for i := range million {
		million[i] = i
	}
	for _, test := range []struct {
		hello *Hello
		want  string
	}{
		{&Hello{Role: RoleServer, CPUs: []int{0, 3, 1023}, Files: 1 << 20, Ports: &Ports{1, 65535}}, "<nil>"},
		{nil, "is no snatlab server"},
		{&Hello{Role: RoleClient, CPUs: []int{0}, Files: 1}, "is no snatlab server"},
		{&Hello{Role: RoleServer, CPUs: million, Files: 1}, "says that it has 1,000,000 CPUs and 1 file"},
		{&Hello{Role: RoleServer, CPUs: []int{-1}, Files: 1}, "says that its CPU number 1 is CPU -1"},
		{&Hello{Role: RoleServer, CPUs: []int{0, 1024}, Files: 1}, "says that its CPU number 2 is CPU 1024"},
		{&Hello{Role: RoleServer, CPUs: []int{2, 2}, Files: 1}, "says that its CPU number 2 is CPU 2"},
		{&Hello{Role: RoleServer, CPUs: []int{0}, Files: 1 << 62}, "says that it has 1 CPU and 4,611,686,018,427,387,904 files"},
		{&Hello{Role: RoleServer, CPUs: []int{0}, Files: -1}, "says that it has 1 CPU and -1 files"},
		{&Hello{Role: RoleServer, CPUs: []int{0}, Files: 1, Ports: &Ports{9, 3}}, "says that it has the ports 9 to 3"},
		{&Hello{Role: RoleServer, CPUs: []int{0}, Files: 1, Ports: &Ports{0, 3}}, "says that it has the ports 0 to 3"},
	} {
		if got := fmt.Sprint(test.hello.check(RoleServer)); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
	if err := (&Hello{Role: RoleClient, CPUs: []int{0}, Files: 1, Ports: &Ports{1, 1}}).check(RoleClient); err == nil {
		t.Error("a client has ports to listen on")
	}
}

func TestHelloCheck(t *testing.T) {
	t.Run("local ports are those of a client, and a range", func(t *testing.T) {
		for _, test := range []struct {
			role  string
			ports Ports
			want  string
		}{
			{RoleClient, Ports{32768, 60999}, "<nil>"},
			{RoleClient, Ports{1, 1}, "<nil>"},
			{RoleClient, Ports{0, 60999}, "says that its net.ipv4.ip_local_port_range is 0 to 60999"},
			{RoleClient, Ports{60999, 32768}, "says that its net.ipv4.ip_local_port_range is 60999 to 32768"},
			{RoleServer, Ports{32768, 60999}, "says that its net.ipv4.ip_local_port_range is 32768 to 60999"},
		} {
			hello := &Hello{Role: test.role, CPUs: []int{0}, Files: 1, LocalPorts: &test.ports}
			if got := fmt.Sprint(hello.check(test.role)); got != test.want {
				t.Errorf("%s with %v: %s, want %s", test.role, test.ports, got, test.want)
			}
		}
	})
}

// What adds up only because the sum overflows does not add up.
func TestAReportIsHeldAgainstItsLoadWithoutOverflow(t *testing.T) {
	const huge = math.MaxInt64
	one := func(p uint16) []Ports { return []Ports{{p, p}} }
	fine := func(change func(*Report)) Report {
		r := Report{Requests: 3, Succeeded: 2, Failures: map[string]int{"timeout": 1}, Latency: [][2]int64{{0, 1}, {slowest, 1}},
			Ports: []Ports{{2048, 2050}}, Silent: one(2049), Seconds: 0.1, PeakRSS: 9 << 20, MadeUp: 1, Missed: 1, BindErrors: 1}
		change(&r)
		return r
	}
	many := make([]Ports, 65536)
	for i := range many {
		many[i] = Ports{1, 65535}
	}
	for _, test := range []struct {
		report Report
		want   string
	}{
		{fine(func(*Report) {}), "<nil>"},
		{fine(func(r *Report) { r.Requests, r.Succeeded = -huge-1, huge }), "report: -9,223,372,036,854,775,808 requests sent, 3 asked for"},
		{fine(func(r *Report) { r.Failures = map[string]int{"reset": huge, "refused": huge, "timeout": 3} }), "report: 9,223,372,036,854,775,807 failures of kind refused"},
		{fine(func(r *Report) { r.Latency = [][2]int64{{1, huge}, {2, huge}, {3, 4}} }), "report: latency 1 µs, 9,223,372,036,854,775,807 times"},
		{fine(func(r *Report) { r.Latency = [][2]int64{{1, 1}, {1, 1}} }), "report: latency 1 µs, 1 time"},
		{fine(func(r *Report) { r.Latency = [][2]int64{{1, 2}, {2, 0}} }), "report: latency 2 µs, 0 times"},
		{fine(func(r *Report) { r.Latency = [][2]int64{{-1, 2}} }), "report: latency -1 µs, 2 times"},
		{fine(func(r *Report) { r.Latency = [][2]int64{{slowest + 1, 2}} }), "report: latency 10000001 µs, 2 times"},
		{fine(func(r *Report) { r.Latency = make([][2]int64, 1_000_000) }), "report: latency 0 µs, 0 times"},
		{fine(func(r *Report) { r.Succeeded, r.Failures, r.Latency = -1, map[string]int{"other": 3}, nil }), "report: 3 requests, but -1 succeeded, 3 failed and 0 with a latency"},
		{fine(func(r *Report) { r.Ports = many }), "report: source ports 1 to 65535"},
		{fine(func(r *Report) { r.Ports = []Ports{{2048, 2051}} }), "report: 4 source ports for 3 requests"},
		{fine(func(r *Report) { r.Ports = []Ports{{9, 8}} }), "report: source ports 9 to 8"},
		{fine(func(r *Report) { r.Ports = []Ports{{0, 1}} }), "report: source ports 0 to 1"},
		{fine(func(r *Report) { r.Ports = []Ports{{7, 7}, {6, 6}} }), "report: source ports 6 to 6"},
		{fine(func(r *Report) { r.Silent = []Ports{{2048, 2049}} }), "report: 2 source ports of 1 timeout"},
		{fine(func(r *Report) { r.Silent = one(2051) }), "report: no answer to source ports 2051 to 2051, which were not all connected from"},
		{fine(func(r *Report) { r.Silent, r.Ports = one(2047), []Ports{{2, 2}, {2048, 2049}} }), "report: no answer to source ports 2047 to 2047, which were not all connected from"},
		{fine(func(r *Report) { r.MadeUp = 601 }), "report: 1 slot without a port, 1 missed and 601 made up"},
		{fine(func(r *Report) { r.Missed = -1 }), "report: 1 slot without a port, -1 missed and 1 made up"},
		{fine(func(r *Report) { r.Seconds = -1 }), "report: -1 seconds, 9437184 bytes of memory"},
		{fine(func(r *Report) { r.PeakRSS = 1 << 62 }), "report: 0.1 seconds, 4611686018427387904 bytes of memory"},
	} {
		if got := fmt.Sprint(test.report.check(Load{Requests: 3})); got != strings.Replace(test.want, "refused", `"refused"`, 1) {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

func TestALoadIsHeldAgainstWhatAClientCanDo(t *testing.T) {
	server := netip.MustParseAddrPort("198.18.1.2:20001")
	load := func(change func(*Load)) Load {
		l := Load{Server: server, Requests: 3000, Timeout: 500 * time.Millisecond}
		change(&l)
		return l
	}
	step := func(change func(*Lockstep)) Load {
		s := Lockstep{Client: 1, Clients: 2, CPUs: 2, Ports: Ports{2048, 3047}, Barrier: "/dev/shm/snatlab", Epoch: 7}
		change(&s)
		return load(func(l *Load) { l.Lockstep = &s })
	}
	for _, test := range []struct {
		load Load
		want string
	}{
		{load(func(*Load) {}), "<nil>"},
		{step(func(*Lockstep) {}), "<nil>"},
		{step(func(s *Lockstep) { s.Barrier, s.Own, s.Ports = "/proc/self/fd/3", true, Ports{1, 65535} }), "<nil>"},
		{step(func(s *Lockstep) { s.Barrier, s.Start = "", monotonic()+int64(time.Second) }), "<nil>"},
		{load(func(l *Load) { l.Server = netip.AddrPort{} }), "server invalid AddrPort: not an IPv4 address with a port"},
		{load(func(l *Load) { l.Server = netip.MustParseAddrPort("[::1]:80") }), "server [::1]:80: not an IPv4 address with a port"},
		{load(func(l *Load) { l.Server = netip.MustParseAddrPort("198.18.1.2:0") }), "server 198.18.1.2:0: not an IPv4 address with a port"},
		{load(func(l *Load) { l.Requests = 1 << 40 }), "1099511627776 requests: out of range"},
		{load(func(l *Load) { l.Requests = -1 }), "-1 requests: out of range"},
		{load(func(l *Load) { l.Timeout = -1 }), "a timeout of -1 ns: out of range"},
		{load(func(l *Load) { l.Timeout = math.MaxInt64 }), "a timeout of 9223372036854775807 ns: out of range"},
		{load(func(l *Load) { l.Rate = -1 }), "a rate of -1 a second: out of range"},
		{load(func(l *Load) { l.Rate = 1 << 40 }), "a rate of 1099511627776 a second: out of range"},
		{load(func(l *Load) { l.Concurrency = -1 }), "-1 requests at once: out of range"},
		{step(func(s *Lockstep) { s.Client = -1 }), "lockstep of client -1 of 2 on 2 of 2 CPUs: out of range"},
		{step(func(s *Lockstep) { s.Client = 2 }), "lockstep of client 2 of 2 on 2 of 2 CPUs: out of range"},
		{step(func(s *Lockstep) { s.Clients = 65 }), "lockstep of client 1 of 65 on 2 of 2 CPUs: out of range"},
		{step(func(s *Lockstep) { s.CPUs = 0 }), "lockstep of client 1 of 2 on 0 of 2 CPUs: out of range"},
		{step(func(s *Lockstep) { s.CPUs = 3 }), "lockstep of client 1 of 2 on 3 of 2 CPUs: out of range"},
		{step(func(s *Lockstep) { s.Clients = 64 }), "3000 requests of each of 64 clients: out of range"},
		{step(func(s *Lockstep) { s.Ports.First = 0 }), "source ports 0 to 3047: out of range"},
		{step(func(s *Lockstep) { s.Ports.Last = 2047 }), "source ports 2048 to 2047: out of range"},
		{step(func(s *Lockstep) { s.Epoch = 1 << 32 }), "epoch 4294967296: out of range"},
		{step(func(s *Lockstep) { s.Start = math.MaxInt64 }), "start at 9223372036854775807 ns: out of range"},
		{step(func(s *Lockstep) { s.Start = -1 }), "start at -1 ns: out of range"},
		{step(func(s *Lockstep) { s.Barrier = "barrier" }), `barrier "barrier": not a full path`},
		{step(func(s *Lockstep) { s.Barrier = "/dev/shm/../sda" }), `barrier "/dev/shm/../sda": not a full path`},
		{step(func(s *Lockstep) { s.Barrier = "/" + strings.Repeat("x", maxPath) }), `barrier "/` + strings.Repeat("x", 59) + `": not a full path`},
		{step(func(s *Lockstep) { s.Barrier = "/dev/sda" }), `barrier "/dev/sda": no place for one`},
		{step(func(s *Lockstep) { s.Barrier = "/proc/1/mem" }), `barrier "/proc/1/mem": no place for one`},
		{step(func(s *Lockstep) { s.Barrier = "/proc/self/fd/0" }), `barrier "/proc/self/fd/0": no inherited file`},
		{step(func(s *Lockstep) { s.Barrier = "/proc/self/fd/03" }), `barrier "/proc/self/fd/03": no inherited file`},
		{step(func(s *Lockstep) { s.Barrier = "/proc/self/fd/../mem" }), `barrier "/proc/self/fd/../mem": no inherited file`},
	} {
		if got := fmt.Sprint(test.load.check(2)); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

func TestAFileThatIsNoBarrierIsLeftAsItIs(t *testing.T) {
	client := startClient(t, "client 0")
	path := filepath.Join(t.TempDir(), "diary")
	if err := os.WriteFile(path, []byte("dear diary"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "client 0: size barrier: " + path + " is no barrier: -rw------- of size 10"
	if err := client.Share(t.Context(), path); fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "dear diary" {
		t.Errorf("it reads %q now (%v)", text, err)
	}
	for range 2 { // made, and found
		if err := client.Share(t.Context(), filepath.Join(filepath.Dir(path), "barrier")); err != nil {
			t.Error(err)
		}
	}
}

const greeting = `{"v":3,"greet":{}}` + "\n"

func TestAServerDoesNothingBut(t *testing.T) {
	run, err := json.Marshal(message{V: Version, Run: &Load{Requests: 1 << 40, Timeout: -1}})
	if err != nil {
		t.Fatal(err)
	}
	const known = "a server does not know what to do with this request"
	for _, test := range []struct{ order, want string }{
		{string(run), known},
		{`{"v":3,"share":{"barrier":"/etc/passwd"}}`, known},
		{`{"v":3,"hello":{"role":"server","cpus":[0],"files":9}}`, known},
		{`{"v":3,"report":{}}`, known},
		{`{"v":3,"error":"x"}`, known},
		{`{"v":3,"listen":{"port":39004}}`, "port 39004 is not one of 39000 to 39003"},
		{`{"v":3,"listen":{"port":0}}`, "port 0 is not one of 39000 to 39003"},
		{`{"v":3,"finish":{}}`, "not listening"},
	} {
		var out bytes.Buffer
		agent := Agent{Role: RoleServer, Ports: &Ports{39000, 39003}}
		if err := agent.Serve(strings.NewReader(greeting+test.order+"\n"), &out); err != nil {
			t.Errorf("%s: %v", test.order, err)
		}
		answer := strings.Split(out.String(), "\n")[2] // after the hello and the answer to the greeting
		if m, err := parse([]byte(answer)); err != nil || m.Error != test.want {
			t.Errorf("%s: %s, want %s (%v)", test.order, answer, test.want, err)
		}
	}
}

// The last answer says why it is the last.
func TestWhoIsNoControllerIsToldSoAndHungUpOn(t *testing.T) {
	for _, test := range []struct{ says, want string }{
		{"GET / HTTP/1.1\r\n", `not a message: "GET / HTTP/1.1"`},
		{`{"v":1,"greet":{}}`, "protocol version 1, this is 3: both sides must be the same snatlab"},
		{`{"v":3}`, `a message that says 0 things: "{\"v\":3}"`},
		{`{"v":3,"greet":{},"finish":{}}`, `a message that says 2 things: "{\"v\":3,\"greet\":{},\"finish\":{}}"`},
		{`{"v":3,"format":{}}`, `a message that this snatlab does not know (json: unknown field "format"): "{\"v\":3,\"format\":{}}"`},
		{`{"v":3,"listen":{"port":70000}}`, `a message that this snatlab does not know (json: cannot unmarshal number 70000 into Go struct field Listen.listen.port of type uint16): "{\"v\":3,\"listen\":{\"port\":70000}}"`},
		{strings.Repeat("x", maxOrder), "a line is too long: more than 4096 bytes"},
		{`{"v":3,"listen":{"port":39001}}`, "a server takes orders only after a greeting"},
		{`{"v":3,"finish":{}}`, "a server takes orders only after a greeting"},
	} {
		var out bytes.Buffer
		agent := Agent{Role: RoleServer}
		err := agent.Serve(strings.NewReader(test.says+"\n"+`{"v":3,"finish":{}}`+"\n"), &out)
		if fmt.Sprint(err) != test.want {
			t.Errorf("%.40s: error %v, want %s", test.says, err, test.want)
		}
		lines := strings.SplitAfter(strings.TrimSpace(out.String()), "\n")
		if m, err := parse([]byte(lines[len(lines)-1])); len(lines) != 2 || err != nil || m.Error != test.want {
			t.Errorf("%.40s: answered with %q", test.says, lines)
		}
	}
}

// An endless line takes no more memory than the longest that is allowed.
func TestALineWithoutAnEndIsRefusedInLittleMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := OpenClient(t.Context(), Stream{Name: "client 0", In: endless('['), Out: io.Discard, Close: func() error { return nil }})
	runtime.ReadMemStats(&after)
	if fmt.Sprint(err) != "client 0 died: a line is too long: more than 2097152 bytes" {
		t.Error(err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
		t.Errorf("%d bytes were allocated", took)
	}
}

// endless is a stream of one byte.
type endless byte

func (b endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

const hello = `{"v":3,"hello":{"role":"client","cpus":[0],"files":99}}` + "\n"

func TestAnAnswerMustBeToTheQuestion(t *testing.T) {
	for _, test := range []struct {
		answer string
		ask    func(context.Context, *Client) error
		want   string
	}{
		{`{"v":3,"ready":{}}`, share, "client 0: answered without saying that it shares"},
		{`{"v":3,"shared":{}}`, run, "client 0: answered without a report"},
		{`{"v":3,"run":{}}`, run, "client 0: answered without a report"},
		{`{"v":3,"error":"\u001b[2J\u0007over"}`, run, "client 0: ?[2J?over"},
		{`{"v":3,"error":"` + strings.Repeat("x", 10_000) + `"}`, run, "client 0: " + strings.Repeat("x", maxWords) + "..."},
		{`{"v":3,"served":{"accepted":1e30}}`, run, `client 0 died: a message that this snatlab does not know (json: cannot unmarshal number 1e30 into Go struct field Served.served.accepted of type uint64): "{\"v\":3,\"served\":{\"accepted\":1e30}}"`},
	} {
		requests, in := io.Pipe()
		out, answers := io.Pipe()
		go func() {
			fmt.Fprint(answers, hello)
			requests.Read(make([]byte, maxOrder))
			fmt.Fprintln(answers, test.answer)
		}()
		c, err := OpenClient(t.Context(), Stream{Name: "client 0", In: out, Out: in, Close: out.Close})
		if err != nil {
			t.Fatal(err)
		}
		if err := test.ask(t.Context(), c); fmt.Sprint(err) != test.want {
			t.Errorf("%.60s: %v, want %s", test.answer, err, test.want)
		}
		c.Close()
	}
}

func share(ctx context.Context, c *Client) error { return c.Share(ctx, "/dev/shm/x") }

func run(ctx context.Context, c *Client) error {
	_, err := c.Run(ctx, Load{Requests: 1})
	return err
}

// What is said before it was asked for is not taken for the answer.
func TestAProbeThatSpeaksOutOfTurnIsNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, answers := io.Pipe()
		go fmt.Fprint(answers, hello+`{"v":3,"shared":{}}`+"\n")
		c, err := OpenClient(t.Context(), Stream{Name: "client 0", In: out, Out: io.Discard, Close: out.Close})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		synctest.Wait() // until it is there
		if err := share(t.Context(), c); fmt.Sprint(err) != "client 0: speaks without being asked" {
			t.Error(err)
		}
	})
}

func TestServedCheck(t *testing.T) {
	from := func(address string, n uint64) Source { return Source{netip.MustParseAddr(address), n} }
	many := make([]Source, maxSources+1)
	for i := range many {
		many[i] = Source{netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 1}
	}
	for _, test := range []struct {
		accepted uint64
		sources  []Source
		want     string
	}{
		{3, nil, "<nil>"},
		{3, []Source{from("198.18.1.1", 2), from("198.19.0.1", 1)}, "<nil>"},
		{maxSources, many[1:], "<nil>"},
		{maxSources + 1, many, "served: connections from 257 addresses"},
		{3, []Source{from("198.18.1.1", 4)}, `served: 4 of 3 connections from "198.18.1.1"`},
		{3, []Source{from("198.18.1.1", 2), from("198.19.0.1", 2)}, `served: 2 of 3 connections from "198.19.0.1"`},
		{3, []Source{from("198.18.1.1", 2), from("198.18.1.1", 1)}, `served: 1 of 3 connections from "198.18.1.1"`},
		{3, []Source{from("198.18.1.1", 0)}, `served: 0 of 3 connections from "198.18.1.1"`},
		{3, []Source{from("2001:2::1", 1)}, `served: 1 of 3 connections from "2001:2::1"`},
		{3, []Source{{}}, `served: 0 of 3 connections from "invalid IP"`},
		{3, []Source{from("198.18.1.1", 1<<64-1), from("198.19.0.1", 3)}, `served: 18446744073709551615 of 3 connections from "198.18.1.1"`},
	} {
		served := &Served{Accepted: test.accepted, Sources: test.sources}
		if got := fmt.Sprint(served.check()); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}
