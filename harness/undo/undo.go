// Package undo keeps the journal of what a run changes on the host, so that
// all of it can be undone: at the end of the run, after an error, a signal or
// a panic, and by `snatlab cleanup` after a crash.
//
// Every change goes through [Journal.Do], which writes down what undoes it,
// and syncs that to disk, before the change is made. Undoing runs newest
// first. Because a crash can come between the record and the change, and
// between an undoing and its record, whatever undoes a change must be
// idempotent, and must take a change that was never made for undone.
//
// `snatlab cleanup` carries out a journal, as a rule as root. So a journal
// is believed only where no other user can have written it: see
// [UntrustedError]. Even then an undoer checks what it is given, and undoes
// nothing that no run of snatlab does.
//
// Journals lie under /run: what they describe dies with a reboot, as they do.
// (Containers and networks of Docker's do not, but carry a label.) A journal
// that has outlived its boot all the same is not undone.
//
// In a build for tests (-tags testhooks) a process can be made to die around a
// change: see the file crashpoint.go. Other builds have no code for that.
package undo

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"snatlab/harness/format"
	"snatlab/harness/printable"
)

// Step is one change to the host and what undoes it. It is pure data: another
// process may have to carry it out.
type Step struct {
	Kind   string          `json:"kind"`   // names the Undoer
	What   string          `json:"what"`   // the change, for people: "container snatlab-3f2a-client-0"
	Manual string          `json:"manual"` // the command that undoes it by hand
	Args   json.RawMessage `json:"args"`   // for the Undoer
}

// NewStep makes a step. Args must be a type that encoding/json can write.
func NewStep(kind, what, manual string, args any) Step {
	raw, err := json.Marshal(args)
	if err != nil {
		panic(fmt.Sprintf("arguments of %s: %v", kind, err)) // a programming error
	}
	return Step{Kind: kind, What: what, Manual: manual, Args: raw}
}

// Undoer undoes the changes of one kind. It is idempotent.
type Undoer func(ctx context.Context, args json.RawMessage) error

// Undoers are keyed by the kind of step.
type Undoers map[string]Undoer

// NewUndoer makes an Undoer of a function that takes the step's own arguments. The
// function must check them as if a stranger had written them.
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
		return fmt.Errorf("no way known to undo a step of kind %q: made by another version of snatlab?", s.Kind)
	}
	return undo(ctx, s.Args)
}

// undoTimeout bounds how long the host may take to be put back.
const undoTimeout = 2 * time.Minute

// Context gives the context to undo in, and to make a change in that may not
// be left half made: it does not end with ctx, which a signal may end, but it
// does end.
func Context(ctx context.Context) context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	context.AfterFunc(ctx, cancel)
	return ctx
}

// LeftError says that some of the host could not be put back. The steps stay
// in the journal.
type LeftError struct {
	Left []Left
}

// Left is one step that could not be undone.
type Left struct {
	Step Step
	Err  error
}

func (e *LeftError) Error() string {
	var b strings.Builder
	changes := format.Plural(len(e.Left), "change", "changes")
	fmt.Fprintf(&b, "%s to this host could not be undone; `snatlab cleanup` tries again, or by hand:", changes)
	for _, l := range e.Left {
		fmt.Fprintf(&b, "\n  %s: %s\n    %s", printable.Line(l.Step.What), printable.Line(l.Err.Error()), printable.Line(l.Step.Manual))
	}
	return b.String()
}

func (e *LeftError) Unwrap() []error {
	errs := make([]error, len(e.Left))
	for i, l := range e.Left {
		errs[i] = l.Err
	}
	return errs
}

// UndoAll undoes steps that stand in no journal, in the order given. What is
// left is told in a *LeftError.
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
