package labtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"snatlab/harness/undo"
)

// lockTime bounds the wait for other packages' tests.
const lockTime = 10 * time.Minute

// TakeMachine reserves this machine until the test ends. Tests of other packages that
// check whether the machine is as it was wait for that.
//
// With -short it skips the test: a test that needs the machine needs privilege, an
// engine or other kernels.
func TakeMachine(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the machine for itself; make check leaves it out")
	}
	AwaitLock(t, filepath.Join(os.TempDir(), "snatlab-tests"))
}

// AwaitLock takes a lock as soon as it is free. Without the permission it skips the
// test, but not in CI.
func AwaitLock(t *testing.T, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), lockTime)
	defer cancel()
	for {
		lock, err := undo.TakeLock(dir, "test")
		switch {
		case err == nil:
			t.Cleanup(func() { lock.Release() })
			return
		case errors.Is(err, os.ErrPermission) && os.Getenv("CI") != "true":
			t.Skipf("%v (this test needs root)", err)
		case !errors.As(err, new(*undo.LockedError)) || ctx.Err() != nil:
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // there is no event to wait for
	}
}
