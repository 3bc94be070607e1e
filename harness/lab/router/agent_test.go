package router

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/lab"
	"snatlab/harness/nat/nattest"
	"snatlab/harness/netnstest"
	"snatlab/harness/probe"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// These tests run the agent as a process of its own, in the namespace of the test, as a
// Pod runs it in that of its node. Its /run is a folder of the test.

// runFolder is the variable that makes this program an agent.
const runFolder = "SNATLAB_TEST_RUN"

func TestMain(m *testing.M) {
	dir := os.Getenv(runFolder)
	if dir == "" {
		os.Exit(m.Run())
	}
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if err == nil {
		err = unix.Mount(dir, "/run", "", unix.MS_BIND, "")
	}
	if err == nil {
		err = ServeStdio("")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// node is a namespace with rules of a CNI plugin, in which agents run.
type node struct {
	*testing.T
	run string // the folder that is /run
}

// agentProcess is an agent and its session.
type agentProcess struct {
	*Session
	process *exec.Cmd
	stderr  *lab.StderrTail
}

var podRules = []string{
	"iptables-nft -t nat -N CNI-3f9770e89704bb3cceaf124e",
	"iptables-nft -t nat -A CNI-3f9770e89704bb3cceaf124e -d 198.18.0.0/24 -j ACCEPT",
	`iptables-nft -t nat -A CNI-3f9770e89704bb3cceaf124e ! -d 224.0.0.0/4 -m comment --comment 'name: "pods" id: "90990c58"' -j MASQUERADE`,
	"iptables-nft -t nat -A POSTROUTING -s 198.18.0.1/32 -j CNI-3f9770e89704bb3cceaf124e",
}

func newNode(t *testing.T, rules ...string) *node {
	t.Helper()
	nattest.EnterNamespace(t)
	nattest.RequireNFT(t)
	for _, r := range rules {
		netnstest.Run(t, r)
	}
	return &node{t, t.TempDir()}
}

// start starts an agent on the node and connects to it.
func (n *node) start() *agentProcess {
	n.Helper()
	a := &agentProcess{process: exec.Command("/proc/self/exe"), stderr: &lab.StderrTail{}}
	a.process.Env = append(os.Environ(), runFolder+"="+n.run)
	a.process.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	a.process.Stderr = a.stderr
	in, err := a.process.StdinPipe()
	if err != nil {
		n.Fatal(err)
	}
	out, err := a.process.StdoutPipe()
	if err == nil {
		err = a.process.Start()
	}
	if err == nil {
		_, err = in.Write(probe.Greeting())
	}
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() {
		_ = a.process.Process.Kill()
		_ = a.process.Wait()
	})
	stream := probe.Stream{Name: "agent", In: out, Out: in, Close: in.Close, ExitReason: func() string { return a.stderr.DescribeEnd("ended") }}
	if a.Session, err = Connect(n.Context(), stream, "n1"); err != nil {
		n.Fatal(err)
	}
	return a
}

var server = netip.AddrPortFrom(nattest.ServerAddress, 9000)

// openRun begins a run and finds its rules.
func (n *node) openRun(a *agentProcess, run string) {
	n.Helper()
	if _, err := a.Open(n.Context(), OpenOrder{Run: run, What: "test " + run, Barrier: true, Arms: []scenario.Arm{{}, randomFully}}); err != nil {
		n.Fatal(err)
	}
	_, err := a.FindRules(n.Context(), []netip.Addr{nattest.ClientAddress}, nattest.ServerAddress, n.send)
	if err != nil {
		n.Fatal(err)
	}
}

func (n *node) send(_ context.Context, _, count int) error {
	nattest.SendSYNs(n.T, server, count)
	return nil
}

var randomFully = scenario.Arm{Name: "random-fully", Masquerade: scenario.MasqueradeOptions{RandomFully: true}}

// putAll makes every change that a run makes.
func (n *node) putAll(a *agentProcess) lab.ArmRule {
	n.Helper()
	err := a.AddIdleRules(n.Context(), lab.IdleRules{Number: 10, Required: true})
	if err == nil {
		err = a.InsertControl(n.Context(), scenario.PortRange{First: 10000, Last: 10999})
	}
	if err != nil {
		n.Fatal(err)
	}
	rule, err := a.Apply(n.Context(), randomFully)
	if err != nil {
		n.Fatal(err)
	}
	return rule
}

// rules returns all rules of the node, without their counters.
func (n *node) rules() (all []string) {
	for _, line := range nattest.ListAllRules(n.T, true) {
		all = append(all, counters.ReplaceAllString(line, "counter"))
	}
	return all
}

var counters = regexp.MustCompile(`counter packets [0-9]+ bytes [0-9]+`)

// A run finds the rule, counts at it, and restores the node to the letter.
func TestRun(t *testing.T) {
	n := newNode(t, podRules...)
	before := n.rules()
	a := n.start()
	n.openRun(a, "run-1")
	if got := a.RuleTexts(); len(got) != 1 || !strings.Contains(got[0], "CNI-3f9770e89704bb3cceaf124e") || a.DrawsPorts() || a.Writer() != "iptables" {
		t.Errorf("found %q, %v, %v", got, a.DrawsPorts(), a.Writer())
	}
	rule := n.putAll(a)
	if text := rule.Rule(); !strings.HasSuffix(text, "-j MASQUERADE --random-fully") || !strings.Contains(a.ControlRule(), "--sport") {
		t.Errorf("the arm's rule is %q, the control's %q", text, a.ControlRule())
	}
	nattest.SendSYNs(t, server, 3)
	nattest.SendSYNsFrom(t, 10000, server, 2)
	if own, control, err := rule.BothPackets(t.Context()); own != 3 || control != 2 || err != nil {
		t.Errorf("%d and %d packets, %v", own, control, err)
	}
	if got, err := a.Entries(t.Context(), server, [][]scenario.PortRange{{{First: 10000, Last: 10001}}}); err != nil || len(got) != 1 || len(got[0]) != 2 {
		t.Errorf("entries %v, %v", got, err)
	}
	if err := a.Forget(t.Context(), server, [][]scenario.PortRange{{{First: 10000, Last: 10001}}}); err != nil {
		t.Error(err)
	}
	if s, err := a.Conntrack(t.Context()); err != nil || len(s.CPUs) == 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := rule.Undo(t.Context()); err != nil {
		t.Error(err)
	}
	if err := a.Restore(t.Context()); err != nil {
		t.Error(err)
	}
	if err := a.process.Wait(); err != nil {
		t.Errorf("%v: %s", err, a.stderr.DescribeEnd("ended"))
	}
	nattest.CheckUnchanged(t, before, n.rules())
	n.checkFolder()
}

// checkFolder checks that nothing is left in the folder of the journals but the lock.
func (n *node) checkFolder() {
	n.Helper()
	all, err := os.ReadDir(n.run + "/snatlab")
	if err != nil {
		n.Fatal(err)
	}
	for _, f := range all {
		if f.Name() != "lock" {
			n.Errorf("%s is left", f.Name())
		}
	}
}

// However a controller goes away, the agent restores the node before it ends.
func TestRestoresByItself(t *testing.T) {
	for name, end := range map[string]func(a *agentProcess) error{
		"the_stream_ends": func(a *agentProcess) error { return a.HangUp() },
		"SIGTERM":         func(a *agentProcess) error { return a.process.Process.Signal(unix.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, podRules...)
			before := n.rules()
			a := n.start()
			n.openRun(a, "run-1")
			n.putAll(a)
			if err := end(a); err != nil {
				t.Fatal(err)
			}
			if err := a.process.Wait(); err != nil {
				t.Errorf("%v: %s", err, a.stderr.DescribeEnd("ended"))
			}
			nattest.CheckUnchanged(t, before, n.rules())
			n.checkFolder()
		})
	}
}

