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

// TakeMachine takes this machine from the tests of other packages, until the
// test ends: they look as well whether it is as it was.
//
// With -short it skips the test: what needs the machine needs privilege, an engine
// or other kernels.
func TakeMachine(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the machine for itself; make check leaves it out")
	}
	AwaitLock(t, filepath.Join(os.TempDir(), "snatlab-tests"))
}

// AwaitLock takes a lock as soon as it is free. Who may not is skipped, but not
// in CI.
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
			t.Skipf("%v (this test takes root)", err)
		case !errors.As(err, new(*undo.LockedError)) || ctx.Err() != nil:
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // nobody says when it is free
	}
}
