package main

import (
	"bytes"
	"cmp"
	"fmt"
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

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"snatlab/harness/lab/labtest"
)

// engine is a private engine of a test, Docker's or Podman's, in network, mount and process
// namespaces without other processes. A test can stop it, flush its rules and fill its
// conntrack table without an effect on other programs. All of it always ends with the test:
// the first process of its namespaces ends when its input ends, and the test holds that
// input.
type engine struct {
	*client.Client
	dir    string
	root   string    // the folder with the root file system of the engine; empty: that of this machine
	podman bool      // it is Podman, and not Docker
	front  string    // DOCKER_HOST of commands; empty: the engine itself
	first  *exec.Cmd // the first process of the namespaces
	daemon *exec.Cmd // serves the API; nil when it is stopped
}

// ownEngine starts an engine, and locks this machine for the test, because runs
// compete for its CPUs. Without root or dockerd the test is skipped; with CI=true it
// fails.
func ownEngine(t *testing.T) *engine {
	t.Helper()
	labtest.TakeMachine(t)
	return startOwnEngine(t, "{}")
}

// startOwnEngine starts an engine with a configuration.
func startOwnEngine(t *testing.T, config string) *engine {
	t.Helper()
	return startEngine(t, "", config)
}

// maxLog bounds what a failed test prints of the log of its engine.
const maxLog = 4000

// startEngine starts the engine in the folder root, or that of this machine if root is
// empty.
func startEngine(t *testing.T, root, config string) *engine {
	t.Helper()
	if testing.Short() {
		t.Skip("needs root and dockerd; make check leaves it out")
	}
	miss := t.Skipf
	if os.Getenv("CI") == "true" {
		miss = t.Fatalf
	}
	if os.Geteuid() != 0 {
		miss("needs root")
	}
	for _, program := range []string{"dockerd", "nsenter"} {
		if program == "dockerd" && root != "" {
			continue
		}
		if _, err := exec.LookPath(program); err != nil {
			miss("needs %s: %v", program, err)
		}
	}
	// Not t.TempDir: the path of a socket has no more than 107 bytes.
	dir, err := os.MkdirTemp("", "snatlab-engine")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	e := &engine{dir: dir, root: root, podman: strings.HasPrefix(filepath.Base(root), "podman-")}
	if root != "" {
		t.Cleanup(func() { os.Remove(filepath.Join(root, dir)) }) // made by enterNew
	}
	e.enterNew(t)
	must(t, os.WriteFile(e.path("config.json"), []byte(config), 0o600))
	e.Client, err = client.NewClientWithOpts(client.WithHost("unix://"+e.path("socket")), client.WithAPIVersionNegotiation())
	must(t, err)
	t.Cleanup(func() { e.Client.Close() })
	t.Cleanup(func() {
		e.stopDaemon(t, unix.SIGTERM)
		if said, err := os.ReadFile(e.path("log")); t.Failed() && err == nil {
			t.Logf("the engine says\n%s", said[max(0, len(said)-maxLog):])
		}
	})
	e.startDaemon(t)
	return e
}

func (e *engine) path(name string) string { return filepath.Join(e.dir, name) }

// enterNew makes the namespaces. Journals and locks are in /run, so /run is new as
// well. An engine with a root of its own gets the folders there under the same names, so
// that its paths are those of this machine.
func (e *engine) enterNew(t *testing.T) {
	t.Helper()
	e.first = exec.Command("sh", "-ec", `mount --make-rprivate /
		mount -t proc proc /proc
		mount -t tmpfs tmpfs /run
		mkdir /run/snatlab
		ip link set lo up
		[ -z "$0" ] || mount --bind "$0" "$0" # the engine remounts its root
		[ -z "$0" ] || for folder in /proc /sys /dev /run "$1"; do
			mkdir -p "$0$folder"
			mount --rbind "$folder" "$0$folder"
		done
		# crun refuses a machine with both versions of cgroups.
		[ -z "$0" ] || umount -l "$0/sys/fs/cgroup/unified" 2>/dev/null || :
		echo ready
		cat >/dev/null
		exit`, e.root, e.dir) // the shell waits for all orphaned processes
	e.first.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID, Setsid: true}
	input, err := e.first.StdinPipe()
	must(t, err)
	output, err := e.first.StdoutPipe()
	must(t, err)
	must(t, e.first.Start())
	t.Cleanup(func() {
		input.Close()
		e.first.Wait()
	})
	if said, err := output.Read(make([]byte, 6)); said != 6 {
		t.Fatalf("make namespaces: %v", err)
	}
}

// inside returns a command that runs in the namespaces.
func (e *engine) inside(program string, args ...string) *exec.Cmd {
	enter := []string{"-t", strconv.Itoa(e.first.Process.Pid), "--net", "--mount", "--pid", "--", program}
	c := exec.Command("nsenter", append(enter, args...)...)
	c.Env = append(os.Environ(), "DOCKER_HOST="+cmp.Or(e.front, e.DaemonHost()))
	return c
}

// do runs a command in the namespaces, and returns its output.
func (e *engine) do(t *testing.T, program string, args ...string) string {
	t.Helper()
	c := e.inside(program, args...)
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, out, said.String())
	}
	return string(out)
}

// start starts the program in the namespaces.
func (e *engine) start(t *testing.T, args ...string) *process {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	if args[0] == "run" && !slices.Contains(args, "--out") {
		args = append(args, "--out", out)
	}
	c := e.inside(binary, args...)
	printed, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	must(t, err)
	defer printed.Close()
	c.Stdout = printed
	p := startCommand(t, c)
	p.out = out
	return p
}

