package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"snatlab/harness/lab/labtest"
)

// On each engine of `make engines`, and on the one that is installed here, the race occurs
// and is mitigated, and a run that is interrupted or killed leaves nothing.
func TestEngines(t *testing.T) {
	needSuite(t, engineSuite)
	labtest.TakeMachine(t)
	roots := fetchEngines(t)
	roots["installed"] = ""
	for _, name := range slices.Sorted(maps.Keys(roots)) {
		t.Run(name, func(t *testing.T) {
			e := startEngine(t, roots[name], "{}")
			version, err := e.ServerVersion(t.Context())
			must(t, err)
			t.Logf("Docker %s", version.Version)
			e.runFirst(t)
			t.Run("race and mitigation", e.testRace)
			t.Run("SIGINT", e.testInterrupt)
			t.Run("SIGKILL", e.testKill)
			t.Run("missing chain", e.testMissingChain)
		})
	}
}

// fetchEngines returns the folders of engines by the release of Debian that they are of.
// An engine that cannot be fetched is an error, and the others are tested.
func fetchEngines(t *testing.T) map[string]string {
	t.Helper()
	c := exec.Command("../../scripts/engines")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	lines, err := c.Output()
	if err != nil {
		t.Errorf("fetch engines: %v\n%s", err, stderr.String())
	}
	roots := map[string]string{}
	for line := range strings.Lines(string(lines)) {
		suite, folder, _ := strings.Cut(strings.TrimSpace(line), " ")
		roots[suite] = folder
	}
	return roots
}

// runFirst makes a first run, after which the state is compared: with its first container
// an engine makes tables and chains of iptables that stay.
func (e *engine) runFirst(t *testing.T) {
	t.Helper()
	p := e.start(t, "run", scenarioFile(t, "name: first\nrounds: 1\nuntil: {rounds_max: 1}\nload: {requests: 50}\narms: [{name: masquerade}]\n"))
	if code := p.wait(t); code != exitPass && code != exitInconclusive {
		t.Fatalf("exit code %d\n%s", code, p.said(t))
	}
}

// testRace runs the scenario quickstart. On a busy machine the race may be too rare, so
// a run without it is repeated, up to three times.
func (e *engine) testRace(t *testing.T) {
	e.untouched(t)
	for range 3 {
		p := e.start(t, "run", "quickstart", "--driver", "docker")
		code := p.wait(t)
		if code == exitPass {
			return
		}
		t.Logf("exit code %d\n%s%s", code, p.printed(t), p.said(t))
	}
	t.Error("the expectations did not hold in three runs")
}

func (e *engine) testInterrupt(t *testing.T) {
	e.untouched(t)
	p := e.start(t, "run", scenarioFile(t, slow))
	e.passed(t, p, asRewritten)
	e.signalRun(t, unix.SIGINT)
	if code := p.wait(t); code != 128+int(unix.SIGINT) {
		t.Errorf("exit code %d\n%s", code, p.said(t))
	}
}

func (e *engine) testKill(t *testing.T) {
	e.untouched(t)
	p := e.start(t, "run", scenarioFile(t, slow))
	e.passed(t, p, asRewritten)
	e.signalRun(t, unix.SIGKILL)
	p.wait(t)
	if said := e.cleanup(t); !strings.Contains(said, "undoing: masquerade rule -A POSTROUTING ") {
		t.Errorf("cleanup: %s", said)
	}
	if said := e.cleanup(t); said != "nothing to undo\n" {
		t.Errorf("second cleanup: %s", said)
	}
}

// testMissingChain takes a chain away without which the engine makes a network half-way.
func (e *engine) testMissingChain(t *testing.T) {
	e.untouched(t)
	e.iptables(t, "-t filter -E DOCKER AWAY") // the rules that refer to it stay
	t.Cleanup(func() { e.iptables(t, "-t filter -E AWAY DOCKER") })
	e.untouched(t)
	p := e.start(t, "run", scenarioFile(t, slow))
	code := p.wait(t)
	if code != exitUnable || !strings.Contains(p.said(t), "has Docker's chain DOCKER of table nat, but not DOCKER of table filter") {
		t.Errorf("exit code %d\n%s", code, p.said(t))
	}
}

// signalRun sends a signal to the run that holds the lock. The process that the test
// started is nsenter.
func (e *engine) signalRun(t *testing.T, signal unix.Signal) {
	t.Helper()
	var holder struct{ PID int }
	must(t, json.Unmarshal([]byte(e.do(t, "cat", "/run/snatlab/lock")), &holder))
	e.do(t, "kill", "-s", strconv.Itoa(int(signal)), strconv.Itoa(holder.PID))
}

// untouched checks at the end of the test that the state is the same as now: that of
// unchanged, the rules of IPv6, the tables and chains of nftables, and the sysctls for
// forwarding, ports and conntrack.
func (e *engine) untouched(t *testing.T) {
	t.Helper()
	e.unchanged(t)
	before := e.moreState(t)
	t.Cleanup(func() {
		if diff := gocmp.Diff(before, e.moreState(t)); diff != "" {
			t.Errorf("the host has changed (-before +after):\n%s", diff)
		}
	})
}

func (e *engine) moreState(t *testing.T) map[string]string {
	t.Helper()
	s := map[string]string{
		"rules of IPv6": counters.ReplaceAllString(e.do(t, "ip6tables-save"), ""),
		// Those of an interface are gone with it.
		"sysctls": e.do(t, "sh", "-c", "grep . /proc/sys/net/ipv[46]/conf/[ad]*/forwarding /proc/sys/net/ipv4/ip_local_port_range /proc/sys/net/netfilter/nf_conntrack_[mt]*"),
	}
	namespace, err := os.Open("/proc/" + strconv.Itoa(e.first.Process.Pid) + "/ns/net")
	must(t, err)
	defer namespace.Close()
	c, err := nftables.New(nftables.WithNetNSFd(int(namespace.Fd())))
	must(t, err)
	chains, err := c.ListChains()
	must(t, err)
	var names []string
	for _, chain := range chains {
		names = append(names, strings.Join([]string{strconv.Itoa(int(chain.Table.Family)), chain.Table.Name, chain.Name}, " "))
	}
	slices.Sort(names)
	s["chains"] = strings.Join(names, "\n")
	return s
}
