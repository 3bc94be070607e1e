package harness

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"snatlab/harness/conntrack"
	"snatlab/harness/lab"
	"snatlab/harness/probe"
	"snatlab/harness/probe/agent"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// fakeLab is a lab on the loopback interface. Its clients and its server are real
// probe agents, run in this process. A test decides its rule, its counters and its
// errors.
type fakeLab struct {
	clients []*probe.ClientSession
	server  *probe.ServerSession
	barrier string
	script

	mu           sync.Mutex // the clients run side by side
	calls        []string
	loads        []probe.ClientLoad // the path check's included
	sent         uint64
	passed       uint64          // connections of the control
	control      netip.AddrPort  // chosen when it is asked for
	roles        lab.ServerPorts // of the trial that is being made
	controlPorts scenario.PortRange
	lookups      bool // the server answers DNS queries
	rules        []*fakeRule
	hold         time.Duration
	closes       string
	forgotten    []forgotten

	closedWith error // the error of the context of Close
}

// A script decides what happens in a fake lab.
type script struct {
	draws bool // the rule of the node draws source ports by itself

	// before is called before each call of a method, and before each load is sent
	// to a client, with the name of the call and the number of earlier ones. If it
	// returns an error, the call fails with it, or the client dies.
	before func(call string, n int) error
	// matched returns the number of packets that the rule counted after so many
	// requests; nil: as many.
	matched func(sent uint64) uint64
	// others returns the counters of other rules after so many requests; nil: there
	// are none.
	others func(sent uint64) lab.RuleCounters
	// table returns the conntrack table at the n-th look; nil: an empty one.
	table func(n int) conntrack.Snapshot
	// deaf reports whether no server listens for the requests of a trial.
	deaf func(trial int) bool
	// shared is set if other traffic is in the table.
	shared bool
	// explain asks for evidence. entries are then the entries of each client.
	explain bool
	entries []map[uint16]string
	// controlLost says what a client loses of the control's requests in its n-th
	// load, by kind; nil: the lab has no control. The agents send nothing of it but the
	// path check's requests.
	controlLost func(client string, n int) map[string]int
	// phase is what every client reports of its phase lock.
	phase func(client string, n int) probe.Phase
	// controlMatched says how many packets the control's rule counted when so many
	// connections had been made; nil: as many.
	controlMatched func(passed uint64) (uint64, error)
}

// forgotten is one call of Forget.
type forgotten struct {
	server netip.AddrPort
	ports  [][]scenario.PortRange
}

// The names of a lab's calls. Those of its clients are the clients' names.
const (
	callApply     = "apply"
	callPackets   = "packets"
	callUndo      = "undo"
	callListen    = "listen"
	callFinish    = "finish"
	callConntrack = "conntrack"
	callForget    = "forget"

	callInsertControl = "insert control"
	callIntact        = "intact"
	callClose         = "close"
)

// errSilence lets a client live, but never answer.
var errSilence = errors.New("silence")

const exitReason = "exit code 137; it left no output"

