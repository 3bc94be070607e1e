package undo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stranger is another user.
const stranger = 4242

// fault is a way in which another user can have changed a path.
type fault struct {
	name string
	root bool // only root can make it
	make func(path string) error
	want string // the error after the path
}

var folderFaults = []fault{
	{"of another owner", true, func(path string) error { return os.Chown(path, stranger, stranger) },
		fmt.Sprintf("belongs to user %d, and snatlab runs as user %d (run snatlab as user %[1]d, whose journals are there; or, if that user has no runs, remove it: rm -r PATH)", stranger, os.Geteuid())},
	{"of mode 1777", false, func(path string) error { return os.Chmod(path, os.ModeSticky|0o777) },
		"can be written to by other users (mode 1777) (remove from it what you do not recognise, then: chmod 0700 PATH)"},
	{"of mode 0770", false, func(path string) error { return os.Chmod(path, 0o770) },
		"can be written to by other users (mode 0770) (remove from it what you do not recognise, then: chmod 0700 PATH)"},
	{"behind a link", false, func(path string) error {
		return errors.Join(os.Rename(path, path+"-real"), os.Symlink(path+"-real", path))
	}, "is a symbolic link; journals must be in a folder (check who made it, and remove it: ls -ld PATH)"},
	{"that is a file", false, func(path string) error { return errors.Join(os.RemoveAll(path), os.WriteFile(path, nil, 0o600)) },
		"is not a folder (check who made it, and remove it: ls -ld PATH)"},
}

const fileAdvice = ` (snatlab leaves no file like that, so it is not used; check who made it, and remove it: rm "PATH")`

var fileFaults = []fault{
	{"of another owner", true, func(path string) error { return os.Chown(path, stranger, stranger) },
		fmt.Sprintf("belongs to user %d, and snatlab runs as user %d", stranger, os.Geteuid())},
	{"that others can write", false, func(path string) error { return os.Chmod(path, 0o622) }, "can be written to by other users (mode 0622)"},
	{"with two names", false, func(path string) error { return os.Link(path, path+"-too") }, "has 2 names (hard links)"},
	{"behind a link", false, func(path string) error {
		return errors.Join(os.Rename(path, path+"-real"), os.Symlink(path+"-real", path))
	}, "is a symbolic link"},
	{"that is a pipe", false, func(path string) error { return errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600)) }, "is not a regular file"},
	{"that is a socket", false, func(path string) error {
		return errors.Join(os.Remove(path), unix.Mknod(path, unix.S_IFSOCK|0o600, 0))
	}, "is not a regular file"},
	{"that is a device", true, func(path string) error {
		return errors.Join(os.Remove(path), unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))))
	}, "is not a regular file"},
	{"that is a folder", false, func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, "is not a regular file"},
	{"of 3 GiB", false, func(path string) error { return os.Truncate(path, 3<<30) }, "is larger than 1,024 MiB"},
}

// put makes the fault at a path that only this user has changed so far.
func (f fault) put(t *testing.T, path string) {
	t.Helper()
	if f.root && os.Geteuid() != 0 {
		missing(t, "root, to make files of others")
	}
	if err := f.make(path); err != nil {
		t.Fatal(err)
	}
}

// refuses checks that an error names a path, its fault, and the advice.
func (f fault) refuses(t *testing.T, what string, err error, path, advice string) {
	t.Helper()
	untrusted := &UntrustedError{}
	if !errors.As(err, &untrusted) || untrusted.Path != path {
		t.Errorf("%s: error %v, want that %s is not trusted", what, err, path)
		return
	}
	if want := fmt.Sprintf("%q %s", path, strings.ReplaceAll(f.want+advice, "PATH", path)); untrusted.Error() != want {
		t.Errorf("%s: error\n%v, want\n%s", what, untrusted, want)
	}
}

// soon checks that do ends: a pipe could block it.
func soon(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: does not end", what)
	}
}

