package nattest

import (
	"path/filepath"
	"testing"

	"snatlab/harness/undo"
)

// NewJournal creates a journal of the run "run" in a folder of the test.
func NewJournal(t *testing.T, undoers undo.Undoers) (j *undo.Journal, path string) {
	t.Helper()
	dir := t.TempDir()
	j, err := undo.CreateJournal(dir, "run", undoers)
	if err != nil {
		t.Fatal(err)
	}
	return j, filepath.Join(dir, "run.journal")
}

// CloseJournal undoes what is left in the journal.
func CloseJournal(t *testing.T, j *undo.Journal) {
	t.Helper()
	if err := j.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