// newFakeLab starts the agents, which end with the test at the latest.
func newFakeLab(t *testing.T, clients int) *fakeLab {
	t.Helper()
	f := &fakeLab{barrier: filepath.Join(t.TempDir(), "barrier")}
	for i := range clients {
		f.startClient(t, clientName(i))
	}
	stream, _ := startAgent(t, "server", probe.RoleServer)
	var err error
	if f.server, err = probe.OpenServer(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	return f
}

func clientName(i int) string { return "client " + string(rune('0'+i)) }

func (f *fakeLab) startClient(t *testing.T, name string) {
	t.Helper()
	stream, die := startAgent(t, name, probe.RoleClient)
	asked := make(chan *probe.ClientLoad, 1)
	stream.Out = tap{lab: f, name: name, out: stream.Out, die: die, asked: asked}
	stream.In = &controlledAnswers{lab: f, name: name, lines: bufio.NewReader(stream.In), asked: asked}
	c, err := probe.OpenClient(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	f.clients = append(f.clients, c)
}

// startAgent runs an agent and returns a stream to it, and a function that ends the
// stream like that of a process that was killed.
func startAgent(t *testing.T, name, role string) (_ probe.Stream, die func()) {
	requests, in := io.Pipe()
	out, answers := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		a := agent.Agent{Role: role, Guests: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
		_ = a.Serve(requests, answers) // some tests break the stream
		answers.Close()
	}()
	end := func() error { return errors.Join(out.Close(), in.Close()) }
	t.Cleanup(func() {
		_ = end() // never fails
		<-done
	})
	return probe.Stream{Name: name, In: out, Out: in, Close: end, ExitReason: func() string { return exitReason }},
		func() { answers.Close() }
}

// A tap records the loads that are sent to a client.
type tap struct {
	lab  *fakeLab
	name string
	out  io.Writer
	die  func()

	asked chan<- *probe.ClientLoad // loads with a control, which is taken out of them
}

func (w tap) Write(line []byte) (int, error) {
	var m struct{ Run *probe.ClientLoad }
	if err := json.Unmarshal(line, &m); err != nil {
		return 0, err
	}
	if m.Run == nil {
		return w.out.Write(line)
	}
	switch err := w.lab.recordCall(w.name); err {
	case nil:
	case errSilence:
		return len(line), nil
	default:
		w.die()
		return len(line), nil
	}
	w.lab.mu.Lock()
	w.lab.loads = append(w.lab.loads, *m.Run)
	if m.Run.Server == w.lab.roles.Control { // the path check's
		w.lab.passed += uint64(m.Run.Requests)
	} else {
		w.lab.sent += uint64(m.Run.Requests)
	}
	w.lab.mu.Unlock()
	if m.Run.Lockstep == nil || m.Run.Lockstep.Control == nil {
		return w.out.Write(line)
	}
	whole := *m.Run
	part := *m.Run.Lockstep
	part.Control, m.Run.Lockstep = nil, &part
	plain, err := json.Marshal(probe.Message{V: probe.Version, Run: m.Run})
	if err != nil {
		return 0, err
	}
	w.asked <- &whole
	_, err = w.out.Write(append(plain, '\n'))
	return len(line), err
}

// controlledAnswers adds what became of the control to the reports of a client that
// was asked for one.
type controlledAnswers struct {
	lab   *fakeLab
	name  string
	lines *bufio.Reader
	asked <-chan *probe.ClientLoad
	rest  []byte // of the line that is being read
	n     int    // reports so far
}

func (a *controlledAnswers) Read(p []byte) (int, error) {
	if len(a.rest) == 0 {
		line, err := a.lines.ReadBytes('\n')
		if err != nil {
			return copy(p, line), err
		}
		if a.rest, err = a.addControl(line); err != nil {
			return 0, err
		}
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

func (a *controlledAnswers) addControl(line []byte) ([]byte, error) {
	var m probe.Message
	if err := json.Unmarshal(line, &m); err != nil || m.Report == nil {
		return line, err
	}
	select {
	case load := <-a.asked:
		m.Report.Control = a.lab.makeControl(load, a.lab.controlLost(a.name, a.n))
		m.Report.Phase = &probe.Phase{}
		if a.lab.phase != nil {
			*m.Report.Phase = a.lab.phase(a.name, a.n)
		}
		a.n++
	default:
		return line, nil
	}
	line, err := json.Marshal(m)
	return append(line, '\n'), err
}

// makeControl makes the outcome of the control of a load.
func (f *fakeLab) makeControl(load *probe.ClientLoad, lost map[string]int) *probe.Outcome {
	part := load.Lockstep.Control
	n := load.Requests / part.Every
	o := &probe.Outcome{Requests: n, Succeeded: n, Failures: lost}
	o.Ports = []scenario.PortRange{{First: part.Ports.First, Last: part.Ports.First + uint16(n-1)}}
	for _, n := range lost {
		o.Succeeded -= n
	}
	if load.Lookups != nil {
		o.Unanswered = &result.Unanswered{A: lost[result.Timeout]}
	}
	if o.Succeeded > 0 {
		o.Latency = [][2]int64{{20, int64(o.Succeeded)}}
	}
	f.mu.Lock()
	f.passed += uint64(n)
	f.mu.Unlock()
	return o
}

func (f *fakeLab) AnswerLookups() { f.lookups = true }

func (f *fakeLab) recordCall(name string) error {
	f.mu.Lock()
	n := f.countCalls(name)
	f.calls = append(f.calls, name)
	f.mu.Unlock()
	if f.before == nil {
		return nil
	}
	return f.before(name, n)
}

func (f *fakeLab) countCalls(call string) (n int) {
	for _, c := range f.calls {
		if c == call {
			n++
		}
	}
	return n
}

// failCall lets only the n-th call of that name fail.
func (f *fakeLab) failCall(call string, n int, err error) {
	f.before = func(c string, i int) error {
		if c == call && i == n {
			return err
		}
		return nil
	}
}

func (f *fakeLab) Environment() result.Env         { return result.Env{Driver: "fake"} }
func (f *fakeLab) Clients() []*probe.ClientSession { return f.clients }
func (f *fakeLab) Barrier() string                 { return f.barrier }

func (f *fakeLab) Apply(_ context.Context, arm scenario.Arm) (lab.ArmRule, error) {
	if err := f.recordCall(callApply); err != nil {
		return nil, err
	}
	text := "-j MASQUERADE"
	if arm.Masquerade.RandomFully {
		text += " --random-fully"
	}
	r := &fakeRule{lab: f, text: text}
	f.rules = append(f.rules, r)
	return r, nil
}

func (f *fakeLab) Listen(ctx context.Context, trial int, swapped bool) (at lab.ServerPorts, err error) {
	if err := f.recordCall(callListen); err != nil {
		return at, err
	}
	// All ports are free at one time, and so not the same.
	common := f.commonPort()
	held, _ := net.Listen("tcp4", common.String()) // not if the server still listens there
	open, closed := listenFreePort(), listenFreePort()
	defer closed.Close()
	at = lab.ServerPorts{Arm: netip.MustParseAddrPort(open.Addr().String()), Control: common}
	open.Close()
	if held != nil {
		held.Close()
	}
	if swapped && at.Control.IsValid() {
		at.Arm, at.Control = at.Control, at.Arm
	}
	f.mu.Lock()
	f.roles = at
	f.mu.Unlock()
	protocol := result.TCP
	if f.lookups {
		protocol = result.UDP
	}
	if err := f.server.Listen(ctx, probe.Listen{Protocol: protocol, DNS: f.lookups, Port: at.Arm.Port(), Control: at.Control.Port(), Hold: f.hold, Close: f.closes}); err != nil {
		return at, err
	}
	if f.deaf != nil && f.deaf(trial) {
		at.Arm = netip.MustParseAddrPort(closed.Addr().String())
	}
	return at, nil
}

func (f *fakeLab) HoldConnections(hold time.Duration, closes string) {
	f.hold, f.closes = hold, closes
}

func (f *fakeLab) ServerFiles() int { return f.server.Hello.Files }

func listenFreePort() net.Listener {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err) // a machine without a free port
	}
	return l
}

func (f *fakeLab) HasControl() bool { return f.controlLost != nil }

func (f *fakeLab) InsertControl(_ context.Context, ports scenario.PortRange) error {
	f.controlPorts = ports
	return f.recordCall(callInsertControl)
}

// commonPort returns the server port of all trials.
func (f *fakeLab) commonPort() netip.AddrPort {
	if f.controlLost == nil {
		return netip.AddrPort{}
	}
	if !f.control.IsValid() {
		free := listenFreePort()
		defer free.Close()
		f.control = netip.MustParseAddrPort(free.Addr().String())
	}
	return f.control
}

func (f *fakeLab) ControlRule() string { return "-d server -j MASQUERADE" }

func (f *fakeLab) ControlPackets(context.Context) (uint64, error) {
	if f.controlMatched == nil {
		return f.passed, nil
	}
	return f.controlMatched(f.passed)
}

func (f *fakeLab) Finish(ctx context.Context) (*probe.Served, error) {
	if err := f.recordCall(callFinish); err != nil {
		return nil, err
	}
	return f.server.Finish(ctx)
}

func (f *fakeLab) Conntrack(context.Context) (conntrack.Snapshot, error) {
	err := f.recordCall(callConntrack)
	if f.table == nil {
		return conntrack.Snapshot{Max: 1 << 18}, err
	}
	return f.table(f.countCalls(callConntrack) - 1), err
}

func (f *fakeLab) Intact(context.Context) error { return f.recordCall(callIntact) }

func (f *fakeLab) MonotonicTime(context.Context) (int64, error) { return probe.MonotonicTime(), nil }

func (f *fakeLab) Shared() bool { return f.shared }

func (f *fakeLab) Entries(context.Context, netip.AddrPort, [][]scenario.PortRange) ([]map[uint16]string, error) {
	return f.entries, nil
}

func (f *fakeLab) Forget(_ context.Context, server netip.AddrPort, ports [][]scenario.PortRange) error {
	f.forgotten = append(f.forgotten, forgotten{server, ports})
	return f.recordCall(callForget)
}

func (f *fakeLab) Close(ctx context.Context) error {
	f.closedWith = ctx.Err()
	err := f.recordCall(callClose)
	for _, c := range f.clients {
		err = errors.Join(err, c.Close())
	}
	return errors.Join(err, f.server.Close())
}

type fakeRule struct {
	lab    *fakeLab
	text   string
	undone int
}

func (r *fakeRule) Rule() string { return r.text }

func (r *fakeRule) DrawsPorts() bool { return r.lab.draws }

func (r *fakeRule) Settings() []result.Setting { return nil }

func (r *fakeRule) Packets(context.Context) (uint64, error) {
	if err := r.lab.recordCall(callPackets); err != nil {
		return 0, err
	}
	if r.lab.matched == nil {
		return r.lab.sent, nil
	}
	return r.lab.matched(r.lab.sent), nil
}

func (r *fakeRule) BothPackets(ctx context.Context) (own, control uint64, err error) {
	if own, err = r.Packets(ctx); err == nil {
		control, err = r.lab.ControlPackets(ctx)
	}
	return own, control, err
}

func (r *fakeRule) Counters(context.Context) lab.RuleCounters {
	if r.lab.others == nil {
		return lab.RuleCounters{}
	}
	return r.lab.others(r.lab.sent)
}

func (r *fakeRule) Undo(ctx context.Context) error {
	r.undone++
	if err := ctx.Err(); err != nil {
		return err // the host is restored after the run's context has ended
	}
	return r.lab.recordCall(callUndo)
}

// ephemeralScenario returns a scenario whose clients can share a network namespace.
func ephemeralScenario(clients int, arms ...string) *scenario.Scenario {
	s := scenario.Default()
	s.Name, s.Clients, s.Rounds, s.Seed = "fake", clients, 2, new(uint64(1))
	s.Load.Pattern, s.Load.Requests, s.Load.Timeout, s.Load.Concurrency = result.Ephemeral, 20, 900*time.Millisecond, 4
	for _, name := range arms {
		s.Arms = append(s.Arms, scenario.Arm{Name: name, Masquerade: scenario.MasqueradeOptions{RandomFully: name == "random-fully"}})
	}
	return &s
}

// lockstepScenario returns a scenario of one client in lockstep: a second one would
// need the same source ports.
func lockstepScenario(sync string, arms ...string) *scenario.Scenario {
	s := ephemeralScenario(1, arms...)
	s.Load.Pattern, s.Load.Sync, s.Load.Concurrency, s.Load.Requests = result.Lockstep, sync, 0, 100
	return s
}

// run runs a scenario in the lab.
func (f *fakeLab) run(ctx context.Context, s *scenario.Scenario) (*result.Result, *recorder, error) {
	w := &recorder{}
	r, err := Run(ctx, s, func(context.Context) (lab.Lab, error) { return f, nil }, w, RunOptions{Explain: f.explain})
	return r, w, err
}

// recorder is a Watcher that records the arms of its calls, without the warm-up.
type recorder struct {
	started, done []string
	progress      []result.Progress // of the finished trials
}

func (w *recorder) Start(p result.Progress) {
	if p.Round > 0 {
		w.started = append(w.started, p.Arm)
	}
}

func (w *recorder) Done(p result.Progress, _ *result.Trial) {
	if p.Round > 0 {
		w.done = append(w.done, p.Arm)
		w.progress = append(w.progress, p)
	}
}

// countTrials returns the number of trials of a result.
func countTrials(r *result.Result) (n int) {
	for _, a := range r.Arms {
		n += len(a.Trials)
	}
	return n
}

// wasClosedLast reports whether the lab was closed once, after all other calls.
func (f *fakeLab) wasClosedLast() bool {
	return f.countCalls(callClose) == 1 && slices.Index(f.calls, callClose) == len(f.calls)-1
}
