// Package netnstest moves tests into network namespaces of their own, so that
// they change nothing in the host's namespace.
package netnstest

import (
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// hostNamespace is the namespace in which no test may run a program.
var hostNamespace, _ = os.Readlink("/proc/self/ns/net")

// Enter moves the test into a new network namespace. It skips the test with
// -short, and where no namespace can be made (see [SkipWithout]).
//
// The test's thread is never unlocked, so that it ends with the test. A subtest
// runs on another thread, and has to call Enter itself.
func Enter(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs root; make check leaves it out")
	}
	if os.Geteuid() != 0 {
		SkipWithout(t, "root, to make a network namespace")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		SkipWithout(t, "a network namespace: "+err.Error())
	}
}

// AddIPv6 adds addresses of 2001:2::/48 to the loopback interface of the namespace, and sets
// it up.
//
// The kernel inserts the route by which an address of IPv6 receives packets a moment after
// the address (addrconf_dad_work in net/ipv6/addrconf.c). Packets that come before are lost.
// So there is a route to all of them first.
func AddIPv6(t *testing.T, addresses ...netip.Addr) {
	t.Helper()
	Run(t, "ip link set lo up && ip route add local 2001:2::/48 dev lo")
	for _, a := range addresses {
		Run(t, "ip address add "+a.String()+"/128 dev lo nodad")
	}
}

// SkipWithout skips a test because this machine lacks what it needs. With
// CI=true it fails the test instead, unless -short is set.
func SkipWithout(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" && !testing.Short() {
		t.Fatalf("this test needs %s", what)
	}
	t.Skipf("this test needs %s", what)
}

// Run runs a shell command in the namespace of the test and returns its output.
func Run(t *testing.T, command string) string {
	t.Helper()
	if here, err := os.Readlink("/proc/thread-self/ns/net"); err != nil || here == hostNamespace {
		t.Fatalf("not run in the host's own network namespace (%v): %s", err, command)
	}
	out, err := exec.Command("sh", "-c", command).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}
