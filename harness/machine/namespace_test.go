package machine

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// enterNewNamespace moves the test into a network namespace of its own. Its thread is
// never unlocked, so that it ends with the test.
func enterNewNamespace(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs root; make check leaves it out")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("needs root: %v", err)
	}
}

// A panic in a namespace is the caller's.
func TestNamespaceDoPanics(t *testing.T) {
	enterNewNamespace(t)
	defer func() {
		if p := recover(); p != "lost" {
			t.Errorf("recovered %v", p)
		}
	}()
	_ = OpenNamespace(os.Getpid()).Do(func() error { panic("lost") })
}
