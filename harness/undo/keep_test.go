package undo

import (
	"os"
	"testing"
)

func TestWhatWasKeptIsLeftUntilItIsCleanedUp(t *testing.T) {
	h := &host{}
	j := create(t, h.undoers())
	h.put(t, j, "network", "container")
	if j.IsKept() {
		t.Error("kept before anybody said so")
	}
	if !IsActive(j.path) {
		t.Error("this process is at work with it")
	}
	if err := j.Keep(); err != nil {
		t.Fatal(err)
	}
	same(t, "undone", h.undone, nil)

	if IsActive(j.path) {
		t.Error("nobody is at work with it")
	}
	later := reopen(t, j.path, h.undoers())
	if !later.IsKept() {
		t.Error("the next process takes it for what a crash left")
	}
	same(t, "will be undone", steps(later), []string{"the name container", "the name network"})
	closeJournal(t, later)
	same(t, "left on the host", h.stands, nil)
	if _, err := os.Stat(j.path); err == nil {
		t.Error("the journal is left")
	}
}

func TestAJournalInMemoryUndoesAndWritesNothing(t *testing.T) {
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
