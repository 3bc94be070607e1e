package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snatlab/harness/history/store"
	"snatlab/harness/result"
)

// A run by an ordinary user is kept in a store of the user's own, whole, with its label.
func TestRunIsKept(t *testing.T) {
	needNamespaces(t)
	p := startAsUser(t, "driver: netns"+once, "--force", "--label", "before-upgrade")
	if code := p.wait(t); code != exitInconclusive && code != exitPass {
		t.Fatalf("exit code %d\n%s", code, p.said(t))
	}
	s, err := store.Open(filepath.Join(filepath.Dir(p.out), ".local/state/snatlab"))
	must(t, err)
	runs := testStore{s}.listRuns(t)
	if len(runs) != 1 || runs[0].Label != "before-upgrade" || runs[0].Command != result.CommandRun || !runs[0].Key.Rootless {
		t.Fatalf("%+v\n%s", runs, p.said(t))
	}
	if r, err := s.Read(runs[0]); err != nil || r.ID != p.result(t).ID || !strings.Contains(r.Scenario.Text, "\nname: once\n") && !strings.HasPrefix(r.Scenario.Text, "name: once\n") {
		t.Errorf("%+v, %v", r, err)
	}
}

// A run is not lost, and its exit code is the same, if it is not to be kept, or cannot be:
// that is a warning.
func TestRunIsNotKept(t *testing.T) {
	needNamespaces(t)
	roots, newer := t.TempDir(), t.TempDir()
	must(t, os.Chmod(filepath.Dir(roots), 0o755))
	must(t, os.Chmod(filepath.Dir(newer), 0o755))
	must(t, os.WriteFile(filepath.Join(newer, ".store.json"), []byte(`{"schema": "snatlab.store/v2"}`), 0o644))
	for name, c := range map[string]struct {
		args    []string
		warning string // empty: none
	}{
		"no store":                   {[]string{"--no-store"}, ""},
		"the folder of another user": {[]string{"--store", roots}, ": permission denied (run as the owner of the folder, or name another folder with --store)\n"},
		"a store of a newer version": {[]string{"--store", newer}, "it is of another version of snatlab (snatlab.store/v2; this snatlab reads snatlab.store/v1); nothing was written to it"},
	} {
		t.Run(name, func(t *testing.T) {
			p := startAsUser(t, "driver: netns"+once, append(c.args, "--force")...)
			if code := p.wait(t); code != exitInconclusive && code != exitPass {
				t.Errorf("exit code %d\n%s", code, p.said(t))
			}
			if r := p.result(t); countTrials(r) != 1 {
				t.Errorf("%d trials in the folder", countTrials(r))
			}
			said := p.said(t)
			if warned := strings.Contains(said, "snatlab: warning: the run is not kept in the store: "); warned != (c.warning != "") || !strings.Contains(said, c.warning) {
				t.Errorf("said %s", said)
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(p.out), ".local")); err == nil {
				t.Error("it is kept elsewhere")
			}
		})
	}
	if entries, err := os.ReadDir(newer); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}
