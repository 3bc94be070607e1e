package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"snatlab/harness/lab/labtest"
	"snatlab/harness/result"
)

// embedded is a comparison in a lab of namespaces.
const embedded = "driver: netns\n" + comparison

// needNamespaces skips a test without root. The test checks this machine as root
// while runs are active in namespaces.
func needNamespaces(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs root; make check leaves it out")
	}
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	labtest.TakeMachine(t)
}

// nobody is a user without any privilege.
const nobody = 65534

// startAsUser starts a run as user nobody, in a folder of that user, with the given
// text as its scenario. No other program is on the PATH.
func startAsUser(t *testing.T, scenario string, args ...string) *process {
	t.Helper()
	home, err := os.MkdirTemp("", "snatlab-user")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(home) })
	must(t, errors.Join(os.Chown(home, nobody, nobody), os.Chmod(home, 0o755)))
	path := filepath.Join(home, "scenario.yaml")
	must(t, os.WriteFile(path, []byte(scenario), 0o644))
	c := exec.Command(binary, append([]string{"run", path, "--out", filepath.Join(home, "out")}, args...)...)
	c.Dir, c.Env = home, []string{"PATH=/nonexistent", "HOME=" + home, "DOCKER_HOST=unix:///nowhere.sock"}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	p := startCommand(t, c)
	p.out = filepath.Join(home, "out")
	return p
}

// flows returns the connections of labs in this machine's own conntrack table.
func flows(t *testing.T) (all []string) {
	t.Helper()
	conn, err := conntrack.Dial(nil)
	must(t, err)
	defer conn.Close()
	dump, err := conn.Dump(nil)
	must(t, err)
	for _, f := range dump {
		if o := f.TupleOrig; netip.MustParsePrefix("198.18.0.0/15").Contains(o.IP.SourceAddress) {
			all = append(all, fmt.Sprint(o.IP.SourceAddress, o.Proto.SourcePort, o.IP.DestinationAddress, o.Proto.DestinationPort))
		}
	}
	return all
}

// An ordinary user compares two arms, and the host never changes.
func TestNetnsRun(t *testing.T) {
	needNamespaces(t)
	before, tracked := hostState(t), flows(t)
	unchanged := func() {
		t.Helper()
		if diff := cmp.Diff(before, hostState(t)); diff != "" {
			t.Errorf("the host has changed (-before +now):\n%s", diff)
		}
		for _, f := range flows(t) {
			if !slices.Contains(tracked, f) {
				t.Errorf("the host tracks %s", f)
			}
		}
	}
	for range 3 { // the race occurs by chance
		p := startAsUser(t, embedded)
		for i := range 4 { // while it runs
			p.await(t, "a finished trial", func() bool { return strings.Contains(p.said(t), fmt.Sprintf("round %d/4", i+1)) })
			unchanged()
		}
		code := p.wait(t)
		unchanged()
		if code != exitPass && code != exitInconclusive {
			t.Fatalf("exit code %d\n%s", code, p.said(t))
		}
		r := p.result(t)
		checkResult(t, r)
		checkRaceOnly(t, r)
		if e := r.Environment; e.Driver != "netns" || !e.Rootless || e.NAT != "nftables" || e.Docker != nil || e.Iptables != nil {
			t.Errorf("environment %+v", e)
		}
		if code == exitPass {
			return
		}
	}
	t.Error("the race did not occur in three runs")
}

// The baseline has the mitigation. A plain arm can be found worse although the
// baseline loses nothing.
func TestArmWorseThanBaseline(t *testing.T) {
	needNamespaces(t)
	const change = `
name: change
driver: netns
load: {requests: 1000, timeout: 300ms}
arms: [{name: random-fully, masquerade: {random_fully: true}}, {name: masquerade}]
expect: [{arm: random-fully, race: absent}]
`
	for range 3 { // the race occurs by chance
		p := startAsUser(t, change)
		code := p.wait(t)
		if code != exitPass && code != exitInconclusive {
			t.Fatalf("exit code %d\n%s", code, p.said(t))
		}
		r := p.result(t)
		checkRaceOnly(t, r)
		if v := r.Comparisons[0].Verdict; v != result.Worse && v != result.Undecided {
			t.Errorf("the plain rule is %s", v)
		}
		if r.Comparisons[0].Verdict == result.Worse {
			if held := r.Expected[0].Held; code != exitPass || held == nil || !*held {
				t.Errorf("exit code %d: %+v", code, r.Expected)
			}
			return
		}
	}
	t.Error("the race did not occur in three runs")
}

