package undo

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Steps are undone newest first.
func TestCloseOrder(t *testing.T) {
	t.Parallel()
	h := &host{}
	j := create(t, h.undoers())
	h.put(t, j, "network", "rule", "container")
	same(t, "will be undone", steps(j), []string{"the name container", "the name rule", "the name network"})
	closeJournal(t, j)
	same(t, "undone", h.undone, []string{"container", "rule", "network"})
	same(t, "left on the host", h.stands, nil)
}

// A step is on disk before its change is made.
func TestDoRecordsFirst(t *testing.T) {
	t.Parallel()
	h := &host{}
	j := create(t, h.undoers())
	h.put(t, j, "first")
	made := false
	_, err := j.Do(t.Context(), step("second"), func(context.Context) error {
		made = true
		left := reopen(t, j.path, nil).Steps()
		if d := cmp.Diff([]Step{step("second"), step("first")}, left); d != "" {
			t.Errorf("on disk while the change is made (-want +got):\n%s", d)
		}
		return nil
	})
	if err != nil || !made {
		t.Fatalf("change made: %v, %v", made, err)
	}
}

// A change that fails is undone.
func TestDoFails(t *testing.T) {
	t.Parallel()
	h := &host{}
	j := create(t, h.undoers())
	halfway := errors.New("halfway")
	_, err := j.Do(t.Context(), step("half"), func(context.Context) error {
		h.stands = append(h.stands, "half")
		return halfway
	})
	if err != halfway {
		t.Errorf("error %v, want that of the change", err)
	}
	same(t, "will be undone", steps(reopen(t, j.path, nil)), []string{"the name half"})
	closeJournal(t, j)
	same(t, "left on the host", h.stands, nil)
}

// A change that panics is undone.
func TestDoPanics(t *testing.T) {
	t.Parallel()
	h := &host{}
	j := create(t, h.undoers())
	func() {
		defer func() { recover() }()
		_, _ = j.Do(t.Context(), step("half"), func(context.Context) error { panic("halfway") })
	}()
	closeJournal(t, j)
	same(t, "undone", h.undone, []string{"half"})
}

// A step is undone once.
func TestUndoOnce(t *testing.T) {
	t.Parallel()
	h := &host{}
	j := create(t, h.undoers())
	entries := h.put(t, j, "a", "b", "c")
	for range 2 {
		if err := j.Undo(t.Context(), entries[1]); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "undone", h.undone, []string{"b"})
	same(t, "on disk", steps(reopen(t, j.path, nil)), []string{"the name c", "the name a"})
	closeJournal(t, j)
	same(t, "undone", h.undone, []string{"b", "c", "a"})
	closeJournal(t, j)
	same(t, "undone by closing again", h.undone, []string{"b", "c", "a"})
}

// A change that is made again is undone again.
func TestDoAgain(t *testing.T) {
	t.Parallel()
	h := &host{}
	j := create(t, h.undoers())
	for range 3 { // an arm, round by round
		if err := j.Undo(t.Context(), h.put(t, j, "rule")[0]); err != nil {
			t.Fatal(err)
		}
	}
	h.put(t, j, "rule")
	again := reopen(t, j.path, h.undoers())
	same(t, "on disk", steps(again), []string{"the name rule"})
	closeJournal(t, again)
	same(t, "left on the host", h.stands, nil)
}

// A reopened journal accepts new steps.
func TestDoAfterReopen(t *testing.T) {
	t.Parallel()
	h := &host{}
	first := create(t, h.undoers())
	entries := h.put(t, first, "a", "b")
	if err := first.Undo(t.Context(), entries[1]); err != nil {
		t.Fatal(err)
	}
	second := reopen(t, first.path, h.undoers())
	h.put(t, second, "c")
	same(t, "on disk", steps(reopen(t, first.path, nil)), []string{"the name c", "the name a"})
}

