package undo

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Replay undoes the journals of a folder.
type Replay struct {
	Dir     string
	Undoers Undoers

	Kept   bool // undo also the journals of labs that were kept
	Active bool // undo also the journals of runs that are active
	DryRun bool // only announce what would be undone

	Notify   func(text string) // reports a decision about a whole journal
	Announce func(Step)        // is called for each step before it is undone

	// PassOver reports whether the caller can continue beside steps that could
	// not be undone. Nil means that it cannot.
	PassOver func(context.Context, *LeftError) bool
}

// Run undoes every journal. After an error it continues with the next one.
func (r Replay) Run(ctx context.Context) error {
	paths, err := FindJournals(r.Dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range paths {
		if IsActive(path) {
			errs = append(errs, r.undoActive(ctx, path))
		} else {
			errs = append(errs, r.undoEnded(ctx, path))
		}
	}
	return errors.Join(errs...)
}

// undoActive undoes the journal of a run that is active, if that is wanted. The
// journal itself stays: the run still writes to it.
func (r Replay) undoActive(ctx context.Context, path string) error {
	switch {
	case !r.Kept:
		return nil
	case !r.Active:
		return fmt.Errorf("%s is active (journal %s): its changes were not undone (wait until it ends, or undo them anyway with --force)", DescribeOwner(path), path)
	}
	journal, err := ReadJournal(path, r.Undoers)
	if err != nil {
		return err
	}
	r.Notify(fmt.Sprintf("%s is active: undoing its changes anyway; its process is not killed, and its journal %s stays", DescribeOwner(path), path))
	return r.undoSteps(ctx, journal)
}

// undoEnded undoes the journal of a run that has ended.
func (r Replay) undoEnded(ctx context.Context, path string) error {
	journal, err := OpenJournal(path, r.Undoers)
	if err != nil {
		return err
	}
	if !journal.IsOfThisBoot() {
		r.Notify(fmt.Sprintf("journal %s is from another boot: its changes are gone, so it is removed and nothing is undone", path))
		if r.DryRun {
			return journal.Leave()
		}
		return journal.Discard()
	}
	if journal.IsKept() && !r.Kept {
		return journal.Leave()
	}
	return r.undoSteps(ctx, journal)
}

func (r Replay) undoSteps(ctx context.Context, journal *Journal) error {
	for _, s := range journal.Steps() {
		r.Announce(s)
	}
	if r.DryRun {
		return journal.Leave()
	}
	err := journal.Close(ctx)
	var left *LeftError
	if errors.As(err, &left) && r.PassOver != nil && r.PassOver(ctx, left) {
		return journal.Leave()
	}
	return err
}

// Cleanup undoes the journals of a folder, and then the leftovers on this host that
// are in no journal. A leftover can be in a journal as well: steps with the same
// text are announced once.
type Cleanup struct {
	Replay

	// Leftovers looks for leftovers on this host, and returns the steps that undo
	// them.
	Leftovers func(context.Context) ([]Step, error)
}

// Run undoes everything that is left, and reports whether there was anything. A
// leftover whose step failed with its journal is not tried again.
func (c Cleanup) Run(ctx context.Context) (found bool, err error) {
	announced, tried := map[string]bool{}, map[string]bool{}
	r := c.Replay
	r.Notify = func(text string) {
		found = true
		c.Notify(text)
	}
	r.Announce = func(s Step) {
		found = true
		if !announced[s.What] {
			announced[s.What] = true
			c.Announce(s)
		}
	}
	r.PassOver = func(_ context.Context, e *LeftError) bool {
		for _, l := range e.Left {
			tried[l.Step.What] = true
		}
		return false
	}
	err = r.Run(ctx)
	steps, findErr := c.Leftovers(ctx)
	steps = slices.DeleteFunc(steps, func(s Step) bool { return tried[s.What] })
	for _, s := range steps {
		r.Announce(s)
	}
	if !c.DryRun {
		findErr = errors.Join(findErr, c.Undoers.UndoAll(ctx, steps))
	}
	return found, errors.Join(err, findErr)
}
