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

// lockDir makes this program another snatlab: one that takes the lock there,
// says so, and holds it until its standard input ends.
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

// holdElsewhere starts a process that holds the lock.
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
		t.Fatalf("the other process says %q, %v", line, err)
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

// refused gives the error of a second taker.
func refused(t *testing.T, dir string) *LockedError {
	t.Helper()
	l, err := TakeLock(dir, "run of another")
	locked, ok := errors.AsType[*LockedError](err)
	if !ok || l != nil {
		t.Fatalf("lock %v, error %T: %v", l, err, err)
	}
	return locked
}

func TestTheLockIsHeldAgainstOtherProcessesAndNamesItsHolder(t *testing.T) {
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

func TestTheLockIsFreeAfterItsHoldersDeath(t *testing.T) {
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

func TestTheLockIsFreeAfterItsRelease(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		if err := take(t, dir).Release(); err != nil {
			t.Fatal(err)
		}
	}
	take(t, dir)
	refused(t, dir)
}

// What a run starts, QEMU for one, must not hold the lock when the run is dead.
func TestChildrenDoNotInheritTheLock(t *testing.T) {
	dir := t.TempDir()
	l := take(t, dir)
	holdElsewhere(t, t.TempDir()) // a child that lives on
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	take(t, dir)
}

func TestTheHoldersLineReplacesALongerOne(t *testing.T) {
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

func TestTheTextSaysWhoHoldsTheLock(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 600, time.Local)
	for want, h := range map[string]Holder{
		"another snatlab is at work on this host: run of docker-masquerade, pid 4711, since 2026-01-02 03:04:05": {4711, since, "run of docker-masquerade"},
		"another snatlab is at work on this host: cleanup, pid 1, since 2026-01-02 03:04:05":                     {1, since.UTC(), "cleanup"},
		"another snatlab is at work on this host":                                                                {},
	} {
		if got := (&LockedError{h}).Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestALockFileThatSaysNothingUsefulIsStillALock(t *testing.T) {
	for _, text := range []string{
		"", "\x00\x00", "4711\n", "null", "[]", `{"pid": 47`, `{"pid": 4711, "what": 5}`, `{"pid": 4711}`, `{"pid": "4711"}`,
		`{"pid": 4711, "since": "yesterday", "what": "run"}`, `{"pid": 4711, "since": "2026-01-02T03:04:05Z"}`,
	} {
		dir := t.TempDir()
		take(t, dir)
		if err := os.WriteFile(filepath.Join(dir, "lock"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := refused(t, dir).Error(); got != "another snatlab is at work on this host" {
			t.Errorf("%q gives: %s", text, got)
		}
	}
}

func TestTheLockReplacesNothing(t *testing.T) {
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
		t.Errorf("what the link points to now reads %q (%v)", text, err)
	}
}

func TestTheLockIsForItsOwnersEyesOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snatlab")
	take(t, dir)
	for path, want := range map[string]os.FileMode{dir: os.ModeDir | 0o700, filepath.Join(dir, "lock"): 0o600} {
		if info, err := os.Lstat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", path, info, err, want)
		}
	}
}