// A step whose undoing fails once is tried again.
func TestCloseRetries(t *testing.T) {
	t.Parallel()
	h := &host{refuses: map[string]int{"b": 1}}
	j := create(t, h.undoers())
	h.put(t, j, "a", "b", "c")
	closeJournal(t, j)
	same(t, "undone", h.undone, []string{"c", "b", "a"})
}

// The error of Undo names the step.
func TestUndoError(t *testing.T) {
	t.Parallel()
	h := &host{refuses: map[string]int{"a": 1}}
	j := create(t, h.undoers())
	e := h.put(t, j, "a")[0]
	if err := j.Undo(t.Context(), e); err == nil || err.Error() != "undo the name a: a is busy" {
		t.Errorf("error %v", err)
	}
	same(t, "still to be undone", steps(j), []string{"the name a"})
}

// A change is not made if its step cannot be recorded.
func TestDoAfterClose(t *testing.T) {
	t.Parallel()
	h := &host{}
	j := create(t, h.undoers())
	closeJournal(t, j)
	_, err := j.Do(t.Context(), step("late"), func(context.Context) error {
		t.Error("the change was made")
		return nil
	})
	if !errors.Is(err, fs.ErrClosed) {
		t.Errorf("error %v", err)
	}
	same(t, "will be undone", steps(j), nil)
}

// Undoers run in the context of Close.
func TestCloseContext(t *testing.T) {
	t.Parallel()
	h := &host{}
	j := create(t, h.undoers())
	h.put(t, j, "a")
	hurry := errors.New("second signal")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(hurry)
	if err := j.Close(ctx); !errors.Is(err, hurry) {
		t.Errorf("error %v, want %v", err, hurry)
	}
	closeJournal(t, j)
}

// Only the owner can read a journal and its folder.
func TestJournalMode(t *testing.T) {
	t.Parallel()
	j := create(t, nil)
	for path, want := range map[string]fs.FileMode{j.path: 0o600, filepath.Dir(j.path): fs.ModeDir | 0o700} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
	}
}

// CreateJournal replaces no file.
func TestCreateExisting(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(path string) error{
		"a file":           func(path string) error { return os.WriteFile(path, []byte("precious"), 0o600) },
		"a symlink":        func(path string) error { return os.Symlink(filepath.Join(filepath.Dir(path), "precious"), path) },
		"a dangling link":  func(path string) error { return os.Symlink("nowhere", path) },
		"another journal":  func(path string) error { _, err := CreateJournal(filepath.Dir(path), run, nil); return err },
		"a folder of that": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "precious"), []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, run+".journal")
			if err := put(path); err != nil {
				t.Fatal(err)
			}
			before := contents(t, dir)
			if _, err := CreateJournal(dir, run, nil); !errors.Is(err, fs.ErrExist) {
				t.Errorf("error %v, want that it exists", err)
			}
			if d := cmp.Diff(before, contents(t, dir)); d != "" {
				t.Errorf("changed:\n%s", d)
			}
		})
	}
}

// contents maps the files of a folder to their text or target.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		text, _ := os.ReadFile(path)
		target, _ := os.Readlink(path)
		all[e.Name()] = e.Type().String() + target + string(text)
	}
	return all
}

// FindJournals lists the oldest run first.
func TestFindOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ids := []string{"20251231-235959-ffffff", "20260101-000000-000000", "20260101-000000-0000ab", "20260201-000000-000000"}
	for _, i := range []int{2, 0, 3, 1} {
		if _, err := CreateJournal(dir, ids[i], nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := TakeLock(dir, "find"); err != nil { // its file is no journal
		t.Fatal(err)
	}
	var expected []string
	for _, id := range ids {
		expected = append(expected, filepath.Join(dir, id+".journal"))
	}
	found, err := FindJournals(dir)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "found", found, expected)
}

// FindJournals finds nothing if there is no folder.
func TestFindNoFolder(t *testing.T) {
	t.Parallel()
	found, err := FindJournals(filepath.Join(t.TempDir(), "snatlab"))
	if err != nil || found != nil {
		t.Errorf("%v, %v", found, err)
	}
}