// checkRaceOnly checks that only connections failed that the kernel dropped at
// insertion, of the arm or of its control: a lab's own table has no other traffic.
func checkRaceOnly(t *testing.T, r *result.Result) {
	t.Helper()
	for _, a := range r.Arms {
		for _, trial := range a.Trials {
			n := uint64(trial.Failed)
			if c := trial.Control; c != nil { // the counters are of both
				n += uint64(c.Failed)
			}
			if n != trial.Conntrack.InsertFailed || n != trial.Conntrack.Drop {
				t.Errorf("%s, round %d: %d failed, insert_failed %d, drop %d", a.Name, trial.Round, n, trial.Conntrack.InsertFailed, trial.Conntrack.Drop)
			}
		}
	}
}

// Runs in namespaces do not disturb each other.
func TestNetnsParallelRuns(t *testing.T) {
	needNamespaces(t)
	const few = `
name: few
driver: netns
load: {requests: 300}
rounds: 2
until: {rounds_max: 2}
arms: [{name: masquerade}, {name: random-fully, masquerade: {random_fully: true}}]
`
	var all []*process
	for range 4 {
		all = append(all, startAsUser(t, few, "--force"))
	}
	all = append(all, start(t, "run", scenarioFile(t, few), "--force")) // and root's
	for _, p := range all {
		if code := p.wait(t); code != exitPass && code != exitInconclusive {
			t.Errorf("exit code %d\n%s", code, p.said(t))
			continue
		}
		r := p.result(t)
		if v := r.Comparisons[0].Verdict; countTrials(r) != 4 || v == result.Worse || v == result.Equal {
			t.Errorf("%d trials, %s", countTrials(r), v)
		}
		checkRaceOnly(t, r)
	}
}

// descendants returns the processes below pid, without pid itself.
func descendants(t *testing.T, pid int) (all []int) {
	t.Helper()
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	must(t, err)
	for _, path := range paths {
		text, _ := os.ReadFile(path) // a thread may end meanwhile
		for _, field := range strings.Fields(string(text)) {
			child, err := strconv.Atoi(field)
			must(t, err)
			all = append(append(all, child), descendants(t, child)...)
		}
	}
	return all
}

// awaitGone waits for the end of processes whose parent has ended.
func awaitGone(t *testing.T, pids []int) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Second)
	for _, pid := range pids {
		for unix.Kill(pid, 0) == nil {
			if time.Now().After(deadline) {
				t.Errorf("process %d is left", pid)
				break
			}
			time.Sleep(10 * time.Millisecond) // there is no event to wait for
		}
	}
}

// The lab of a killed controller ends with it.
func TestNetnsKill(t *testing.T) {
	needNamespaces(t)
	const embeddedSlow = "driver: netns\n" + slow
	for name, c := range map[string]struct {
		start     func(*testing.T) *process
		processes int // below the killed one
	}{
		"a user's": {func(t *testing.T) *process { return startAsUser(t, embeddedSlow) }, 4}, // one more: the part inside the user namespace
		"root's":   {func(t *testing.T) *process { return start(t, "run", scenarioFile(t, embeddedSlow)) }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			before := hostState(t)
			p := c.start(t)
			p.await(t, "a finished trial", func() bool { return strings.Contains(p.said(t), "round 1/8") })
			below := descendants(t, p.Process.Pid)
			if len(below) != c.processes {
				t.Errorf("processes %v below %d", below, p.Process.Pid)
			}
			p.Process.Kill()
			if code := p.wait(t); code != -int(unix.SIGKILL) {
				t.Fatalf("exit code %d", code)
			}
			awaitGone(t, below)
			if diff := cmp.Diff(before, hostState(t)); diff != "" {
				t.Errorf("the host has changed (-before +after):\n%s", diff)
			}
		})
	}
}

// A signal ends a run in namespaces.
func TestNetnsSignal(t *testing.T) {
	needNamespaces(t)
	for _, signal := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		t.Run(unix.SignalName(signal), func(t *testing.T) {
			p := startAsUser(t, "driver: netns\n"+slow)
			p.await(t, "a finished trial", func() bool { return strings.Contains(p.said(t), "round 1/8") })
			below := descendants(t, p.Process.Pid)
			p.Process.Signal(signal)
			if code := p.wait(t); code != 128+int(signal) {
				t.Errorf("exit code %d\n%s", code, p.said(t))
			}
			if r := p.result(t); countTrials(r) == 0 || !strings.Contains(r.Incomplete, "interrupted by "+unix.SignalName(signal)) {
				t.Errorf("%d trials, incomplete: %q", countTrials(r), r.Incomplete)
			}
			awaitGone(t, below)
		})
	}
}

