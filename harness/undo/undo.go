// Package undo keeps a journal of the changes that a run makes to the host, so that
// all of them can be undone: at the end of the run, after an error, a signal or a
// panic, and by `snatlab cleanup` after a crash.
//
// Every change goes through [Journal.Do], which records how to undo the change and
// syncs the record to disk before the change is made. Changes are undone newest
// first. A crash can occur between the record and the change, and between an
// undoing and its record. So an [Undoer] must be idempotent, and must treat a change
// that was never made as undone.
//
// `snatlab cleanup` executes a journal, usually as root. So a journal is trusted
// only where no other user can have written it: see [UntrustedError]. Even then an
// undoer checks its arguments, and undoes only changes that a run of snatlab makes.
//
// Journals are files under /run: a reboot ends the changes and removes the journals.
// (Docker's containers and networks survive a reboot, but carry a label.) A journal
// that survives a reboot nevertheless is not undone.
//
// In a build for tests (-tags testhooks) a process can be made to crash at a change:
// see the file crashpoint.go. Other builds contain no code for that.
package undo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"snatlab/harness/format"
	"snatlab/harness/printable"
)

// Step is one change to the host, with the data that is needed to undo it. Another
// process may have to undo it, so a Step holds no pointers or functions.
type Step struct {
	Kind   string          `json:"kind"`   // key of the Undoer
	What   string          `json:"what"`   // the change, for the reader: "container snatlab-3f2a-client-0"
	Manual string          `json:"manual"` // the command that undoes the change by hand
	Args   json.RawMessage `json:"args"`   // for the Undoer
}

// NewStep returns a step. Args must be a value that encoding/json can write.
func NewStep(kind, what, manual string, args any) Step {
	raw, err := json.Marshal(args)
	if err != nil {
		panic(fmt.Sprintf("arguments of %s: %v", kind, err)) // a programming error
	}
	return Step{Kind: kind, What: what, Manual: manual, Args: raw}
}

// Undoer undoes the changes of one kind. It is idempotent.
type Undoer func(ctx context.Context, args json.RawMessage) error

// Undoers maps each kind of step to its Undoer.
type Undoers map[string]Undoer

// NewUndoer returns an Undoer that calls a function with the step's arguments. The
// function must check them as if an attacker had written them.
func NewUndoer[Args any](undo func(context.Context, Args) error) Undoer {
	return func(ctx context.Context, raw json.RawMessage) error {
		var args Args
		if err := decodeStrictly(raw, &args); err != nil {
			return err
		}
		return undo(ctx, args)
	}
}

func (u Undoers) undoStep(ctx context.Context, s Step) error {
	undo, ok := u[s.Kind]
	if !ok {
		return fmt.Errorf("this snatlab cannot undo a step of kind %q: was it made by another version?", s.Kind)
	}
	return undo(ctx, s.Args)
}

// undoTimeout bounds the time to restore the host.
const undoTimeout = 2 * time.Minute

// Context returns a context for an undoing, and for a change that must not be left
// half made. It does not end with ctx, which a signal may end, but after a timeout.
func Context(ctx context.Context) context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	context.AfterFunc(ctx, cancel)
	return ctx
}

// LeftError reports the changes to the host that could not be undone. Their steps
// stay in the journal.
type LeftError struct {
	Left []Left

	Host    string // "node n1"; empty: this host
	Cleanup string // the command that tries again; empty: snatlab cleanup
}

// Left is one step that could not be undone.
type Left struct {
	Step Step
	Err  error
}

// Error returns the text for the user: each change, its error and the command that
// undoes it by hand.
func (e *LeftError) Error() string {
	var b strings.Builder
	changes := format.Plural(len(e.Left), "change", "changes")
	fmt.Fprintf(&b, "%s to %s could not be undone; `%s` tries again, or by hand:", changes, cmp.Or(e.Host, "this host"), cmp.Or(e.Cleanup, "snatlab cleanup"))
	for _, l := range e.Left {
		fmt.Fprintf(&b, "\n  %s: %s\n    %s", printable.Line(l.Step.What), printable.Line(l.Err.Error()), printable.Line(l.Step.Manual))
	}
	return b.String()
}

// Unwrap returns the errors of the changes.
func (e *LeftError) Unwrap() []error {
	errs := make([]error, len(e.Left))
	for i, l := range e.Left {
		errs[i] = l.Err
	}
	return errs
}

// UndoAll undoes steps that are in no journal, in the given order. It returns the
// failed ones in a *[LeftError].
func (u Undoers) UndoAll(ctx context.Context, steps []Step) error {
	var left []Left
	for _, s := range steps {
		if err := u.undoStep(ctx, s); err != nil {
			left = append(left, Left{Step: s, Err: err})
		}
	}
	if left != nil {
		return &LeftError{Left: left}
	}
	return nil
}
