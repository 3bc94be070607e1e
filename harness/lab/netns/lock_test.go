package netns

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"snatlab/harness/netnstest"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// Labs of one process neither share a lock of iptables-legacy, nor lose theirs
// when another lab closes.
func TestLegacyLock(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a user namespace and iptables; make check leaves it out")
	}
	legacy, err := exec.LookPath("iptables-legacy")
	if err != nil {
		netnstest.SkipWithout(t, err.Error())
	}
	if os.Getenv(asUser) == "" {
		runAsUser(t, "TestLegacyLock")
		return
	}
	needPrivilege(t)
	programs := t.TempDir()
	if err := os.Symlink(legacy, filepath.Join(programs, "iptables")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", programs)
	first, second := openLegacy(t), openLegacy(t)

	space, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", first.router.space))
	if err != nil {
		t.Fatal(err)
	}
	defer space.Close()
	if err := unix.Flock(int(space.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	applyAndUndo(t, second)
	if err := unix.Flock(int(space.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	applyAndUndo(t, first)
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	applyAndUndo(t, second)
}

// openLegacy opens a lab whose rule iptables-legacy has written.
func openLegacy(t *testing.T) *netnsLab {
	t.Helper()
	k, err := Open(t.Context(), Config{Run: "test", Clients: 1, NAT: result.NATIPTables})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close(t.Context()) })
	l := k.(*netnsLab)
	if variant := l.Rule.IPTables().Variant; variant != "legacy" {
		t.Fatalf("variant %s", variant)
	}
	return l
}

// applyAndUndo rewrites the rule by iptables, and restores it.
func applyAndUndo(t *testing.T, l *netnsLab) {
	t.Helper()
	rule, err := l.Apply(t.Context(), scenario.Arm{Name: "random-fully", Masquerade: scenario.MasqueradeOptions{RandomFully: true}})
	if err == nil {
		err = rule.Undo(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}
