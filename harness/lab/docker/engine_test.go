package docker

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	dockernet "github.com/docker/docker/api/types/network"
	"github.com/google/go-cmp/cmp"

	"snatlab/harness/lab"
	"snatlab/harness/lab/labtest"
	"snatlab/harness/machine"
	"snatlab/harness/nat"
	"snatlab/harness/nat/effect"
	"snatlab/harness/result"
	"snatlab/harness/undo"
)

// rig is this machine with its real engine, for one test at a time. When the
// test ends, the machine must be as it was.
type rig struct {
	*Host
	t *testing.T
}

// realEngine reserves the machine for a test. Without an engine, or the permission to
// use it, the test is skipped, but not in CI.
func realEngine(t *testing.T) *rig {
	t.Helper()
	reserveMachine(t)
	return openEngine(t)
}

func reserveMachine(t *testing.T) {
	t.Helper()
	labtest.TakeMachine(t)
	// Runs are locked out after that: the run that another package's test starts needs
	// this lock.
	labtest.AwaitLock(t, undo.Dir)
}

// openEngine returns the machine with the engine in DOCKER_HOST.
func openEngine(t *testing.T) *rig {
	t.Helper()
	host, found := Preflight(t.Context(), probeBinary(t), result.IPv4, 0)
	t.Cleanup(func() { host.Close() })
	switch err := machine.RequireMet(found); {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	}
	r := &rig{host, t}
	before := r.state()
	t.Cleanup(func() {
		if diff := cmp.Diff(before, r.state()); diff != "" {
			t.Errorf("the machine is not as it was (-before +after):\n%s", diff)
		}
	})
	return r
}

// state returns everything that a lab changes on a machine, one line each.
func (r *rig) state() map[string][]string {
	r.t.Helper()
	ctx := context.Background() // the test's own has ended in a clean-up
	state := map[string][]string{}
	containers, err := r.docker.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, c := range containers {
		state["containers"] = append(state["containers"], fmt.Sprint(c.Names, c.ID, c.State))
	}
	networks, err := r.docker.NetworkList(ctx, dockernet.ListOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, n := range networks {
		state["networks"] = append(state["networks"], n.Name+" "+n.ID)
	}
	bridges, err := filepath.Glob("/sys/class/net/snat-*")
	if err != nil {
		r.t.Fatal(err)
	}
	state["bridges"] = bridges
	for _, program := range []string{"iptables-save", "ip6tables-save"} {
		for _, line := range readLines(r.t, program) {
			if line[0] != '#' { // the time
				state[program] = append(state[program], counters.ReplaceAllString(line, ""))
			}
		}
	}
	slices.Sort(state["containers"])
	slices.Sort(state["networks"])
	return state
}

// counters matches the counters of a chain in the output of iptables-save.
var counters = regexp.MustCompile(` \[\d+:\d+\]$`)

// readLines returns the lines that a program prints.
func readLines(t *testing.T, program string, args ...string) (all []string) {
	t.Helper()
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	for line := range bytes.Lines(out) {
		all = append(all, string(bytes.TrimSpace(line)))
	}
	return all
}

// bench is a lab with its journal.
type bench struct {
	*dockerLab
	path   string // of the journal
	said   []string
	trials int
}

// undoers returns the undoers of a run.
func undoers() undo.Undoers {
	all := maps.Clone(nat.Undoers())
	maps.Copy(all, effect.Undoers())
	maps.Copy(all, lab.Undoers())
	maps.Copy(all, Undoers())
	return all
}

// plan prepares a lab that is not open yet. Its journal is undone when the test ends.
func (r *rig) plan(clients int) (Config, *bench) {
	r.t.Helper()
	id := make([]byte, 3)
	rand.Read(id)
	b := &bench{}
	c := Config{
		Run: "test-" + hex.EncodeToString(id), Clients: clients, Trials: 10, Control: true, Binary: probeBinary(r.t),
		Say: func(s string) { b.said = append(b.said, s) },
	}
	dir := r.t.TempDir()
	var err error
	if c.Journal, err = undo.CreateJournal(dir, c.Run, undoers()); err != nil {
		r.t.Fatal(err)
	}
	b.path = filepath.Join(dir, c.Run+".journal")
	r.t.Cleanup(func() {
		if err := c.Journal.Close(context.Background()); err != nil {
			r.t.Error(err)
		}
	})
	return c, b
}

// open opens a lab.
func (r *rig) open(clients int) *bench {
	r.t.Helper()
	config, b := r.plan(clients)
	l, err := Open(r.t.Context(), r.Host, config)
	if err != nil {
		r.t.Fatal(err)
	}
	b.dockerLab = l.(*dockerLab)
	r.t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			r.t.Error(err)
		}
	})
	return b
}

// containers returns the containers of a lab by name.
func (b *bench) containers(t *testing.T) map[string]container.InspectResponse {
	t.Helper()
	all, err := b.host.docker.ContainerList(t.Context(), container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", runLabel+"="+b.config.Run))})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]container.InspectResponse{}
	for _, c := range all {
		info, err := b.host.docker.ContainerInspect(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		found[info.Name] = info
	}
	return found
}

// addressesIn returns the addresses of a lab's containers that are in a subnet.
func (b *bench) addressesIn(subnet netip.Prefix) (all []netip.Addr) {
	for _, p := range b.places {
		if subnet.Contains(p.address) {
			all = append(all, p.address)
		}
	}
	return all
}

// probeBinary builds snatlab, once for all tests.
func probeBinary(t *testing.T) string {
	t.Helper()
	binaryOnce.Do(func() { binaryDir, binaryErr = buildSnatlab() })
	if binaryErr != nil {
		t.Fatal(binaryErr)
	}
	return filepath.Join(binaryDir, "snatlab")
}

var (
	binaryOnce sync.Once
	binaryDir  string
	binaryErr  error
)

func buildSnatlab() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "snatlab"); err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-trimpath", "-o", dir, "snatlab/cmd/snatlab")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("build snatlab: %w: %s", err, out)
	}
	return dir, nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	if binaryDir != "" {
		os.RemoveAll(binaryDir)
	}
	os.Exit(code)
}
