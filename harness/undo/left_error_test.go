package undo

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"testing"
)

// Close undoes the other steps after one that fails.
func TestCloseContinues(t *testing.T) {
	t.Parallel()
	h := &host{refuses: map[string]int{"rule": 2, "network": 2}} // each is tried twice
	j := create(t, h.undoers())
	h.put(t, j, "image", "network", "rule", "container")

	err := j.Close(t.Context())
	if _, ok := errors.AsType[*LeftError](err); !ok {
		t.Fatalf("error %T: %v", err, err)
	}
	const text = "2 changes to this host could not be undone; `snatlab cleanup` tries again, or by hand:\n" +
		"  the name rule: undo the name rule: rule is busy\n" +
		"    remove rule\n" +
		"  the name network: undo the name network: network is busy\n" +
		"    remove network"
	if err.Error() != text {
		t.Errorf("text\n%s\nwant\n%s", err, text)
	}
	same(t, "undone", h.undone, []string{"container", "image"})
	same(t, "left on the host", h.stands, []string{"network", "rule"})
	same(t, "on disk", steps(reopen(t, j.path, nil)), []string{"the name rule", "the name network"})

	closeJournal(t, j) // the names are no longer busy
	same(t, "undone", h.undone, []string{"container", "image", "rule", "network"})
	same(t, "left on the host", h.stands, nil)
}

// Another process undoes the steps that are left.
func TestReopenAfterFailure(t *testing.T) {
	t.Parallel()
	h := &host{refuses: map[string]int{"b": 2}}
	j := create(t, h.undoers())
	h.put(t, j, "a", "b", "c")
	if err := j.Close(t.Context()); err == nil {
		t.Fatal("closed")
	}
	closeJournal(t, reopen(t, j.path, h.undoers()))
	same(t, "undone", h.undone, []string{"c", "a", "b"})
}

// A LeftError wraps the causes.
func TestLeftErrorUnwrap(t *testing.T) {
	t.Parallel()
	busy := errors.New("busy")
	how := Undoers{"name": func(context.Context, json.RawMessage) error { return busy }}
	j := create(t, how)
	(&host{}).put(t, j, "a")
	if err := j.Close(t.Context()); !errors.Is(err, busy) {
		t.Errorf("%v is not %v", err, busy)
	}
	if err := how.UndoAll(t.Context(), []Step{step("a")}); !errors.Is(err, busy) {
		t.Errorf("%v is not %v", err, busy)
	}
}

// A step of an unknown kind is left, and its error names the kind.
func TestUnknownKind(t *testing.T) {
	t.Parallel()
	h := &host{}
	j := create(t, h.undoers())
	h.put(t, j, "a")
	strange := NewStep("vm.tap", "tap snat0", "ip link del snat0", nil)
	if _, err := j.Do(t.Context(), strange, func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	err := j.Close(t.Context())
	left, ok := errors.AsType[*LeftError](err)
	if !ok || len(left.Left) != 1 {
		t.Fatalf("error %v", err)
	}
	const text = `undo tap snat0: this snatlab cannot undo a step of kind "vm.tap": was it made by another version?`
	if got := left.Left[0].Err.Error(); got != text {
		t.Errorf("text %s, want %s", got, text)
	}
	same(t, "undone", h.undone, []string{"a"})
}

// Arguments of the wrong type are an error, and nothing is undone.
func TestBadArguments(t *testing.T) {
	t.Parallel()
	undo := NewUndoer(func(context.Context, struct{ Path string }) error {
		t.Error("undone")
		return nil
	})
	for _, args := range []string{`{"Path": 1}`, `[]`, `{`, ``} {
		if undo(t.Context(), json.RawMessage(args)) == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}

// Steps that are in no journal are undone in the given order.
func TestUndoAll(t *testing.T) {
	t.Parallel()
	h := &host{refuses: map[string]int{"b": 1}}
	all := []Step{step("a"), step("b"), step("c")}
	err := h.undoers().UndoAll(t.Context(), all)
	same(t, "undone", h.undone, []string{"a", "c"})
	const text = "1 change to this host could not be undone; `snatlab cleanup` tries again, or by hand:\n" +
		"  the name b: b is busy\n" +
		"    remove b"
	if err == nil || err.Error() != text {
		t.Errorf("text\n%v\nwant\n%s", err, text)
	}
	if err := h.undoers().UndoAll(t.Context(), all); err != nil {
		t.Error(err)
	}
	if err := h.undoers().UndoAll(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// A journal whose file was removed can be closed.
func TestCloseRemovedJournal(t *testing.T) {
	t.Parallel()
	h := &host{}
	j := create(t, h.undoers())
	h.put(t, j, "a")
	if err := os.Remove(j.path); err != nil {
		t.Fatal(err)
	}
	closeJournal(t, j)
	same(t, "left on the host", h.stands, nil)
}

// Steps are undone although the context of the run has ended.
func TestContext(t *testing.T) {
	t.Parallel()
	h := &host{}
	j := create(t, h.undoers())
	h.put(t, j, "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // as a signal does
	patient := Context(ctx)
	if err := j.Close(patient); err != nil {
		t.Error(err)
	}
	if _, ends := patient.Deadline(); !ends {
		t.Error("the context has no deadline")
	}
}
