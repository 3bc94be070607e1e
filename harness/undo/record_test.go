package undo

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func header1(run string) string {
	return `{"header":{"version":1,"run":"` + run + `","pid":1,"started":"2026-01-02T03:04:05Z"}}` + "\n"
}

func change(what, manual string) string {
	text, _ := json.Marshal(journalRecord{Do: &changeRecord{Step: NewStep("name", what, manual, "a")}})
	return string(text) + "\n"
}

func TestRecordBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"run's id leads out of the folder", header1("../../etc"), `not a journal: its run is "../../etc", which is no run's id`},
		{"run's id controls the terminal", header1(`\u001b[2J`), `not a journal: its run is "\x1b[2J", which is no run's id`},
		{"two headers", header1("x") + header1("x"), "record 2: a second header"},
		{"two parts", header1("x") + `{"undone":1,"kept":true}` + "\n", "record 2: neither a change nor an undoing"},
		{"long record", header1("x") + `{"kept":` + strings.Repeat(" ", maxRecordBytes) + "true}\n", "record 2: longer than 2 MiB"},
		{"long kind", header1("x") + strings.Replace(change("w", "m"), `"name"`, `"`+strings.Repeat("k", maxKindBytes+1)+`"`, 1), "record 2: the kind of a step has 65 bytes; at most 64 are allowed"},
		{"long text", header1("x") + change(strings.Repeat("w", maxTextBytes+1), "m"), "record 2: the what of a step has 65,537 bytes; at most 65,536 are allowed"},
		{"long command", header1("x") + change("w", strings.Repeat("m", maxTextBytes+1)), "record 2: the manual of a step has 65,537 bytes; at most 65,536 are allowed"},
		{"many changes", header1("x") + strings.Repeat(change("w", "m"), maxOpen+1), "record 10002: more than 10,000 changes that are not undone, which no run makes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := leave(t, c.text)
			_, err := OpenJournal(path, nil)
			if want := "read journal " + path + ": " + c.want; err == nil || err.Error() != want {
				t.Errorf("error\n%v, want\n%s", err, want)
			}
			if left, err := os.ReadFile(path); err != nil || string(left) != c.text {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
	t.Run("a file of zeros ends early", func(t *testing.T) {
		path := leave(t, "")
		if err := os.Truncate(path, maxSize); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if _, err := OpenJournal(path, nil); err == nil || !strings.HasSuffix(err.Error(), "record 1: longer than 2 MiB") {
			t.Errorf("error %v after %v", err, time.Since(begun))
		}
	})
	t.Run("a step that could not be read again is not begun", func(t *testing.T) {
		j := create(t, nil)
		_, err := j.Do(t.Context(), step(strings.Repeat("x", maxTextBytes)), func(context.Context) error {
			t.Error("the change was made")
			return nil
		})
		if err == nil || !strings.HasPrefix(err.Error(), "write journal: the what of a step has ") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a journal that is full takes no change", func(t *testing.T) {
		j := create(t, nil)
		if err := j.file.Truncate(maxSize - 10); err != nil {
			t.Fatal(err)
		}
		_, err := j.Do(t.Context(), step("x"), func(context.Context) error {
			t.Error("the change was made")
			return nil
		})
		if want := "write journal: " + j.path + " is full (1024 MiB); nothing more is changed"; err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	})
}

// hostile controls a terminal, and looks like another line of the output.
const hostile = "w\x1b[2J\u202e\nundone"

// Text from a file is printable.
func TestForeignText(t *testing.T) {
	t.Parallel()
	printable := func(t *testing.T, text string) {
		t.Helper()
		if strings.ContainsAny(text, "\x1b\u202e") || strings.Contains(text, "\nundone") {
			t.Errorf("printed: %q", text)
		}
	}
	t.Run("steps of a journal", func(t *testing.T) {
		for _, s := range reopen(t, leave(t, header1("x")+change(hostile, hostile)), nil).Steps() {
			printable(t, s.What+s.Manual)
		}
	})
	t.Run("what is left", func(t *testing.T) {
		left := &LeftError{Left: []Left{{Step: Step{What: hostile, Manual: hostile}, Err: errors.New(hostile)}}}
		printable(t, left.Error())
	})
	t.Run("kind", func(t *testing.T) {
		printable(t, Undoers{}.undoStep(t.Context(), Step{Kind: hostile}).Error())
	})
	t.Run("holder of the lock", func(t *testing.T) {
		printable(t, (&LockedError{Holder{PID: 1, Since: time.Now(), What: hostile}}).Error())
	})
	t.Run("owner of a journal", func(t *testing.T) {
		path := leave(t, header1(`\u001b[2J`))
		if got := DescribeOwner(path); got != "a run" {
			t.Errorf("owner %q", got)
		}
	})
}

// Unknown fields of arguments are refused.
func TestStrictArguments(t *testing.T) {
	t.Parallel()
	type path struct {
		Path string `json:"path"`
	}
	undone := false
	undo := NewUndoer(func(context.Context, path) error { undone = true; return nil })
	for _, args := range []string{`{"path":"a","also":"b"}`, `{"path":"a"} {"path":"b"}`, `{"path":"a"}]`} {
		if err := undo(t.Context(), json.RawMessage(args)); err == nil || undone {
			t.Errorf("%s was accepted", args)
		}
	}
	if err := undo(t.Context(), json.RawMessage(`{"path":"a"}`)); err != nil || !undone {
		t.Errorf("error %v", err)
	}
}