// printed returns the standard output of the process so far.
func (p *process) printed(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(p.Stdout.(*os.File).Name())
	must(t, err)
	return text
}

// startDaemon starts the engine and waits until it answers.
func (e *engine) startDaemon(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(e.path("log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	must(t, err)
	defer log.Close()
	command := e.daemonCommand(t)
	if e.root != "" {
		command = append([]string{"chroot", e.root}, command...)
	}
	e.daemon = e.inside(command[0], command[1:]...)
	e.daemon.Stdout, e.daemon.Stderr = log, log
	must(t, e.daemon.Start())
	for range 300 {
		if _, err = e.Ping(t.Context()); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	said, _ := os.ReadFile(e.path("log"))
	t.Fatalf("the engine does not answer: %v\n%s", err, said)
}

// daemonCommand returns the command that serves the engine's API. Its storage works on every
// file system.
func (e *engine) daemonCommand(t *testing.T) []string {
	t.Helper()
	if !e.podman {
		return []string{"dockerd", "--data-root", e.path("data"), "--exec-root", e.path("exec"), "--pidfile", e.path("pid"),
			"--host", "unix://" + e.path("socket"), "--storage-driver", "vfs", "--config-file", e.path("config.json")}
	}
	// The limits by default are above those that this machine may allow.
	config := "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n[engine]\nevents_logger = \"file\"\n[network]\nnetwork_backend = \"netavark\"\n"
	must(t, os.WriteFile(e.path("containers.conf"), []byte(config), 0o600))
	return []string{"sh", "-c", `echo -n $$ >"$0/pid"; PODMAN_IGNORE_CGROUPSV1_WARNING=1 CONTAINERS_CONF="$0/containers.conf" exec podman --root "$0/data" --runroot "$0/exec" --storage-driver vfs --cgroup-manager cgroupfs system service --time 0 "unix://$0/socket"`, e.dir}
}

// stopDaemon ends the engine and waits for its end. After SIGTERM, which an init system
// sends, its containers end first.
func (e *engine) stopDaemon(t *testing.T, signal unix.Signal) {
	t.Helper()
	if e.daemon == nil {
		return
	}
	pid, err := os.ReadFile(e.path("pid")) // in its namespace
	must(t, err)
	if _, err := strconv.Atoi(string(pid)); err != nil {
		t.Fatal(err)
	}
	must(t, e.inside("kill", "-s", strconv.Itoa(int(signal)), string(pid)).Run())
	e.daemon.Wait() // a signal is no error here
	e.daemon = nil
}

// state returns the state of the namespaces, as far as a run touches it.
func (e *engine) state(t *testing.T) map[string][]string {
	t.Helper()
	ctx := t.Context()
	if ctx.Err() != nil { // in a cleanup
		ctx = cleanupContext(t)
	}
	s := map[string][]string{}
	containers, err := e.ContainerList(ctx, container.ListOptions{All: true})
	must(t, err)
	for _, c := range containers {
		s["containers"] = append(s["containers"], fmt.Sprint(c.Names, c.ID, c.State))
	}
	networks, err := e.NetworkList(ctx, network.ListOptions{})
	must(t, err)
	for _, n := range networks {
		s["networks"] = append(s["networks"], n.Name)
	}
	s["rules"] = strings.Split(counters.ReplaceAllString(e.do(t, "iptables-save"), ""), "\n")
	for line := range strings.Lines(e.do(t, "ip", "-o", "link")) { // /sys shows the links of this machine
		s["links"] = append(s["links"], strings.Fields(line)[1])
	}
	s["journals"] = strings.Fields(e.do(t, "find", "/run/snatlab", "-name", "*.journal"))
	for _, list := range s {
		slices.Sort(list)
	}
	return s
}

// unchanged checks at the end of the test that the state is the same as now.
func (e *engine) unchanged(t *testing.T) {
	t.Helper()
	before := e.state(t)
	t.Cleanup(func() { e.same(t, before) })
}

func (e *engine) same(t *testing.T, before map[string][]string) {
	t.Helper()
	if diff := gocmp.Diff(before, e.state(t)); diff != "" {
		t.Errorf("the host has changed (-before +after):\n%s", diff)
	}
}

// passed waits until connections have passed a masquerade rule of a lab, and returns
// the text of the rule.
func (e *engine) passed(t *testing.T, p *process, rule *regexp.Regexp) (text string) {
	t.Helper()
	p.await(t, "connections that pass the rule", func() bool {
		found := rule.FindStringSubmatch(e.do(t, "iptables", "-t", "nat", "-v", "-S", "POSTROUTING"))
		if found != nil {
			text = found[1] + " " + found[2]
		}
		return found != nil
	})
	return text
}

// part returns the name of a container or network of the lab, such as "client-0" or
// "clients".
func (e *engine) part(t *testing.T, name string) string {
	t.Helper()
	state := e.state(t)
	for _, line := range slices.Concat(state["containers"], state["networks"]) {
		if found := regexp.MustCompile(`snatlab-\S*-` + name + `\b`).FindString(line); found != "" {
			return found
		}
	}
	t.Fatalf("no %s in %v", name, state)
	return ""
}

// cleanup runs `snatlab cleanup`, and returns its output.
func (e *engine) cleanup(t *testing.T) string {
	t.Helper()
	return e.do(t, binary, "cleanup")
}