// A controller that goes away in the middle of the search leaves nothing either.
func TestRestoresDuringSearch(t *testing.T) {
	n := newNode(t, podRules...)
	before := n.rules()
	a := n.start()
	if _, err := a.Open(t.Context(), OpenOrder{Run: "run-1"}); err != nil {
		t.Fatal(err)
	}
	gone := errors.New("gone")
	_, err := a.FindRules(t.Context(), []netip.Addr{nattest.ClientAddress}, nattest.ServerAddress, func(context.Context, int, int) error {
		_ = a.HangUp()
		return gone
	})
	if err == nil {
		t.Error("no error")
	}
	if err := a.process.Wait(); err != nil {
		t.Error(err)
	}
	nattest.CheckUnchanged(t, before, n.rules())
	n.checkFolder()
}

// An agent that is killed leaves its journal; the next one undoes it, by order or before
// a run of its own.
func TestNextAgentRestores(t *testing.T) {
	for name, next := range map[string]func(n *node, a *agentProcess) error{
		"cleanup": func(n *node, a *agentProcess) error {
			c, err := a.Cleanup(n.Context(), CleanupOrder{})
			if len(c.Undone) < 3 || c.Left != nil || c.Error != "" {
				n.Errorf("%+v", c)
			}
			return err
		},
		"run": func(n *node, a *agentProcess) error {
			opened, err := a.Open(n.Context(), OpenOrder{Run: "run-2", Barrier: true})
			if len(opened.Undone) < 3 || opened.NoBarrier != "" {
				n.Errorf("%+v", opened)
			}
			return errors.Join(err, a.Restore(n.Context()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, podRules...)
			before := n.rules()
			a := n.start()
			n.openRun(a, "run-1")
			n.putAll(a)
			if err := a.process.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = a.process.Wait()
			if _, err := a.Conntrack(t.Context()); err == nil || !strings.Contains(err.Error(), "agent died") {
				t.Errorf("error %v", err)
			}
			if err := next(n, n.start()); err != nil {
				t.Error(err)
			}
			nattest.CheckUnchanged(t, before, n.rules())
		})
	}
}

