package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// These tests let a run or a cleanup die right before or right after each change to
// the host, and around each undoing. They compare the state of this machine, as far
// as a run touches it, before and after.

// sample is the number of points per tested point. The suite tests every point, and
// every way to die.
const sample = 47

// crashing is a scenario that makes every kind of change to the host.
const crashing = `
name: crashing
load: {requests: 5, timeout: 100ms}
rounds: 1
until: {rounds_max: 1}
dnat: {backends: 2}
lab: {postrouting_rules: 3, allow_host_sysctls: true}
arms:
  - {name: random-fully, masquerade: {random_fully: true}}
  - {name: to-ports, masquerade: {to_ports: 20000-60000}}
  - {name: snat, snat: {to_source: [198.19.200.1, 198.19.200.2]}}
  - {name: blocks, snat: {to_source: [198.19.200.1], ports_per_client: 16}}
  - {name: sysctls, sysctls: {router: {net.netfilter.nf_conntrack_tcp_loose: 0, net.netfilter.nf_conntrack_tcp_be_liberal: 1}}}
`

// crashes are the arguments of the runs that die. In namespaces, only a kept lab
// changes the host.
var crashes = map[string][]string{
	"docker": {"run", "--driver=docker", "--force"},
	"netns":  {"run", "--driver=netns", "--force", "--keep"},
}

// startDying starts the program so that it dies at a point.
func startDying(t *testing.T, point string, args ...string) *process {
	t.Helper()
	c := exec.Command(hooked(t), args...)
	if args[0] == "run" {
		c.Args = append(c.Args, "--out", t.TempDir(), scenarioFile(t, crashing))
	}
	c.Env = append(os.Environ(), "SNATLAB_TEST_DIE_AT="+point)
	return startCommand(t, c)
}

var passed = regexp.MustCompile(`(?m)^SNATLAB_TEST_DIE_AT: (\S+:\d+) (.*)$`)

// listPoints returns the points that a command passes, in order.
func listPoints(t *testing.T, want int, args ...string) (all []string) {
	t.Helper()
	p := startDying(t, "list", args...)
	if code := p.wait(t); code != want {
		t.Fatalf("exit code %d\n%s", code, p.said(t))
	}
	for _, point := range passed.FindAllStringSubmatch(p.said(t), -1) {
		all = append(all, point[1])
	}
	return all
}

// waysToDie are the ways to die, each with its exit code.
var waysToDie = []struct {
	how  string
	code int
}{
	{"KILL", -int(unix.SIGKILL)},
	{"INT", 128 + int(unix.SIGINT)},
	{"TERM", 128 + int(unix.SIGTERM)},
	{"HUP", 128 + int(unix.SIGHUP)},
	{"panic", exitUnable},
}

// No trace is left, wherever a run or a cleanup dies.
func TestCrashEverywhere(t *testing.T) {
	chosen := chooser()
	for _, driver := range []string{"docker", "netns"} {
		t.Run(driver, func(t *testing.T) {
			all := pointsOf(t, driver)
			for _, way := range waysToDie {
				t.Run(way.how, func(t *testing.T) {
					died, begun := 0, time.Now()
					for _, point := range all {
						if !chosen() {
							continue
						}
						died++
						t.Run(point, func(t *testing.T) {
							h := needHost(t)
							h.leavesNoTrace(t, func(t *testing.T) {
								p := startDying(t, point+":"+way.how, crashes[driver]...)
								if code := p.wait(t); code != way.code || !strings.Contains(p.said(t), "SNATLAB_TEST_DIE_AT: "+point) {
									t.Errorf("exit code %d, want %d\n%s", code, way.code, p.said(t))
								}
								if way.how == "KILL" {
									cleanUp(t)
								}
							})
						})
						breathe()
					}
					t.Logf("%s: died at %d of %d points by %s, in %.0f s", driver, died, len(all), way.how, time.Since(begun).Seconds())
				})
			}
		})
	}
}

// pointsOf returns the points of a run of crashes. It also makes the probe image.
func pointsOf(t *testing.T, driver string) (all []string) {
	t.Helper()
	t.Run("dry run", func(t *testing.T) { // holds the machine until it ends
		needHost(t)
		all = listPoints(t, exitInconclusive, crashes[driver]...)
		cleanUp(t)
	})
	return all
}

// leavesNoTrace checks that do does not change the state of the machine.
func (h host) leavesNoTrace(t *testing.T, do func(*testing.T)) {
	t.Helper()
	state := func() map[string][]string {
		s := h.state(t)
		s["images"] = h.images(t)
		return s
	}
	before := state()
	do(t)
	nothingRuns(t)
	if diff := cmp.Diff(before, state()); diff != "" {
		t.Errorf("the host has changed (-before +after):\n%s", diff)
	}
}

// cleanUp runs `snatlab cleanup`, and checks that nothing is left to undo.
func cleanUp(t *testing.T) {
	t.Helper()
	for range 2 {
		out, err := exec.Command(binary, "cleanup").CombinedOutput()
		if err != nil {
			t.Errorf("cleanup: %v\n%s", err, out)
		}
		if string(out) == "nothing to undo\n" {
			return
		}
	}
	t.Error("cleanup undoes something each time")
}

// chooser returns a function that reports for each point whether it is tested.
func chooser() func() bool {
	every := sample
	if inSuite(crashSuite) {
		every = 1
	}
	n := -1
	return func() bool {
		n++
		return n%every == 0
	}
}

// breathe lets other tests take the machine.
func breathe() {
	if inSuite(crashSuite) {
		time.Sleep(50 * time.Millisecond)
	}
}
