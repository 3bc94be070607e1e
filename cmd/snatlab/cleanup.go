package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"snatlab/harness/lab/docker"
	"snatlab/harness/lab/netns"
	"snatlab/harness/printable"
	"snatlab/harness/undo"
)

// cleanupFlags are those of `snatlab cleanup`.
type cleanupFlags struct {
	dryRun bool
	images bool
	force  bool
}

func cleanupCommand() *cobra.Command {
	var f cleanupFlags
	c := &cobra.Command{
		Use:   "cleanup",
		Short: "Undo what a run that crashed left on this host",
		Long: `Undo what a run that was killed, or that crashed, left on this host: replay its
journal from ` + undo.Dir + ` backwards, then remove containers and networks that
carry the label of a run, and network namespaces that have its name. Labs that
were kept with --keep are removed as well. Nothing else is touched, and a host
that is clean already stays as it is.

While a run is going on, it is named, and nothing is done. With --force its
changes are undone all the same: its lab is taken away from under it, and it
breaks off by itself. No process is killed. A run that does not even break off
(stopped, or hung) may go on to change the host later: its journal stays for as
long as it lives, so end it, and clean up again.

It takes root. What a run without root makes ends with the run.

A journal is carried out only if no other user can have written it: ` + undo.Dir + `
and the journals in it have to belong to the user who cleans up, and nobody else
may be able to write to them. A journal that is refused is named, with what is
wrong and what to do, and the others are undone. If the folder is refused,
nothing is looked at.

Exit codes: 0 nothing is left; 3 it could not be looked at, a journal was
refused, or a run is going on; 5 something is left, and is printed.`,
		RunE: func(*cobra.Command, []string) error { return interruptible(f.cleanup) },
	}
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "only list what would be undone")
	c.Flags().BoolVar(&f.images, "images", false, "remove the probe images as well, which are kept to be used again")
	c.Flags().BoolVar(&f.force, "force", false, "undo also what a run that is going on has changed")
	return c
}