// A node has one run at a time. The error of the second one names the first.
func TestSecondRun(t *testing.T) {
	n := newNode(t, podRules...)
	first, second := n.start(), n.start()
	n.openRun(first, "run-1")
	_, err := second.Open(t.Context(), OpenOrder{Run: "run-2"})
	if err == nil || !strings.Contains(err.Error(), "another snatlab is active on this host: test run-1") {
		t.Errorf("error %v", err)
	}
	if _, err := second.Cleanup(t.Context(), CleanupOrder{}); err == nil || !strings.Contains(err.Error(), "test run-1") {
		t.Errorf("cleanup: error %v", err)
	}
	if err := first.Restore(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := second.Open(t.Context(), OpenOrder{Run: "run-2"}); err != nil {
		t.Errorf("after the first run: %v", err)
	}
}

// Connections that no rule translates are an error that says what was looked at.
func TestNoRule(t *testing.T) {
	n := newNode(t, "iptables-nft -t nat -A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE")
	a := n.start()
	if _, err := a.Open(t.Context(), OpenOrder{Run: "run-1"}); err != nil {
		t.Fatal(err)
	}
	_, err := a.FindRules(t.Context(), []netip.Addr{nattest.ClientAddress}, nattest.ServerAddress, n.send)
	if err == nil || !strings.Contains(err.Error(), "no rule of iptables or nftables translates the connections of client 0") || !strings.Contains(err.Error(), "10.0.0.0/8") {
		t.Errorf("error %v", err)
	}
	if _, err := a.Apply(t.Context(), randomFully); err == nil || !strings.Contains(err.Error(), errNoRules.Error()) {
		t.Errorf("apply: error %v", err)
	}
}

// An agent without orders restores the node: its controller is stopped, or cannot be
// reached.
func TestPatience(t *testing.T) {
	t.Parallel()
	in, inW := io.Pipe()
	defer inW.Close()
	a := &Agent{Patience: 50 * time.Millisecond}
	ended := make(chan error, 1)
	go func() { ended <- Serve(t.Context(), in, io.Discard, a) }()
	if _, err := inW.Write(probe.Greeting()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "no order came for 50ms") {
			t.Errorf("error %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the agent waits on")
	}
}

// What is left on a node is an error with the command that tries again.
func TestLeftError(t *testing.T) {
	t.Parallel()
	err := LeftError("n1", []leftStep{{undo.Step{What: "rule x", Manual: "iptables -D x"}, "it is stuck"}})
	want := "1 change to node n1 could not be undone; `snatlab cleanup --driver kubernetes --node n1` tries again, or by hand:\n  rule x: it is stuck\n    iptables -D x"
	if err.Error() != want || !errors.As(err, new(*undo.LeftError)) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// Where the node's rule has --random-fully, the arm without options is said to draw ports,
// and the plain arm takes the option away.
func TestNodeDrawsPorts(t *testing.T) {
	n := newNode(t, "iptables-nft -t nat -A POSTROUTING -s 198.18.0.0/24 -j MASQUERADE --random-fully")
	a := n.start()
	n.openRun(a, "run-1")
	for want, arm := range map[bool]scenario.Arm{true: {}, false: {Masquerade: scenario.MasqueradeOptions{Plain: true}}} {
		rule, err := a.Apply(t.Context(), arm)
		if err != nil {
			t.Fatal(err)
		}
		if got := rule.(lab.PortDrawer).DrawsPorts(); got != want || strings.Contains(rule.Rule(), "--random-fully") != want {
			t.Errorf("%+v: %q draws ports: %v", arm.Masquerade, rule.Rule(), got)
		}
		if err := rule.Undo(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Restore(t.Context()); err != nil {
		t.Error(err)
	}
}
