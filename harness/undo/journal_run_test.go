package undo

import (
	"path/filepath"
	"testing"
)

func TestRunID(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, err := CreateJournal(dir, "20260102-030405-abcdef", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Leave(); err != nil {
		t.Fatal(err)
	}
	again, err := ReadJournal(filepath.Join(dir, "20260102-030405-abcdef.journal"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, j := range map[string]*Journal{"20260102-030405-abcdef": j, "": InMemory(nil)} {
		if got := j.RunID(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := again.RunID(); got != j.RunID() {
		t.Errorf("got %q, want %q", got, j.RunID())
	}
}