// forged returns a journal that another user wants to be executed.
func forged(t *testing.T) (path string, how Undoers) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "snatlab")
	h := &host{}
	j, err := CreateJournal(dir, run, h.undoers())
	if err != nil {
		t.Fatal(err)
	}
	h.put(t, j, "precious")
	if err := j.Leave(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if h.undone != nil {
			t.Errorf("%v was undone", h.undone)
		}
	})
	return j.path, h.undoers()
}

func TestUntrustedFolder(t *testing.T) {
	t.Parallel()
	for _, f := range folderFaults {
		t.Run(f.name, func(t *testing.T) {
			path, how := forged(t)
			dir := filepath.Dir(path)
			f.put(t, dir)
			for what, use := range map[string]func() error{
				"Open":        func() error { _, err := OpenJournal(path, how); return err },
				"Read":        func() error { _, err := ReadJournal(path, how); return err },
				"Find":        func() error { _, err := FindJournals(dir); return err },
				"Create":      func() error { _, err := CreateJournal(dir, "20270101-000000-000000", how); return err },
				"TakeLock":    func() error { _, err := TakeLock(dir, "run"); return err },
				"CheckFolder": func() error { return CheckFolder(dir) },
			} {
				f.refuses(t, what, use(), dir, "")
			}
			if IsActive(path) || DescribeOwner(path) != "a run" {
				t.Errorf("alive: %v, owner: %s", IsActive(path), DescribeOwner(path))
			}
		})
	}
}

func TestUntrustedJournal(t *testing.T) {
	t.Parallel()
	for _, f := range fileFaults {
		t.Run(f.name, func(t *testing.T) {
			path, how := forged(t)
			f.put(t, path)
			soon(t, "use it", func() {
				_, err := OpenJournal(path, how)
				f.refuses(t, "Open", err, path, fileAdvice)
				_, err = ReadJournal(path, how)
				f.refuses(t, "Read", err, path, fileAdvice)
				if IsActive(path) || DescribeOwner(path) != "a run" {
					t.Errorf("alive: %v, owner: %s", IsActive(path), DescribeOwner(path))
				}
			})
		})
	}
	t.Run("with a name that controls the terminal", func(t *testing.T) {
		path, how := forged(t)
		strange := filepath.Join(filepath.Dir(path), "\x1b[2J\nundone.journal")
		if err := os.Rename(path, strange); err != nil {
			t.Fatal(err)
		}
		_, err := OpenJournal(strange, how)
		if err == nil || strings.ContainsAny(err.Error(), "\x1b\n") || !strings.Contains(err.Error(), "has a name that snatlab never uses") {
			t.Errorf("error %q", err)
		}
	})
}

func TestUntrustedLock(t *testing.T) {
	for _, f := range fileFaults {
		t.Run(f.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, lockFileName)
			if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
			f.put(t, path)
			soon(t, "take it", func() {
				_, err := TakeLock(dir, "run")
				f.refuses(t, "TakeLock", err, path, fileAdvice)
				_, err = TakeStoreLock(dir, "nightly")
				f.refuses(t, "TakeStoreLock", err, path, fileAdvice)
			})
		})
	}
	t.Run("of a store may be its owner's", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, lockFileName), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{dir, filepath.Join(dir, lockFileName)} {
			folderFaults[0].put(t, path)
		}
		lock, err := TakeStoreLock(dir, "nightly")
		if err != nil {
			t.Fatal(err)
		}
		if err := lock.Release(); err != nil {
			t.Error(err)
		}
	})
}

// A refused journal is reported with its path, and the journals beside it are
// read.
func TestFindUntrusted(t *testing.T) {
	t.Parallel()
	path, how := forged(t)
	dir := filepath.Dir(path)
	ours := filepath.Join(dir, "20270101-000000-000000.journal")
	j, err := CreateJournal(dir, "20270101-000000-000000", how)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.Leave(), os.Chmod(path, 0o666)); err != nil {
		t.Fatal(err)
	}
	found, err := FindJournals(dir)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "found", found, []string{path, ours})
	if _, err := OpenJournal(path, how); !errors.As(err, new(*UntrustedError)) {
		t.Errorf("error %v", err)
	}
	closeJournal(t, reopen(t, ours, how))
}
