package undo

import (
	"os"
	"testing"
)

// The changes of a kept journal stay until they are cleaned up.
func TestKeep(t *testing.T) {
	t.Parallel()
	h := &host{}
	j := create(t, h.undoers())
	h.put(t, j, "network", "container")
	if j.IsKept() {
		t.Error("kept before Keep")
	}
	if !IsActive(j.path) {
		t.Error("not active, but this process has it open")
	}
	if err := j.Keep(); err != nil {
		t.Fatal(err)
	}
	same(t, "undone", h.undone, nil)

	if IsActive(j.path) {
		t.Error("active, but no process has it open")
	}
	later := reopen(t, j.path, h.undoers())
	if !later.IsKept() {
		t.Error("the next process finds a journal that was not kept")
	}
	same(t, "will be undone", steps(later), []string{"the name container", "the name network"})
	closeJournal(t, later)
	same(t, "left on the host", h.stands, nil)
	if _, err := os.Stat(j.path); err == nil {
		t.Error("the journal is left")
	}
}

// A journal in memory undoes its steps and writes no file.
func TestInMemory(t *testing.T) {
	t.Parallel()
	h := &host{}
	j := InMemory(h.undoers())
	h.put(t, j, "table", "rule")
	if err := j.Undo(t.Context(), j.open[1]); err != nil {
		t.Fatal(err)
	}
	same(t, "undone", h.undone, []string{"rule"})
	for range 2 {
		closeJournal(t, j)
		same(t, "undone", h.undone, []string{"rule", "table"})
	}
}
