package main

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/result"
	"snatlab/harness/undo"
)

func cleanupContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

const comparison = `
name: comparison
load: {requests: 1000}
rounds: 4
until: {rounds_max: 4}
arms: [{name: masquerade}, {name: random-fully, masquerade: {random_fully: true}}]
expect: [{arm: masquerade, race: reproduced}]
`

// A run compares two arms and restores the host. The frequency of the race
// depends on the machine, so a run without the race is repeated, up to three
// times. Everything else holds in each run.
func TestDockerRun(t *testing.T) {
	h := needHost(t)
	h.unchanged(t)
	for range 3 {
		p := start(t, "run", scenarioFile(t, comparison))
		code := p.wait(t)
		if code != exitPass && code != exitInconclusive {
			t.Fatalf("exit code %d\n%s", code, p.said(t))
		}
		r := p.result(t)
		checkResult(t, r)
		if r.Verdict == result.Pass != (code == exitPass) {
			t.Errorf("verdict %s, exit code %d", r.Verdict, code)
		}
		if _, err := os.Stat(filepath.Join(p.out, "report.md")); err != nil {
			t.Error(err)
		}
		if code == exitPass {
			return
		}
	}
	t.Error("the race did not occur in three runs")
}

// checkResult checks the properties of every complete result.
func checkResult(t *testing.T, r *result.Result) {
	t.Helper()
	const want = 2 * 1000
	for _, arm := range r.Arms {
		if len(arm.Trials) != 4 {
			t.Errorf("%s: %d trials", arm.Name, len(arm.Trials))
		}
		if random := strings.Contains(arm.Rule, "random"); random != (arm.Name == "random-fully") {
			t.Errorf("%s: rule %s", arm.Name, arm.Rule)
		}
		for _, trial := range arm.Trials {
			failures, causes := sum(trial.Failures), sum(trial.Causes)
			if trial.Requests != want || failures != trial.Failed || causes != trial.Failed {
				t.Errorf("%s, round %d: %d requests, %d failed, %d by kind, %d by cause",
					arm.Name, trial.Round, trial.Requests, trial.Failed, failures, causes)
			}
			if n := matchedBesides(t, trial); n != 0 {
				t.Errorf("%s, round %d: %d other packets matched the rule: %+v", arm.Name, trial.Round, n, trial)
			}
		}
	}
	if r.Memory.Client == 0 || r.Memory.Client > 20<<20 {
		t.Errorf("a client used %d bytes", r.Memory.Client)
	}
	if r.Memory.Controller == 0 || r.Memory.Controller > 60<<20 {
		t.Errorf("the controller used %d bytes", r.Memory.Controller)
	}
}

func sum(counts map[string]int) int {
	n := 0
	for v := range maps.Values(counts) {
		n += v
	}
	return n
}

// After a signal the host is restored and the partial result is kept. TestNetnsSignal sends
// the other signals, and TestCrashEverywhere all of them.
func TestDockerSignal(t *testing.T) {
	h := needHost(t)
	h.unchanged(t)
	p := start(t, "run", scenarioFile(t, `
name: interrupted
load: {requests: 200, rate: 200}
rounds: 8
until: {rounds_max: 8}
arms: [{name: masquerade}, {name: random-fully, masquerade: {random_fully: true}}]
`))
	p.await(t, "a finished trial", func() bool { return strings.Contains(p.said(t), "round 1/8") })
	p.rewritten(t)
	p.Process.Signal(unix.SIGINT)
	if code := p.wait(t); code != 128+int(unix.SIGINT) {
		t.Errorf("exit code %d\n%s", code, p.said(t))
	}
	r := p.result(t)
	if countTrials(r) == 0 || !strings.Contains(r.Incomplete, "interrupted by SIGINT") {
		t.Errorf("%d trials, incomplete: %q", countTrials(r), r.Incomplete)
	}
}

