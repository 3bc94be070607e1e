package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"snatlab/harness/history/historytest"
)

// mountDisk mounts a disk of that size for this thread only. The thread is never
// unlocked, so it ends with the test.
func mountDisk(t *testing.T, size int) *Store {
	t.Helper()
	if testing.Short() {
		t.Skip("needs root; make check leaves it out")
	}
	if os.Geteuid() != 0 {
		skipWithout(t, "root, to mount a small disk")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		skipWithout(t, "a mount namespace: "+err.Error())
	}
	checkError(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	dir := t.TempDir()
	checkError(t, unix.Mount("snatlab-test", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)))
	t.Cleanup(func() { checkError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	s, err := Open(dir)
	checkError(t, err)
	return s
}

// skipWithout skips a test that needs something. In CI, without -short, it fails.
func skipWithout(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" && !testing.Short() {
		t.Fatalf("this test needs %s", what)
	}
	t.Skipf("this test needs %s", what)
}

// A full disk holds no half of a result.
func TestPutDiskFull(t *testing.T) {
	s := mountDisk(t, 64<<10)
	var err error
	kept := 0
	for day := 0; err == nil; day++ {
		if err = s.Put(historytest.RunSpec{Day: day}.MakeResult()); err == nil {
			kept++
		}
	}
	want := "no space left on device (free some space, for example with `snatlab history prune`, or name another folder with --store)"
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), " in "+s.Dir()+": ") || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v", err)
	}
	if runs, warnings := listAll(t, s); len(runs) != kept || kept == 0 || len(warnings) > 0 {
		t.Errorf("%d runs of %d, %q", len(runs), kept, warnings)
	}
	left, err := filepath.Glob(s.Dir() + "/.new-*")
	if err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

// A read-only disk is read, and the error of a write says so.
func TestReadOnlyDisk(t *testing.T) {
	s := mountDisk(t, 1<<20)
	checkError(t, s.Put(historytest.RunSpec{}.MakeResult()))
	checkError(t, unix.Mount("", s.Dir(), "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	err := s.Put(historytest.RunSpec{Day: 1}.MakeResult())
	if !errors.Is(err, unix.EROFS) || !strings.HasSuffix(err.Error(), "(mount it read-write, or name another folder with --store)") {
		t.Errorf("%v", err)
	}
	if _, err := s.Prune(Policy{}, historytest.FirstDay.AddDate(1, 0, 0), false); err != nil {
		t.Errorf("there is nothing to prune: %v", err)
	}
	if runs, warnings := listAll(t, s); len(runs) != 1 || len(warnings) > 0 {
		t.Errorf("%v, %q", runs, warnings)
	}
}

// The store of another user can be read, and not written. The thread that changes its
// user is never unlocked, so it ends with the test.
func TestStoreOfOtherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		skipWithout(t, "root, to be somebody else")
	}
	dir, err := os.MkdirTemp("", "snatlab-store") // t.TempDir is in a folder that others may not enter
	checkError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	checkError(t, os.Chmod(dir, 0o755))
	s, err := Open(dir)
	checkError(t, err)
	checkError(t, s.Put(historytest.RunSpec{}.MakeResult()))
	errs := make(chan error)
	go func() {
		runtime.LockOSThread()
		const nobody = 65534
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
			errs <- errno
			return
		}
		runs, warnings, err := s.ListRuns()
		if err != nil || len(runs) != 1 || len(warnings) > 0 {
			err = fmt.Errorf("%v, %q, %w", runs, warnings, err)
		}
		errs <- err
		errs <- s.Put(historytest.RunSpec{Day: 1}.MakeResult())
	}()
	checkError(t, <-errs)
	if err := <-errs; !errors.Is(err, os.ErrPermission) || !strings.HasSuffix(err.Error(), "permission denied (run as the owner of the folder, or name another folder with --store)") {
		t.Errorf("%v", err)
	}
}
