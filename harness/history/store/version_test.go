package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snatlab/harness/history/historytest"
)

// A store names its layout, and is opened again.
func TestVersion(t *testing.T) {
	t.Parallel()
	s := newStore(t, historytest.RunSpec{}.MakeResult())
	text, err := os.ReadFile(filepath.Join(s.Dir(), versionName))
	if err != nil || string(text) != `{"schema":"snatlab.store/v1"}`+"\n" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := Open(s.Dir()); err != nil {
		t.Error(err)
	}
	checkError(t, os.Remove(filepath.Join(s.Dir(), versionName)))
	if _, err := Open(s.Dir()); err != nil {
		t.Errorf("of a version that wrote no such file: %v", err)
	}
}

// A store of another version is neither read nor written.
func TestOtherVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"schema": "snatlab.store/v2", "more": 1}`: "it is of another version of snatlab (snatlab.store/v2; this snatlab reads snatlab.store/v1); nothing was written to it (use that version, or name another folder with --store)",
		`{"schema": "\u001b[2J"}`:                   "it is of another version of snatlab (?[2J; this snatlab reads ",
		`{}`:                                        "it is of another version of snatlab (; this snatlab reads ",
		"":                                          "read its .store.json: unexpected end of JSON input",
	} {
		dir := t.TempDir()
		writeText(t, filepath.Join(dir, versionName), text)
		_, err := Open(dir)
		if err == nil || !strings.HasPrefix(err.Error(), "store of results "+dir+": "+want) {
			t.Errorf("%s: got %v\nwant %s", text, err, want)
		}
		if entries, err := os.ReadDir(dir); len(entries) != 1 || err != nil {
			t.Errorf("%v, %v", entries, err)
		}
	}
}
