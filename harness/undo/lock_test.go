package undo

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// lockDir names the environment variable that makes this program another snatlab:
// it takes the lock in that folder, prints that, and holds it until its standard
// input ends.
const lockDir = "SNATLAB_TEST_LOCK_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(lockDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	if _, err := TakeLock(dir, "run of docker-masquerade"); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("taken")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// holdElsewhere starts another process that holds the lock.
func holdElsewhere(t *testing.T, dir string) *os.Process {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), lockDir+"="+dir)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = c.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "taken\n" {
		t.Fatalf("the other process printed %q, %v", line, err)
	}
	return c.Process
}

func take(t *testing.T, dir string) *Lock {
	t.Helper()
	l, err := TakeLock(dir, "cleanup")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Release() })
	return l
}

// refused returns the error of a second process that takes the lock.
func refused(t *testing.T, dir string) *LockedError {
	t.Helper()
	l, err := TakeLock(dir, "run of another")
	locked, ok := errors.AsType[*LockedError](err)
	if !ok || l != nil {
		t.Fatalf("lock %v, error %T: %v", l, err, err)
	}
	return locked
}

// The lock is held against other processes, and names its holder.
func TestLockHeld(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snatlab")
	begun := time.Now()
	other := holdElsewhere(t, dir)
	for range 2 { // to be refused changes nothing
		h := refused(t, dir).Holder
		if h.PID != other.Pid || h.What != "run of docker-masquerade" || h.Since.Before(begun.Round(0)) || h.Since.After(time.Now()) {
			t.Errorf("held by %+v, want pid %d", h, other.Pid)
		}
	}
}

// The lock is free after its holder has died.
func TestLockAfterDeath(t *testing.T) {
	dir := t.TempDir()
	other := holdElsewhere(t, dir)
	if err := other.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Wait(); err != nil { // its files are closed by then
		t.Fatal(err)
	}
	take(t, dir)
	if h := refused(t, dir).Holder; h.PID != os.Getpid() || h.What != "cleanup" {
		t.Errorf("held by %+v", h)
	}
}

// The lock is free after its release.
func TestLockAfterRelease(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		if err := take(t, dir).Release(); err != nil {
			t.Fatal(err)
		}
	}
	take(t, dir)
	refused(t, dir)
}

// A program that a run starts, such as QEMU, must not hold the lock after the
// run has died.
func TestLockNotInherited(t *testing.T) {
	dir := t.TempDir()
	l := take(t, dir)
	holdElsewhere(t, t.TempDir()) // a child that lives on
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	take(t, dir)
}

// The text of a holder replaces a longer one completely.
func TestLockShorterHolder(t *testing.T) {
	dir := t.TempDir()
	l, err := TakeLock(dir, "run of a-scenario-with-a-very-long-name")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	take(t, dir)
	if h := refused(t, dir).Holder; h.What != "cleanup" {
		t.Errorf("held by %+v", h)
	}
}

// The error names the holder of the lock.
func TestLockedErrorText(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 1, 2, 3, 4, 5, 600, time.Local)
	for want, h := range map[string]Holder{
		"another snatlab is active on this host: run of docker-masquerade (pid 4711, started 2026-01-02 03:04:05)": {4711, since, "run of docker-masquerade"},
		"another snatlab is active on this host: cleanup (pid 1, started 2026-01-02 03:04:05)":                     {1, since.UTC(), "cleanup"},
		"another snatlab is active on this host":                                                                   {},
	} {
		if got := (&LockedError{h}).Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// A lock file without a valid holder is a lock nevertheless.
func TestLockBadHolder(t *testing.T) {
	for _, text := range []string{
		"", "\x00\x00", "4711\n", "null", "[]", `{"pid": 47`, `{"pid": 4711, "what": 5}`, `{"pid": 4711}`, `{"pid": "4711"}`,
		`{"pid": 4711, "since": "yesterday", "what": "run"}`, `{"pid": 4711, "since": "2026-01-02T03:04:05Z"}`,
	} {
		dir := t.TempDir()
		take(t, dir)
		if err := os.WriteFile(filepath.Join(dir, "lock"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := refused(t, dir).Error(); got != "another snatlab is active on this host" {
			t.Errorf("%q: got %s", text, got)
		}
	}
}

// TakeLock replaces no file behind a link.
func TestLockSymlink(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious")
	if err := os.WriteFile(precious, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(precious, filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	if _, err := TakeLock(dir, "run"); !errors.As(err, new(*UntrustedError)) {
		t.Errorf("error %v", err)
	}
	if text, err := os.ReadFile(precious); err != nil || string(text) != "precious" {
		t.Errorf("the target of the link now reads %q (%v)", text, err)
	}
}

// Only the owner can read the lock and its folder.
func TestLockMode(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snatlab")
	take(t, dir)
	for path, want := range map[string]os.FileMode{dir: os.ModeDir | 0o700, filepath.Join(dir, "lock"): 0o600} {
		if info, err := os.Lstat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", path, info, err, want)
		}
	}
}
