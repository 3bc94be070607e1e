package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

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
	done, err := undo.Cleanup{
		Replay: undo.Replay{
			Dir: undo.Dir, Undoers: undoers(), Kept: true, Active: f.force, DryRun: f.dryRun,
			Notify:   func(text string) { fmt.Println(text) },
			Announce: f.announce,
		},
		Leftovers: f.leftovers,
	}.Run(undo.Context(ctx)) // a half-undone change must not stay
	if err == nil && !done {
		fmt.Println("nothing to undo")
	}
	return err
}

// announce prints a step before it is undone.
func (f cleanupFlags) announce(s undo.Step) {
	if f.dryRun {
		fmt.Printf("would undo: %s\n    %s\n", printable.Line(s.What), printable.Line(s.Manual))
		return
	}
	fmt.Printf("undoing: %s\n", printable.Line(s.What))
}

// leftovers returns the steps that remove network namespaces, containers, networks
// and images of this program's runs.
func (f cleanupFlags) leftovers(ctx context.Context) ([]undo.Step, error) {
	steps, err := netns.Leftovers()
	more, dockerErr := labelled(ctx, f.images)
	return append(steps, more...), errors.Join(err, dockerErr)
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
	return undo.Replay{
		Dir: undo.Dir, Undoers: undoers(),
		Notify: func(text string) { fmt.Fprintln(os.Stderr, text) },
		Announce: func(s undo.Step) {
			fmt.Fprintf(os.Stderr, "left by a run that crashed; undoing: %s\n", printable.Line(s.What))
		},
		PassOver: passOver,
	}.Run(undo.Context(ctx))
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
