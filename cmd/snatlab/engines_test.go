package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
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
			t.Logf("%s %s", version.Components[0].Name, version.Version)
			e.runFirst(t)
			t.Run("race and mitigation", e.testRace)
			t.Run("SIGINT", e.testInterrupt)
			t.Run("SIGKILL", e.testKill)
			if e.podman {
				t.Run("containers beside an arm", e.testContainers)
			} else {
				t.Run("missing chain", e.testMissingChain)
				t.Run("flushed rules", e.testFlushed)
				t.Run("IPv6", func(t *testing.T) { testIPv6(t, roots[name]) })
			}
		})
	}
}

// fetchEngines returns the folders of engines by their names in scripts/engines.
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
		name, folder, _ := strings.Cut(strings.TrimSpace(line), " ")
		roots[name] = folder
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

// testIPv6 starts another engine, which writes rules for IPv6. A run over IPv6 is refused
// where the engine would make the host forward, and where it has no chain for the rules of
// others; else it finds the race, and an arm that mitigates it. Nothing is left in any case.
func testIPv6(t *testing.T, root string) {
	e := startEngine(t, root, `{"experimental": true, "ip6tables": true}`)
	e.runFirst(t)
	run := func(t *testing.T) (code int, said string) {
		e.untouched(t)
		p := e.start(t, "run", "ipv6", "--driver", "docker")
		code = p.wait(t)
		return code, string(p.printed(t)) + p.said(t)
	}
	t.Run("of a host that does not forward it", func(t *testing.T) {
		if code, said := run(t); code != exitUnable {
			t.Errorf("exit code %d\n%s", code, said)
		}
	})
	e.do(t, "sysctl", "-q", "-w", "net.ipv6.conf.all.forwarding=1", "net.ipv6.conf.default.forwarding=1")
	// With its first network of IPv6 an engine makes rules of ip6tables that stay.
	e.do(t, "docker", "network", "create", "--ipv6", "--subnet", "2001:db8::/64", "first")
	e.do(t, "docker", "network", "rm", "first")
	t.Run("of a host that does", func(t *testing.T) {
		hasChain := e.inside("ip6tables", "-S", "DOCKER-USER").Run() == nil
		for range 3 {
			code, said := run(t)
			switch {
			case !hasChain && (code != exitUnable || !strings.Contains(said, "but not DOCKER-USER of table filter")):
				t.Errorf("exit code %d\n%s", code, said)
			case !hasChain || code == exitPass:
				return
			}
			t.Logf("exit code %d\n%s", code, said)
		}
		t.Error("the expectations did not hold in three runs")
	})
	t.Run("conformance", func(t *testing.T) {
		suite := filepath.Join(t.TempDir(), "docker.test")
		if out, err := exec.Command("go", "test", "-c", "-o", suite, "snatlab/harness/lab/docker").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		source, err := filepath.Abs("../../harness/lab/docker")
		must(t, err)
		c := e.inside("sh", "-ec", `cd "$0"; exec "$@"`, source, suite, "-test.v", "-test.run", "^TestConformanceIPv6$")
		c.Env = append(c.Env, "TMPDIR="+t.TempDir()) // its lock is not that of this test
		out, err := c.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		t.Logf("%s", out)
	})
}

func (e *engine) testInterrupt(t *testing.T) {
	e.untouched(t)
	p := e.start(t, "run", scenarioFile(t, slow))
	e.inForce(t, p)
	e.signalRun(t, unix.SIGINT)
	if code := p.wait(t); code != 128+int(unix.SIGINT) {
		t.Errorf("exit code %d\n%s", code, p.said(t))
	}
}

func (e *engine) testKill(t *testing.T) {
	e.untouched(t)
	p := e.start(t, "run", scenarioFile(t, slow))
	e.inForce(t, p)
	e.signalRun(t, unix.SIGKILL)
	p.wait(t)
	undone := "undoing: masquerade rule -A POSTROUTING "
	if e.podman {
		undone = "undoing: nftables table ip snatlab-front-"
	}
	if said := e.cleanup(t); !strings.Contains(said, undone) {
		t.Errorf("cleanup: %s", said)
	}
	if said := e.cleanup(t); said != "nothing to undo\n" {
		t.Errorf("second cleanup: %s", said)
	}
}