// After SIGKILL, cleanup restores the host.
func TestDockerKill(t *testing.T) {
	h := needHost(t)
	h.unchanged(t)
	p := start(t, "run", scenarioFile(t, slow))
	rule := p.rewritten(t)
	p.Process.Kill()
	if code := p.wait(t); code != -int(unix.SIGKILL) {
		t.Fatalf("exit code %d", code)
	}

	crashed := h.state(t)
	out, err := exec.Command(binary, "cleanup", "--dry-run").CombinedOutput()
	if err != nil || strings.Count(string(out), "would undo: masquerade rule "+rule) != 1 {
		t.Errorf("dry run: %v\n%s", err, out)
	}
	if n := strings.Count(string(out), "would undo: "); n != 10 { // rule, that of the control, 2 filter rules, 3 containers, 2 networks, the table of idle rules
		t.Errorf("the dry run lists %d changes:\n%s", n, out)
	}
	if after := h.state(t); strings.Join(after["rules"], "\n") != strings.Join(crashed["rules"], "\n") {
		t.Error("the dry run changed the rules")
	}
	if out, err := exec.Command(binary, "cleanup").CombinedOutput(); err != nil {
		t.Errorf("cleanup: %v\n%s", err, out)
	}
	if out, err := exec.Command(binary, "cleanup").CombinedOutput(); err != nil || string(out) != "nothing to undo\n" {
		t.Errorf("second cleanup: %v\n%s", err, out)
	}
}

// An unreadable journal does not stop cleanup from undoing the others.
func TestCleanupBadJournal(t *testing.T) {
	h := needHost(t)
	h.unchanged(t)
	p := start(t, "run", scenarioFile(t, slow))
	p.rewritten(t)
	p.Process.Kill()
	p.wait(t)
	broken := filepath.Join(undo.Dir, "00000000-000000-broken.journal")
	must(t, os.WriteFile(broken, []byte("not a record\n"), 0o600))
	defer os.Remove(broken)
	c := start(t, "cleanup")
	if code := c.wait(t); code != exitUnable || !strings.Contains(c.said(t), "read journal "+broken+": record 1: ") {
		t.Errorf("exit code %d\n%s", code, c.said(t))
	}
}

// A run undoes the changes that a crashed run left.
func TestDockerRunAfterCrash(t *testing.T) {
	h := needHost(t)
	h.unchanged(t)
	p := start(t, "run", scenarioFile(t, slow))
	p.rewritten(t)
	p.Process.Kill()
	p.wait(t)
	next := start(t, "run", scenarioFile(t, comparison))
	if code := next.wait(t); code != exitPass && code != exitInconclusive {
		t.Errorf("exit code %d\n%s", code, next.said(t))
	}
	if !strings.Contains(next.said(t), "left by a run that crashed; undoing: masquerade rule") {
		t.Errorf("the crashed run is not mentioned:\n%s", next.said(t))
	}
}

// A second run names the active one.
func TestDockerSecondRun(t *testing.T) {
	h := needHost(t)
	h.unchanged(t)
	first := start(t, "run", scenarioFile(t, slow))
	first.rewritten(t)
	for _, args := range [][]string{{"run", scenarioFile(t, slow)}, {"cleanup"}} {
		second := start(t, args...)
		if code := second.wait(t); code != exitUnable {
			t.Errorf("%s: exit code %d", args[0], code)
		}
		want := "another snatlab is active on this host: run of slow (pid " + strconv.Itoa(first.Process.Pid) + ", started "
		if !strings.Contains(second.said(t), want) {
			t.Errorf("%s says %q, want %q", args[0], second.said(t), want)
		}
	}
	first.Process.Signal(unix.SIGINT)
	first.wait(t)
}

// A client that dies ends the run.
func TestDockerClientDies(t *testing.T) {
	h := needHost(t)
	h.unchanged(t)
	p := start(t, "run", scenarioFile(t, slow))
	p.rewritten(t)
	if err := h.docker.ContainerKill(t.Context(), h.client(t, 1), "KILL"); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != exitUnable {
		t.Errorf("exit code %d", code)
	}
	if want := "client 1 died: its stream ended; exit code 137"; !strings.Contains(p.said(t), want) {
		t.Errorf("says %q, want %q", p.said(t), want)
	}
}

