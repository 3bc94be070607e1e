package undo

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// written returns the lines of a journal in which b is undone and a and c are not.
func written(t *testing.T) []string {
	t.Helper()
	h := &host{}
	j := create(t, h.undoers())
	entries := h.put(t, j, "a", "b")
	if err := j.Undo(t.Context(), entries[1]); err != nil {
		t.Fatal(err)
	}
	h.put(t, j, "c")
	text, err := os.ReadFile(j.path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
}

// leave writes a journal that a process may have left when it died.
func leave(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), run+".journal")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A crash at any byte leaves a journal whose complete records are undone.
func TestOpenAfterCrash(t *testing.T) {
	t.Parallel()
	text := strings.Join(written(t), "") + "\n"
	wholes := [][]string{nil, nil, {"a"}, {"b", "a"}, {"a"}, {"c", "a"}} // to be undone, after n whole lines
	for length := range len(text) + 1 {
		prefix := text[:length]
		h := &host{} // no name stands: the crash came before the change
		j := reopen(t, leave(t, prefix), h.undoers())
		left, err := os.ReadFile(j.path)
		if err != nil {
			t.Fatal(err)
		}
		if whole := prefix[:strings.LastIndexByte(prefix, '\n')+1]; string(left) != whole {
			t.Errorf("cut at byte %d: file now reads %q, want %q", length, left, whole)
		}
		closeJournal(t, j)
		same(t, "undone", h.undone, wholes[strings.Count(prefix, "\n")])
	}
}

// A record that follows a torn one can be read.
func TestDoAfterTornRecord(t *testing.T) {
	t.Parallel()
	lines := written(t)
	lines[4] = lines[4][:20] // c was never made
	h := &host{refuses: map[string]int{"a": 2}}
	j := reopen(t, leave(t, strings.Join(lines, "")), h.undoers())
	if err := j.Close(t.Context()); err == nil {
		t.Fatal("closed")
	}
	h.put(t, j, "d")
	again := reopen(t, j.path, h.undoers())
	same(t, "on disk", steps(again), []string{"the name d", "the name a"})
	closeJournal(t, again)
}

// After a crash between an undoing and its record, the step is undone again.
func TestUnrecordedUndo(t *testing.T) {
	t.Parallel()
	h := &host{}
	j := create(t, h.undoers())
	h.put(t, j, "a", "b")
	if err := h.undo(t.Context(), "b"); err != nil { // and no record of it
		t.Fatal(err)
	}
	closeJournal(t, reopen(t, j.path, h.undoers()))
	same(t, "undone", h.undone, []string{"b", "b", "a"})
	same(t, "left on the host", h.stands, nil)
}

// An unreadable record is named in the error, and nothing is undone.
func TestOpenBadRecord(t *testing.T) {
	t.Parallel()
	for bad, why := range map[string]string{
		`{"do":{"number":1,"st{"undone":1}`: "invalid character",
		"":                                  "unexpected end of JSON input",
		"\x00\x00\x00\x00":                  "invalid character",
		`{"do":"b"}`:                        "cannot unmarshal",
		`{"undone":"b"}`:                    "cannot unmarshal",
		`{}`:                                "neither a change nor an undoing",
		`null`:                              "neither a change nor an undoing",
		`{"redone":1}`:                      "neither a change nor an undoing",
	} {
		t.Run(bad, func(t *testing.T) {
			lines := written(t)
			lines[2] = bad + "\n"
			path := leave(t, strings.Join(lines, "")+"\n")
			_, err := OpenJournal(path, nil)
			if err == nil {
				t.Fatal("read")
			}
			if begin := "read journal " + path + ": record 3: "; !strings.HasPrefix(err.Error(), begin) || !strings.Contains(err.Error(), why) {
				t.Errorf("error %v, want %s... %s", err, begin, why)
			}
			if left, err := os.ReadFile(path); err != nil || string(left) != strings.Join(lines, "")+"\n" {
				t.Errorf("the file was changed to %q (%v)", left, err)
			}
		})
	}
}

// A file that is not a journal of this version is refused.
func TestOpenOtherVersion(t *testing.T) {
	t.Parallel()
	for _, header := range []string{
		`{"header":{"version":2,"run":"x","pid":1,"started":"2026-01-02T03:04:05Z"}}`,
		`{"do":{"number":0,"step":{"kind":"name","what":"w","manual":"m","args":"a"}}}`,
		`{}`,
	} {
		path := leave(t, header+"\n")
		_, err := OpenJournal(path, nil)
		if want := "read journal " + path + ": not a journal of version 1"; err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", header, err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "none.journal")
	if _, err := OpenJournal(path, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// A record may be as long as the longest text of a step requires.
func TestLongRecord(t *testing.T) {
	t.Parallel()
	h := &host{}
	j := create(t, h.undoers())
	long := strings.Repeat("x", maxTextBytes-100)
	h.put(t, j, long)
	closeJournal(t, reopen(t, j.path, h.undoers()))
	same(t, "left on the host", h.stands, nil)
}

// OpenJournal does not follow a symbolic link.
func TestOpenSymlink(t *testing.T) {
	t.Parallel()
	target := leave(t, strings.Join(written(t), "")+"and a torn record")
	before, err := os.ReadFile(target)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), run+".journal")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJournal(link, nil); err == nil {
		t.Error("opened")
	}
	if after, err := os.ReadFile(target); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the target was changed to %q (%v)", after, err)
	}
}
