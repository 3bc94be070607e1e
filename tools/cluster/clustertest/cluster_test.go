// Package clustertest tests the scripts of the cluster on this machine, as root. It starts
// and removes clusters, so none may be up.
package clustertest

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	script = "../cluster"
	state  = "/run/snatlab-cluster"
)

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Println("a cluster needs root: skipped")
		return
	}
	if _, err := os.Stat(state); err == nil {
		fmt.Println("a cluster is up: skipped (make cluster-down)")
		return
	}
	os.Exit(m.Run())
}

// look returns what the cluster could leave on this machine.
func look(t *testing.T) (found []string) {
	t.Helper()
	for _, command := range []string{
		"cat /proc/self/mounts",
		"ip -br link show type veth", "ip -br link show type bridge", "ip route show",
		"iptables-save -t nat", "iptables-save -t filter",
		"sysctl vm.overcommit_memory kernel.panic kernel.panic_on_oops net.ipv4.ip_forward",
		"ls /run /run/netns /var/lib /var/log /opt /etc/cni",
	} {
		words := strings.Fields(command)
		out, _ := exec.Command(words[0], words[1:]...).Output() // a folder may be missing
		for line := range strings.Lines(string(out)) {
			line, _, _ = strings.Cut(line, " [") // counters of chains
			if !strings.HasPrefix(line, "#") {
				found = append(found, command+": "+strings.TrimSpace(line))
			}
		}
	}
	return append(append(found, listCgroups(t)...), listProcesses(t)...)
}

// listCgroups lists the cgroups with the name of the cluster.
func listCgroups(t *testing.T) (found []string) {
	t.Helper()
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.Contains(path, "snatlab-cluster") {
			found = append(found, "cgroup "+path)
		}
		return nil // another one may vanish meanwhile
	})
	return found
}

// listProcesses lists the processes that have the cluster's folder, its programs or its
// containers in their command lines.
func listProcesses(t *testing.T) (found []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		line, _ := os.ReadFile(path) // it may have ended
		words := strings.ReplaceAll(string(line), "\x00", " ")
		for _, part := range []string{state, "/run/cluster/", "kubernetes kube", "containerd/containerd.sock"} {
			if strings.Contains(words, part) && !strings.Contains(words, "/var/run/docker") {
				found = append(found, "process "+words)
				break
			}
		}
	}
	return found
}

// compare fails the test if something is left. The kernel may need a moment to take down
// the last namespace.
func compare(t *testing.T, before []string) {
	t.Helper()
	var more []string
	for range 50 {
		more = nil
		for _, line := range look(t) {
			if !slices.Contains(before, line) {
				more = append(more, line)
			}
		}
		if more == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("left:\n%s", strings.Join(more, "\n"))
}

func cluster(args ...string) *exec.Cmd {
	c := exec.Command(script, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a shell with a terminal does
	return c
}

// run runs a command that must not fail, and returns its standard output.
func run(t *testing.T, args ...string) string {
	t.Helper()
	c := cluster(args...)
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	if err := c.Run(); err != nil {
		t.Fatalf("cluster %s: %v\n%s", strings.Join(args, " "), err, &said)
	}
	return out.String()
}

// ^C at any moment of `up` removes what was made.
func TestInterruptedUp(t *testing.T) {
	run(t, "up", "1") // so that the programs are built
	run(t, "down")
	before := look(t)
	for _, after := range []time.Duration{200, 500, 900, 1500, 2500, 3500, 5000} {
		for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			t.Run(fmt.Sprintf("%v after %d ms", signal, after), func(t *testing.T) {
				c := cluster("up", "2")
				var said bytes.Buffer
				c.Stderr = &said
				if err := c.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(after * time.Millisecond)
				_ = syscall.Kill(-c.Process.Pid, signal) // the group, as a terminal does; it may be up already
				_ = c.Wait()
				if code := c.ProcessState.ExitCode(); code != 128+int(signal) && code != -1 && code != 0 {
					t.Errorf("exit code %d:\n%s", code, &said)
				}
				if c.ProcessState.ExitCode() == 0 {
					run(t, "down")
				}
				compare(t, before)
			})
		}
	}
}

// After SIGKILL of `up`, `down` finds what was made, and so does the next `up`.
func TestKilledUp(t *testing.T) {
	before := look(t)
	for _, after := range []time.Duration{300, 1200, 3000} {
		c := cluster("up", "1")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(after * time.Millisecond)
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		_ = c.Wait()
		run(t, "down")
		compare(t, before)
	}
	c := cluster("up", "1")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
	_ = c.Wait()
	run(t, "up", "1")
	run(t, "down")
	compare(t, before)
}

// `down` removes running Pods with their volumes and networks. `up` adds nodes to a cluster,
// and does nothing if there are enough.
func TestUpAndDown(t *testing.T) {
	before := look(t)
	run(t, "up", "1")
	run(t, "exec", "node1", "mkdir", "/run/only-here")
	if _, err := os.Stat("/run/only-here"); err == nil {
		t.Error("a node has this machine's /run")
	}
	pod := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"one"},"spec":{"dnsPolicy":"Default","containers":[
		{"name":"c","image":"localhost/pause:1","volumeMounts":[{"name":"v","mountPath":"/v"}]}],"volumes":[{"name":"v","emptyDir":{"medium":"Memory"}}]}}`
	c := cluster("kubectl", "apply", "-f", "-")
	c.Stdin = strings.NewReader(pod)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	run(t, "kubectl", "wait", "--for=condition=Ready", "--timeout=90s", "pod/one")
	uid := run(t, "kubectl", "get", "pod", "one", "-o", "jsonpath={.metadata.uid}")
	run(t, "up", "2")
	run(t, "up", "1")
	if nodes := run(t, "kubectl", "get", "nodes", "-o", "name"); nodes != "node/node1\nnode/node2\n" {
		t.Errorf("nodes: %s", nodes)
	}
	if now := run(t, "kubectl", "get", "pod", "one", "-o", "jsonpath={.metadata.uid}"); now != uid {
		t.Error("the Pod was replaced")
	}
	run(t, "restart", "control", "kube-apiserver")
	run(t, "restart", "node1", "kubelet")
	run(t, "kubectl", "wait", "--for=condition=Ready", "--timeout=90s", "pod/one")
	run(t, "down")
	compare(t, before)
	run(t, "down") // again
}

// The exit code of a command that runs with a cluster is passed on, and the cluster is
// removed.
func TestRunWithCluster(t *testing.T) {
	before := look(t)
	err := cluster("run", "1", "sh", "-c", `test -r "$SNATLAB_KUBECONFIG" && "$SNATLAB_CLUSTER" kubectl get nodes && exit 7`).Run()
	if code, ok := err.(*exec.ExitError); !ok || code.ExitCode() != 7 {
		t.Errorf("error %v", err)
	}
	compare(t, before)
}

// Wrong command lines start nothing.
func TestUsage(t *testing.T) {
	before := look(t)
	for _, args := range [][]string{{}, {"start"}, {"up", "0"}, {"up", "8"}, {"up", "two"}, {"load"}, {"exec", "node1"}, {"run", "1"}, {"restart", "control"}} {
		c := cluster(args...)
		_ = c.Run()
		if code := c.ProcessState.ExitCode(); code != 2 {
			t.Errorf("cluster %v: exit code %d", args, code)
		}
	}
	compare(t, before)
}