// inForce waits until connections pass the rule of the arm.
func (e *engine) inForce(t *testing.T, p *process) {
	t.Helper()
	if !e.podman {
		e.passed(t, p, asRewritten)
		return
	}
	p.await(t, "connections that pass the rule", func() bool {
		return frontRule.MatchString(e.do(t, "chroot", e.root, "nft", "list", "ruleset"))
	})
}

// frontRule matches the rule of an arm before those of Podman, in the middle of a trial.
var frontRule = regexp.MustCompile(`counter packets [1-9]\d{2,} bytes \d+ masquerade fully-random`)

// testContainers starts and removes containers while the rule of an arm stands before those
// of Podman: on Podman's own network, which the run does not notice, and then on the lab's.
// With Podman 4.3 a container that joins the clients' network can cost some of their
// connections, and the run ends with an error that says so.
func (e *engine) testContainers(t *testing.T) {
	e.untouched(t)
	p := e.start(t, "run", scenarioFile(t, slow))
	e.inForce(t, p)
	run := e.runProcess(t)
	e.startContainers(t, "podman")
	e.inForce(t, p)
	e.startContainers(t, e.part(t, "clients"))
	e.inside("kill", "-s", "INT", run).Run() // it may have ended
	code := p.wait(t)
	if code != 128+int(unix.SIGINT) && (code != exitUnable || !strings.Contains(p.said(t), "they did not reach it")) {
		t.Errorf("exit code %d\n%s", code, p.said(t))
	}
}

// startContainers starts and removes three containers on a network.
func (e *engine) startContainers(t *testing.T, network string) {
	t.Helper()
	images, err := e.ImageList(t.Context(), image.ListOptions{})
	must(t, err)
	for range 3 {
		made, err := e.ContainerCreate(t.Context(),
			&container.Config{Image: images[0].ID, Entrypoint: []string{"/snatlab", "serve", "--listen", "0.0.0.0:9000"}},
			&container.HostConfig{NetworkMode: container.NetworkMode(network)}, nil, nil, "")
		must(t, err)
		must(t, e.ContainerStart(t.Context(), made.ID, container.StartOptions{}))
		must(t, e.ContainerRemove(t.Context(), made.ID, container.RemoveOptions{Force: true}))
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

// testFlushed takes all rules away, as `nft flush ruleset` does. A run is refused, and
// possible again when the engine has restarted.
func (e *engine) testFlushed(t *testing.T) {
	namespace, err := os.Open("/proc/" + strconv.Itoa(e.first.Process.Pid) + "/ns/net")
	must(t, err)
	defer namespace.Close()
	c, err := nftables.New(nftables.WithNetNSFd(int(namespace.Fd())))
	must(t, err)
	c.FlushRuleset()
	must(t, c.Flush())
	p := e.start(t, "run", "quickstart", "--driver", "docker")
	if code := p.wait(t); code != exitUnable || !strings.Contains(p.said(t), "Docker has no rules in ") {
		t.Errorf("exit code %d\n%s", code, p.said(t))
	}
	e.stopDaemon(t, unix.SIGTERM)
	e.startDaemon(t)
	e.runFirst(t)
}

// signalRun sends a signal to the run.
func (e *engine) signalRun(t *testing.T, signal unix.Signal) {
	t.Helper()
	e.do(t, "kill", "-s", strconv.Itoa(int(signal)), e.runProcess(t))
}

// runProcess returns the process id of the run, which holds the lock, in the namespaces. The
// process that the test started is nsenter.
func (e *engine) runProcess(t *testing.T) string {
	t.Helper()
	var holder struct{ PID int }
	must(t, json.Unmarshal([]byte(e.do(t, "cat", "/run/snatlab/lock")), &holder))
	return strconv.Itoa(holder.PID)
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