// remedy matches the command line that removes a kept lab.
var remedy = regexp.MustCompile(`(?m)^To remove it:\n  (.*)$`)

// runHints runs every printed command line that inspects a kept lab.
func runHints(t *testing.T, said string) {
	t.Helper()
	_, rest, _ := strings.Cut(said, "To inspect it:\n")
	look, _, _ := strings.Cut(rest, "To remove it:\n")
	lines := strings.Split(strings.TrimSpace(look), "\n")
	if len(lines) < 4 {
		t.Errorf("too few command lines to inspect it:\n%s", said)
	}
	for _, line := range lines {
		if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
}

const once = `
name: once
load: {requests: 10}
rounds: 1
until: {rounds_max: 1}
arms: [{name: masquerade}]
`

// A kept lab of root stays until cleanup.
func TestKeepAsRoot(t *testing.T) {
	h := needHost(t)
	h.unchanged(t)
	for _, driver := range []string{"netns", "docker"} {
		t.Run(driver, func(t *testing.T) {
			p := start(t, "run", scenarioFile(t, "driver: "+driver+once), "--keep")
			if code := p.wait(t); code != exitPass && code != exitInconclusive {
				t.Fatalf("exit code %d\n%s", code, p.said(t))
			}
			if found := remedy.FindStringSubmatch(p.said(t)); found == nil || found[1] != "snatlab cleanup" {
				t.Errorf("its removal is not mentioned:\n%s", p.said(t))
			}
			runHints(t, p.said(t))
			kept := h.state(t)
			// The next run does not treat it as a leftover of a crash.
			next := start(t, "run", scenarioFile(t, once))
			if code := next.wait(t); code != exitPass && code != exitInconclusive {
				t.Fatalf("exit code %d\n%s", code, next.said(t))
			}
			if diff := cmp.Diff(kept, h.state(t)); diff != "" {
				t.Errorf("the next run has changed it (-before +after):\n%s", diff)
			}
			if out, err := exec.Command(binary, "cleanup").CombinedOutput(); err != nil || !strings.Contains(string(out), "undoing: ") {
				t.Errorf("cleanup: %v\n%s", err, out)
			}
		})
	}
}

// A kept lab of a user stays until its process is killed.
func TestKeepAsUser(t *testing.T) {
	needNamespaces(t)
	p := startAsUser(t, "driver: netns"+once, "--keep")
	if code := p.wait(t); code != exitPass && code != exitInconclusive {
		t.Fatalf("exit code %d\n%s", code, p.said(t))
	}
	found := remedy.FindStringSubmatch(p.said(t))
	if found == nil || !strings.HasPrefix(found[1], "kill ") {
		t.Fatalf("its removal is not mentioned:\n%s", p.said(t))
	}
	holder, err := strconv.Atoi(strings.TrimPrefix(found[1], "kill "))
	must(t, err)
	runHints(t, p.said(t))
	below := descendants(t, holder)
	if len(below) != 3 {
		t.Errorf("processes %v below %d", below, holder)
	}
	must(t, unix.Kill(holder, unix.SIGTERM))
	awaitGone(t, append(below, holder))
}

// Cleanup removes a namespace that is in no journal.
func TestCleanupNamespace(t *testing.T) {
	h := needHost(t)
	h.unchanged(t)
	before := hostState(t)["journals"]
	p := start(t, "run", scenarioFile(t, "driver: netns"+once), "--keep")
	p.wait(t)
	for _, path := range hostState(t)["journals"] {
		if !slices.Contains(before, path) {
			must(t, os.Remove(path))
		}
	}
	must(t, os.WriteFile("/run/snatlab/netns/torn-router", nil, 0o400)) // made, but nothing was mounted on it
	out, err := exec.Command(binary, "cleanup").CombinedOutput()
	if err != nil || strings.Count(string(out), "undoing: network namespace /run/snatlab/netns/") != 5 {
		t.Errorf("cleanup: %v\n%s", err, out)
	}
}

// If user namespaces are forbidden, the error names the remedy.
func TestNetnsForbidden(t *testing.T) {
	needNamespaces(t)
	inner := fmt.Sprintf("echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all %s run %s", binary, scenarioFile(t, embedded))
	out, err := exec.Command("unshare", "--user", "--map-root-user", "sh", "-c", inner).CombinedOutput()
	const want = "user.max_user_namespaces is 0 (as root: sysctl user.max_user_namespaces=10000; or give this container --privileged, or use the host)" // it is root in its user namespace
	if exited := (*exec.ExitError)(nil); !errors.As(err, &exited) || exited.ExitCode() != exitUnable || !strings.Contains(string(out), want) {
		t.Errorf("%v\n%s", err, out)
	}
}