// A run notices that another program rewrote its rule.
func TestDockerRuleChanged(t *testing.T) {
	h := needHost(t)
	h.unchanged(t)
	p := start(t, "run", scenarioFile(t, slow))
	rule := p.rewritten(t)
	// Like a reload of the firewall: Docker's own rule comes back.
	rules, err := exec.Command("iptables", "-t", "nat", "-S", "POSTROUTING").Output()
	if err != nil {
		t.Fatal(err)
	}
	marked := ""
	for line := range strings.Lines(string(rules)) {
		if line = strings.TrimSpace(line); ourMark.ReplaceAllString(line, "") == rule {
			marked = line
		}
	}
	for _, change := range []string{
		strings.Replace(marked, "-A", "-D", 1),
		strings.TrimSuffix(rule, " --random-fully"),
	} {
		if out, err := exec.Command("iptables", append([]string{"-t", "nat"}, strings.Fields(change)...)...).CombinedOutput(); err != nil {
			t.Fatalf("iptables %s: %v\n%s", change, err, out)
		}
	}
	if code := p.wait(t); code != exitUnable {
		t.Errorf("exit code %d", code)
	}
	if want := "the masquerade rule \"" + rule + "\" is gone from POSTROUTING"; !strings.Contains(p.said(t), want) {
		t.Errorf("says %q, want %q", p.said(t), want)
	}
}

// A shell without job control ignores SIGINT for background commands, and nohup
// ignores SIGHUP. SIGINT must still end the run; SIGHUP must not.
func TestBackgroundSignals(t *testing.T) {
	h := needHost(t)
	h.unchanged(t)
	p := startCommand(t, exec.Command("sh", "-c", "trap '' INT HUP; exec \"$@\"", "sh",
		binary, "run", "--out", t.TempDir(), scenarioFile(t, slow)))
	p.rewritten(t)
	p.Process.Signal(unix.SIGHUP)
	p.await(t, "a trial that ended after the hang-up", func() bool { return strings.Contains(p.said(t), "round 1/8") })
	p.Process.Signal(unix.SIGINT)
	if code := p.wait(t); code != 128+int(unix.SIGINT) {
		t.Errorf("exit code %d\n%s", code, p.said(t))
	}
}

// The host is restored even if the reader of the output ends first: `| head`, `|
// tee` at ^C, a lost terminal.
func TestDockerClosedOutput(t *testing.T) {
	h := needHost(t)
	h.unchanged(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(binary, "run", "--out", t.TempDir(), scenarioFile(t, slow))
	c.Stdout, c.Stderr = write, write
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	read.Close()
	p := &process{Cmd: c, end: make(chan error, 1)}
	go func() { p.end <- c.Wait() }()
	p.rewritten(t)
	c.Process.Signal(unix.SIGINT)
	if code := p.wait(t); code != 128+int(unix.SIGINT) {
		t.Errorf("exit code %d", code)
	}
}

// A signal while the lab is built: the step that is being made is finished, and
// then undone.
func TestDockerSignalAtStart(t *testing.T) {
	h := needHost(t)
	for _, phase := range []string{"making the networks", "starting the server", "starting client 1", "starting client 2"} {
		t.Run(phase, func(t *testing.T) {
			h.unchanged(t)
			p := start(t, "run", scenarioFile(t, slow))
			p.await(t, phase, func() bool { return strings.Contains(p.said(t), phase) })
			p.Process.Signal(unix.SIGINT)
			if code := p.wait(t); code != 128+int(unix.SIGINT) {
				t.Errorf("exit code %d\n%s", code, p.said(t))
			}
			if _, err := os.Stat(p.out); !os.IsNotExist(err) {
				t.Error("a folder is left for a result that does not exist")
			}
		})
	}
}

// matchedBesides returns the number of packets that matched the rule and belonged to
// no request of a trial: requests were accepted, or got no answer. On a very busy
// machine a client may look at a request only after its SYN was sent again. Then the
// second SYN matches the rule as well.
func matchedBesides(t *testing.T, trial result.Trial) int {
	t.Helper()
	matched, accepted, lost := int(trial.RulePackets), int(trial.Server.Accepted), trial.Failures[result.Timeout]
	if matched < trial.Requests {
		t.Errorf("round %d: of %d requests, %d matched the rule", trial.Round, trial.Requests, matched)
	}
	return matched - accepted - lost
}
