package netns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"snatlab/harness/lab"
	"snatlab/harness/lab/labtest"
	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/nftables"
	"snatlab/harness/netnstest"
	"snatlab/harness/probe/agent"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// asUser is the environment variable of the tests that an ordinary user runs.
const asUser = "SNATLAB_TEST_AS_USER"

// This program runs the tests, or a probe, or the tests of an ordinary user, which
// first get privilege.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "probe" {
		fmt.Fprintln(os.Stderr, agent.ServeStdio(agent.Agent{Role: os.Args[2]}))
		os.Exit(3)
	}
	if os.Getenv(asUser) != "" && !IsPrivileged() {
		code, err := Reexec(nil, os.Args[1:]...)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 3
		}
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// needPrivilege skips a test where no namespaces can be made.
func needPrivilege(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs network namespaces; make check leaves it out")
	}
	if !IsPrivileged() {
		netnstest.SkipWithout(t, "root, to make network namespaces")
	}
}

// The driver keeps what every driver keeps.
func TestConformance(t *testing.T) {
	needPrivilege(t)
	if (os.Getenv(asUser) != "") != IsReexecuted() {
		t.Fatalf("as a user: %q, in a user namespace: %v", os.Getenv(asUser), IsReexecuted())
	}
	if os.Getenv(asUser) == "" { // else the process that started this one has taken it
		labtest.TakeMachine(t)
	}
	for _, writer := range []string{result.NATNFTables, result.NATIPTables} {
		t.Run(writer, func(t *testing.T) {
			if _, err := exec.LookPath("iptables"); writer == result.NATIPTables && err != nil {
				netnstest.SkipWithout(t, err.Error())
			}
			for _, family := range []string{result.IPv4, result.IPv6} {
				for _, protocol := range []string{result.TCP, result.UDP} {
					if IsReexecuted() && family == result.IPv6 && (writer != result.NATNFTables || protocol != result.TCP) {
						continue // as root they all run; what a user lacks is the same in each
					}
					t.Run(family+", "+protocol, func(t *testing.T) { labtest.CheckDriver(t, newDriver(writer, family, protocol)) })
				}
			}
		})
	}
}

// The driver keeps it without root as well.
func TestConformanceRootless(t *testing.T) {
	if os.Getenv(asUser) != "" {
		t.Skip("this is that user")
	}
	labtest.TakeMachine(t)
	runAsUser(t, "TestConformance")
}

// runAsUser runs another test of this package as an ordinary user, in a user
// namespace. That user is not root.
func runAsUser(t *testing.T, test string) {
	t.Helper()
	c := exec.Command(lab.ThisBinary, "-test.run=^"+test+"$", "-test.v")
	c.Dir = "/"
	c.Env = append(os.Environ(), asUser+"=1")
	if os.Geteuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: lab.ProbeUser, Gid: lab.ProbeUser}}
	}
	out, err := c.CombinedOutput()
	if err != nil && strings.Contains(string(out), "make a user namespace: ") {
		netnstest.SkipWithout(t, string(out))
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+test) {
		t.Errorf("%v\n%s", err, out)
	}
}

func newDriver(writer, family, protocol string) labtest.Driver {
	return labtest.Driver{
		Protocol: protocol, Family: family,
		Open: func(ctx context.Context, clients int, say func(string)) (lab.Lab, error) {
			l, err := Open(ctx, Config{Run: "test", Clients: clients, Family: family, Protocol: protocol, NAT: writer, Control: true, Say: say})
			return l, err
		},
		OpenFiltered: func(ctx context.Context, accept scenario.PortRange) (lab.Lab, error) {
			return Open(ctx, Config{Run: "test", Clients: 1, Family: family, Protocol: protocol, NAT: writer, Control: true, Accept: accept})
		},
		OpenService: func(ctx context.Context, backends int) (lab.Lab, error) {
			return Open(ctx, Config{Run: "test", Clients: 1, Family: family, Protocol: protocol, NAT: writer, Control: true, Backends: backends})
		},
		Kill: func(t *testing.T, l lab.Lab, client int) {
			n := l.(*netnsLab).nodes[1+client]
			if err := n.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		},
		RemoveControl: func(t *testing.T, l lab.Lab) {
			n := l.(*netnsLab)
			err := n.Router(func() error {
				if tables := n.Rule.IPTables(); tables != nil {
					return tables.DeleteRule(iptables.NATTable, n.ControlRule())
				}
				return nftables.DeleteRule(t.Context(), n.ControlRule())
			})
			if err != nil {
				t.Fatal(err)
			}
		},
		Killed: "signal: killed",
		Traces: listTraces,
	}
}

// listTraces lists the children of this process, the network namespaces of its threads,
// its open files of that kind, and the names and links that every user of this machine
// can see.
func listTraces(t *testing.T) []string {
	t.Helper()
	all := listFiles(t, namesDir+"/*")
	spaces := map[string]bool{}
	for _, path := range slices.Concat(listFiles(t, "/proc/self/task/*/ns/net"), listFiles(t, "/proc/self/fd/*")) {
		if to, err := os.Readlink(path); err == nil && (strings.HasPrefix(to, "net:[") || strings.Contains(to, "memfd:snatlab")) {
			spaces[to] = true
		}
	}
	for space := range spaces {
		all = append(all, space)
	}
	for _, path := range listFiles(t, "/proc/self/task/*/children") {
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
		for _, pid := range strings.Fields(string(text)) {
			all = append(all, "child "+pid)
		}
	}
	all = append(all, listFiles(t, "/sys/class/net/*")...)
	slices.Sort(all)
	return all
}

func listFiles(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// Probes run as nobody, without capabilities.
func TestProbePrivileges(t *testing.T) {
	needPrivilege(t)
	l, err := Open(t.Context(), Config{Run: "test", Clients: 1, NAT: result.NATNFTables})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close(t.Context())
	for _, n := range l.(*netnsLab).nodes {
		status, err := os.ReadFile("/proc/" + strconv.Itoa(n.cmd.Process.Pid) + "/status")
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "Uid:\t65534\t65534\t65534\t65534", "Gid:\t65534\t65534\t65534\t65534"} {
			if !strings.Contains(string(status), line+"\n") {
				t.Errorf("%s has no %q in its status:\n%s", n.name, line, status)
			}
		}
	}
}

// Probes end when their controller is killed.
func TestProbesDieWithLab(t *testing.T) {
	needPrivilege(t)
	if os.Getenv("SNATLAB_TEST_DIE") != "" {
		l, err := Open(t.Context(), Config{Run: "test", Clients: 2, NAT: result.NATNFTables})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range l.(*netnsLab).nodes {
			fmt.Println("probe", n.cmd.Process.Pid)
		}
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	c := exec.Command(lab.ThisBinary, "-test.run=^TestProbesDieWithLab$")
	c.Env = append(os.Environ(), "SNATLAB_TEST_DIE=1")
	out, _ := c.Output()
	var probes []string
	for line := range strings.Lines(string(out)) {
		if pid, ok := strings.CutPrefix(strings.TrimSpace(line), "probe "); ok {
			probes = append(probes, pid)
		}
	}
	if len(probes) != 3 {
		t.Fatalf("not killed in the middle:\n%s", out)
	}
	for _, pid := range probes {
		for range 200 {
			if _, err := os.Stat("/proc/" + pid); err != nil {
				break
			}
			time.Sleep(10 * time.Millisecond) // its parent is gone, so no event announces its end
		}
		if _, err := os.Stat("/proc/" + pid); err == nil {
			t.Errorf("probe %s has outlived its controller", pid)
		}
	}
}
