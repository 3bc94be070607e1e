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
	"snatlab/harness/undo"
)

func cleanupCommand() *cobra.Command {
	var dryRun, images bool
	c := &cobra.Command{
		Use:   "cleanup",
		Short: "Undo what a run that crashed left on this host",
		Long: `Undo what a run that was killed, or that crashed, left on this host: replay its
journal from ` + undo.Dir + ` backwards, then remove containers and networks that
carry the label of a run, and network namespaces that have its name. Labs that
were kept with --keep are removed as well. Nothing else is touched, and a host
that is clean already stays as it is.

It takes root. What a run without root makes ends with the run.

Exit codes: 0 nothing is left; 3 it could not be looked at, or a run is going
on; 5 something is left, and is printed.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return interruptible(func(ctx context.Context) error { return cleanup(ctx, dryRun, images) })
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only list what would be undone")
	c.Flags().BoolVar(&images, "images", false, "remove the probe images as well, which are kept to be used again")
	return c
}

func cleanup(ctx context.Context, dryRun, images bool) error {
	lock, err := undo.TakeLock(undo.Dir, "cleanup")
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w (run as root; what a run without root makes ends with the run)", err)
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	ctx = undo.Context(ctx) // what is half undone helps nobody
	told := map[string]bool{}
	tell := func(s undo.Step) {
		if told[s.What] {
			return // in the journal, and labelled as well
		}
		told[s.What] = true
		if dryRun {
			fmt.Printf("would undo: %s\n    %s\n", s.What, s.Manual)
		} else {
			fmt.Printf("undoing: %s\n", s.What)
		}
	}
	err = errors.Join(replayJournals(ctx, dryRun, true, tell), removeLeftovers(ctx, dryRun, images, tell))
	if err != nil {
		return err
	}
	if len(told) == 0 {
		fmt.Println("nothing to undo")
	}
	return nil
}

// replayJournals undoes every journal there is, those of labs that were kept
// only if that is wanted. One that cannot be undone does not keep the others
// from it.
func replayJournals(ctx context.Context, dryRun, kept bool, tell func(undo.Step)) error {
	paths, err := undo.Find(undo.Dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range paths {
		if undo.Alive(path) {
			if kept {
				errs = append(errs, fmt.Errorf("a run is at work with %s: left alone", path))
			}
			continue
		}
		journal, err := undo.Open(path, undoers())
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if journal.Kept() && !kept {
			errs = append(errs, journal.Leave())
			continue
		}
		for _, s := range journal.Steps() {
			tell(s)
		}
		if dryRun {
			errs = append(errs, journal.Leave())
		} else {
			errs = append(errs, journal.Close(ctx))
		}
	}
	return errors.Join(errs...)
}

// removeLeftovers removes what carries a label or a name of ours and stands in
// no journal.
func removeLeftovers(ctx context.Context, dryRun, images bool, tell func(undo.Step)) error {
	steps, err := netns.Leftovers()
	if err != nil {
		return err
	}
	more, err := labelled(ctx, images)
	steps = append(steps, more...)
	for _, s := range steps {
		tell(s)
	}
	if dryRun {
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
// The caller has the lock, so no other run is alive.
func undoCrashed(ctx context.Context) error {
	return replayJournals(undo.Context(ctx), false, false, func(s undo.Step) {
		fmt.Fprintf(os.Stderr, "left by a run that crashed; undoing: %s\n", s.What)
	})
}