func (f cleanupFlags) cleanup(ctx context.Context) error {
	lock, err := undo.TakeLock(undo.Dir, "cleanup")
	switch {
	case err == nil:
		defer lock.Release()
	case f.force && errors.As(err, new(*undo.LockedError)):
		fmt.Printf("%v: going on all the same\n", err)
	case errors.As(err, new(*undo.LockedError)):
		return fmt.Errorf("%w (let it end, or undo its changes all the same with --force)", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w (run as root; what a run without root makes ends with the run)", err)
	default:
		return err
	}
	ctx = undo.Context(ctx) // what is half undone helps nobody
	done := false
	told, tried := map[string]bool{}, map[string]bool{}
	r := replay{dryRun: f.dryRun, kept: true, force: f.force,
		say: func(what string) { done = true; fmt.Println(what) },
		tell: func(s undo.Step) {
			if told[s.What] {
				return // in the journal, and labelled as well
			}
			done, told[s.What] = true, true
			if f.dryRun {
				fmt.Printf("would undo: %s\n    %s\n", printable.Line(s.What), printable.Line(s.Manual))
			} else {
				fmt.Printf("undoing: %s\n", printable.Line(s.What))
			}
		},
		left: func(_ context.Context, e *undo.LeftError) bool {
			for _, l := range e.Left {
				tried[l.Step.What] = true
			}
			return false
		},
	}
	err = errors.Join(r.journals(ctx), removeLeftovers(ctx, f, r.tell, tried))
	if err != nil {
		return err
	}
	if !done {
		fmt.Println("nothing to undo")
	}
	return nil
}

// replay is how journals are undone.
type replay struct {
	dryRun bool
	kept   bool            // those of labs that were kept as well
	force  bool            // those of runs that are going on as well
	say    func(string)    // of a journal
	tell   func(undo.Step) // of each step of it, before it is undone
	// left receives the steps of a journal that could not be undone, and reports
	// whether the caller goes on beside them.
	left func(context.Context, *undo.LeftError) bool
}

// journals undoes every one there is. One that cannot be undone does not keep
// the others from it.
func (r replay) journals(ctx context.Context) error {
	paths, err := undo.Find(undo.Dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range paths {
		if undo.Alive(path) {
			errs = append(errs, r.alive(ctx, path))
		} else {
			errs = append(errs, r.journal(ctx, path))
		}
	}
	return errors.Join(errs...)
}

// alive undoes the journal of a run that is going on, if that is wanted. The
// journal itself is the run's: it has to know what it may change from now on.
func (r replay) alive(ctx context.Context, path string) error {
	switch {
	case !r.kept:
		return nil
	case !r.force:
		return fmt.Errorf("%s is going on, by %s: left alone (let it end, or undo its changes all the same with --force)", undo.Owner(path), path)
	}
	journal, err := undo.Read(path, undoers())
	if err != nil {
		return err
	}
	r.say(fmt.Sprintf("%s is going on: undoing its changes all the same; it is not killed, and its journal %s stays with it", undo.Owner(path), path))
	return r.undo(ctx, journal)
}

// journal undoes one whose run is no more.
func (r replay) journal(ctx context.Context, path string) error {
	journal, err := undo.Open(path, undoers())
	if err != nil {
		return err
	}
	if !journal.OfThisBoot() {
		r.say(fmt.Sprintf("journal %s is of another boot: what it tells of is gone, so it is removed, and nothing of it undone", path))
		if r.dryRun {
			return journal.Leave()
		}
		return journal.Discard()
	}
	if journal.Kept() && !r.kept {
		return journal.Leave()
	}
	return r.undo(ctx, journal)
}

func (r replay) undo(ctx context.Context, journal *undo.Journal) error {
	for _, s := range journal.Steps() {
		r.tell(s)
	}
	if r.dryRun {
		return journal.Leave()
	}
	err := journal.Close(ctx)
	var left *undo.LeftError
	if errors.As(err, &left) && r.left(ctx, left) {
		return journal.Leave()
	}
	return err
}

// removeLeftovers removes what carries a label or a name of ours and stands in
// no journal. What was tried in vain is not tried again.
func removeLeftovers(ctx context.Context, f cleanupFlags, tell func(undo.Step), tried map[string]bool) error {
	steps, err := netns.Leftovers()
	more, dockerErr := labelled(ctx, f.images)
	steps, err = append(steps, more...), errors.Join(err, dockerErr)
	steps = slices.DeleteFunc(steps, func(s undo.Step) bool { return tried[s.What] })
	for _, s := range steps {
		tell(s)
	}
	if f.dryRun {
		return err
	}
	return errors.Join(err, undoers().UndoAll(ctx, steps))
}

// labelled lists what of Docker's carries our label. A machine without Docker
// has nothing of the kind.
func labelled(ctx context.Context, images bool) ([]undo.Step, error) {
	if docker.Absent() {
		return nil, nil
	}
	steps, err := docker.Leftovers(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for what carries our label: %w", err)
	}
	if images {
		more, err := docker.Images(ctx)
		if err != nil {
			return steps, err
		}
		steps = append(steps, more...)
	}
	return steps, nil
}

// undoCrashed undoes, before a run, what an earlier one left that is no more.
// The caller has the lock, so no other run is alive. What does the new run no
// harm may be left once more: its journal stays.
func undoCrashed(ctx context.Context) error {
	return replay{
		say: func(what string) { fmt.Fprintln(os.Stderr, what) },
		tell: func(s undo.Step) {
			fmt.Fprintf(os.Stderr, "left by a run that crashed; undoing: %s\n", printable.Line(s.What))
		},
		left: passOver,
	}.journals(undo.Context(ctx))
}

// passOver reports whether a run can be made beside what is left, and says so,
// in one line each.
func passOver(ctx context.Context, left *undo.LeftError) bool {
	if !docker.DoNoHarm(ctx, left.Left) {
		return false
	}
	for _, l := range left.Left {
		why := l.Err.Error()
		if kept := new(docker.KeptError); errors.As(l.Err, &kept) {
			why = kept.Advice
		}
		fmt.Fprintf(os.Stderr, "%s is left, and this run goes on beside it: %s\n", printable.Line(l.Step.What), printable.Line(why))
	}
	return true
}
