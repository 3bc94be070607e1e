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

// patience bounds the wait for other packages' tests.
const patience = 10 * time.Minute

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
	TakeLock(t, filepath.Join(os.TempDir(), "snatlab-tests"))
}

// TakeLock takes a lock as soon as it is free. Who may not is skipped, but not
// in CI.
func TakeLock(t *testing.T, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
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
