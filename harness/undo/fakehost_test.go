package undo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// run is the id of the runs in these tests.
const run = "20260102-030405-c0ffee"

// host is a fake of the host. Names stand on it until they are undone.
type host struct {
	stands  []string
	undone  []string       // in the order of the calls that succeeded
	refuses map[string]int // how often the undoing of a name fails
}

func (h *host) undoers() Undoers { return Undoers{"name": NewUndoer(h.undo)} }

func (h *host) undo(ctx context.Context, name string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if h.refuses[name] > 0 {
		h.refuses[name]--
		return fmt.Errorf("%s is busy", name)
	}
	h.undone = append(h.undone, name)
	h.stands = slices.DeleteFunc(h.stands, func(s string) bool { return s == name })
	return nil
}

// step returns the change that makes a name stand on the host.
func step(name string) Step { return NewStep("name", "the name "+name, "remove "+name, name) }

// put makes names stand on the host, each through the journal.
func (h *host) put(t *testing.T, j *Journal, names ...string) (entries []Entry) {
	t.Helper()
	for _, name := range names {
		e, err := j.Do(t.Context(), step(name), func(context.Context) error {
			h.stands = append(h.stands, name)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return entries
}

// create starts a journal in a new folder.
func create(t *testing.T, how Undoers) *Journal {
	t.Helper()
	j, err := CreateJournal(filepath.Join(t.TempDir(), "snatlab"), run, how)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.file.Close() })
	return j
}

// reopen opens a journal as a later process does.
func reopen(t *testing.T, path string, how Undoers) *Journal {
	t.Helper()
	j, err := OpenJournal(path, how)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.file.Close() })
	return j
}

// steps returns the steps that are not undone, in the order in which they will be.
func steps(j *Journal) []string {
	var names []string
	for _, s := range j.Steps() {
		names = append(names, s.What)
	}
	return names
}

func closeJournal(t *testing.T, j *Journal) {
	t.Helper()
	if err := j.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if gone(j.path) != nil {
		t.Error(gone(j.path))
	}
}

func gone(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is still there (%v)", path, err)
	}
	return nil
}

func same[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
