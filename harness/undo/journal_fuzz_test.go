package undo

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Any bytes are either refused and left unchanged, or all steps that they announce
// can be undone once, and then the file is gone.
func FuzzOpenJournal(f *testing.F) {
	const header = `{"header":{"version":1,"run":"x","pid":1,"started":"2026-01-02T03:04:05Z"}}` + "\n"
	const do = `{"do":{"number":0,"step":{"kind":"name","what":"w","manual":"m","args":"a"}}}` + "\n"
	for _, seed := range []string{
		"", "\n", header, header[:20], do, header + do, header + do + `{"undone":0}` + "\n", header + do + do + `{"undone":7}` + "\n",
		header + do[:30], header + "garbage\n" + do, header + `{"do":{}}` + "\n", header + header, header + "{}\n",
		header + `{"do":{"number":9223372036854775807,"step":{}}}` + "\n" + do, header + `{"do":{"number":-1,"step":{"args":null}}}` + "\n",
		header + strings.Repeat(do, 100), "\xff\xfe" + header, header + "\x00\x00\x00\n",
	} {
		f.Add([]byte(seed))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, run+journalSuffix)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		how := Undoers{}
		j, err := OpenJournal(path, how)
		if err != nil {
			if left, _ := os.ReadFile(path); !bytes.Equal(left, data) {
				t.Errorf("refused with %v, and changed to %q", err, left)
			}
			return
		}
		undone := 0
		for _, s := range j.Steps() {
			how[s.Kind] = func(context.Context, json.RawMessage) error { undone++; return nil }
		}
		announced := map[int]bool{}
		for _, e := range j.open {
			announced[e.number] = true
		}
		if err := j.Close(t.Context()); err != nil || gone(path) != nil {
			t.Fatalf("close: %v, %v", err, gone(path))
		}
		if undone != len(announced) || len(j.Steps()) > 0 {
			t.Errorf("%d steps, %d undone, %d left", len(announced), undone, len(j.Steps()))
		}
	})
}
