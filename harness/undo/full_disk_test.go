package undo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// A full file system takes the first half of a record. A record that fits later
// must not follow it on the same line.
func TestFullDiskRecord(t *testing.T) {
	dir := smallDisk(t, 3*os.Getpagesize())
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, os.Getpagesize()), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &host{}
	j, err := CreateJournal(dir, run, h.undoers())
	if err != nil {
		t.Fatal(err)
	}
	defer j.file.Close()
	for err == nil {
		_, err = j.Do(t.Context(), step("small"), func(context.Context) error {
			h.stands = append(h.stands, "small")
			return nil
		})
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("error %v, want that the disk is full", err)
	}
	made := len(h.stands)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	h.put(t, j, "late")
	if n := len(reopen(t, j.path, nil).Steps()); n != made+1 {
		t.Errorf("%d steps on disk, want the %d whose changes were made", n, made+1)
	}
	closeJournal(t, reopen(t, j.path, h.undoers()))
	same(t, "left on the host", h.stands, nil)
}

// The host is restored even if the disk is full. At most, a step whose undoing
// could not be recorded is undone again.
func TestFullDiskClose(t *testing.T) {
	dir := smallDisk(t, 2*os.Getpagesize())
	h := &host{}
	j, err := CreateJournal(dir, run, h.undoers())
	if err != nil {
		t.Fatal(err)
	}
	h.put(t, j, "a", "b")
	_ = os.WriteFile(filepath.Join(dir, "filler"), make([]byte, os.Getpagesize()), 0o600)
	for err == nil {
		err = j.writeRecord(journalRecord{Undone: new(-1)})
	}
	closeJournal(t, j)
	same(t, "undone", h.undone, []string{"b", "a"})
}

// smallDisk mounts a disk of size bytes for this thread alone, and returns its
// folder. The thread is never unlocked, so it ends with the test.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs root; make check leaves it out")
	}
	if os.Geteuid() != 0 {
		missing(t, "root, to mount a small disk")
	}
	dir := t.TempDir()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		missing(t, "a mount namespace: "+err.Error())
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatalf("make the mounts private: %v", err)
	}
	if err := unix.Mount("snatlab-test", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", size)); err != nil {
		t.Fatalf("mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// missing skips a test that needs something this machine does not have. In CI the
// test fails, except with -short.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" && !testing.Short() {
		t.Fatalf("this test needs %s", what)
	}
	t.Skipf("this test needs %s", what)
}
