package undo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// journalOf writes the journal of a run that ended without undoing names, and
// returns its path.
func journalOf(t *testing.T, dir, run string, keep bool, names ...string) string {
	t.Helper()
	j, err := CreateJournal(dir, run, nil)
	if err != nil {
		t.Fatal(err)
	}
	(&host{}).put(t, j, names...)
	end := j.Leave
	if keep {
		end = j.Keep
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	return j.path
}

// output is what a replay reports.
type output struct{ notes, announced []string }

func (o *output) replay(dir string, h *host) Replay {
	return Replay{Dir: dir, Undoers: h.undoers(),
		Notify:   func(text string) { o.notes = append(o.notes, text) },
		Announce: func(s Step) { o.announced = append(o.announced, s.What) },
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	t.Run("oldest run first, and newest step first", func(t *testing.T) {
		dir, h, o := t.TempDir(), &host{}, output{}
		journalOf(t, dir, "2", false, "c")
		journalOf(t, dir, "1", false, "a", "b")
		if err := o.replay(dir, h).Run(t.Context()); err != nil {
			t.Error(err)
		}
		same(t, "undone", h.undone, []string{"b", "a", "c"})
		same(t, "announced", o.announced, []string{"the name b", "the name a", "the name c"})
	})
	t.Run("a kept lab stays", func(t *testing.T) {
		dir, h, o := t.TempDir(), &host{}, output{}
		path := journalOf(t, dir, "1", true, "a")
		if err := o.replay(dir, h).Run(t.Context()); err != nil || h.undone != nil || gone(path) == nil {
			t.Errorf("error %v, undone %v", err, h.undone)
		}
		r := o.replay(dir, h)
		r.Kept = true
		if err := r.Run(t.Context()); err != nil || gone(path) != nil {
			t.Errorf("error %v, %v", err, gone(path))
		}
		same(t, "undone", h.undone, []string{"a"})
	})
	t.Run("a dry run changes nothing", func(t *testing.T) {
		dir, h, o := t.TempDir(), &host{}, output{}
		path := journalOf(t, dir, "1", false, "a")
		r := o.replay(dir, h)
		r.DryRun = true
		if err := r.Run(t.Context()); err != nil || h.undone != nil || gone(path) == nil {
			t.Errorf("error %v, undone %v", err, h.undone)
		}
		same(t, "announced", o.announced, []string{"the name a"})
	})
	t.Run("a failing journal does not stop the others", func(t *testing.T) {
		dir, h, o := t.TempDir(), &host{refuses: map[string]int{"a": 2}}, output{}
		path := journalOf(t, dir, "1", false, "a")
		journalOf(t, dir, "2", false, "b")
		if err := o.replay(dir, h).Run(t.Context()); !errors.As(err, new(*LeftError)) || gone(path) == nil {
			t.Errorf("error %v", err)
		}
		same(t, "undone", h.undone, []string{"b"})
	})
	t.Run("the caller passes over what is left", func(t *testing.T) {
		dir, h, o := t.TempDir(), &host{refuses: map[string]int{"a": 2}}, output{}
		path := journalOf(t, dir, "1", false, "a")
		r := o.replay(dir, h)
		r.PassOver = func(_ context.Context, e *LeftError) bool { return len(e.Left) == 1 }
		if err := r.Run(t.Context()); err != nil || gone(path) == nil {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a journal of another boot is discarded", func(t *testing.T) {
		dir, h, o := t.TempDir(), &host{}, output{}
		path := filepath.Join(dir, "1.journal")
		text := strings.Replace(header1("1"), `"pid":1`, `"pid":1,"boot":"another"`, 1) + change("a", "m")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := o.replay(dir, h).Run(t.Context()); err != nil || h.undone != nil || gone(path) != nil || len(o.notes) != 1 {
			t.Errorf("error %v, undone %v, notes %q, %v", err, h.undone, o.notes, gone(path))
		}
	})
}

func TestReplayOfActiveRun(t *testing.T) {
	t.Parallel()
	dir, h, o := t.TempDir(), &host{}, output{}
	active, err := CreateJournal(dir, "1", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer active.Leave()
	(&host{}).put(t, active, "a")
	r := o.replay(dir, h)
	if err := r.Run(t.Context()); err != nil || h.undone != nil {
		t.Errorf("before a run: error %v, undone %v", err, h.undone)
	}
	r.Kept = true
	if err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), active.path) || h.undone != nil {
		t.Errorf("cleanup: error %v, undone %v", err, h.undone)
	}
	r.Active = true
	if err := r.Run(t.Context()); err != nil || gone(active.path) == nil || len(o.notes) != 1 {
		t.Errorf("forced cleanup: error %v, notes %q", err, o.notes)
	}
	same(t, "undone", h.undone, []string{"a"})
}

func TestCleanup(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, h *host, dryRun bool, leftovers ...string) (announced []string, found bool, err error) {
		dir, o := t.TempDir(), output{}
		journalOf(t, dir, "1", true, "a")
		c := Cleanup{Replay: o.replay(dir, h), Leftovers: func(context.Context) (steps []Step, _ error) {
			for _, name := range leftovers {
				steps = append(steps, step(name))
			}
			return steps, nil
		}}
		c.Kept, c.DryRun = true, dryRun
		found, err = c.Run(t.Context())
		return o.announced, found, err
	}
	t.Run("a leftover that is in a journal is announced once", func(t *testing.T) {
		h := &host{}
		announced, found, err := run(t, h, false, "a", "b")
		if err != nil || !found {
			t.Errorf("error %v, found %v", err, found)
		}
		same(t, "announced", announced, []string{"the name a", "the name b"})
		same(t, "undone", h.undone, []string{"a", "a", "b"})
	})
	t.Run("a step that failed is not tried again", func(t *testing.T) {
		h := &host{refuses: map[string]int{"a": 2}}
		if _, _, err := run(t, h, false, "a", "b"); !errors.As(err, new(*LeftError)) {
			t.Errorf("error %v", err)
		}
		same(t, "undone", h.undone, []string{"b"})
	})
	t.Run("a dry run undoes no leftover", func(t *testing.T) {
		h := &host{}
		announced, _, err := run(t, h, true, "b")
		if err != nil {
			t.Error(err)
		}
		same(t, "announced", announced, []string{"the name a", "the name b"})
		same(t, "undone", h.undone, nil)
	})
	t.Run("a clean host", func(t *testing.T) {
		c := Cleanup{Replay: (&output{}).replay(t.TempDir(), &host{}),
			Leftovers: func(context.Context) ([]Step, error) { return nil, nil }}
		if found, err := c.Run(t.Context()); found || err != nil {
			t.Errorf("found %v, error %v", found, err)
		}
	})
}
