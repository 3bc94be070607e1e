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
	"snatlab/harness/result"
	"snatlab/harness/undo"
)

// cleanupFlags are the flags of `snatlab cleanup`.
type cleanupFlags struct {
	dryRun bool
	images bool
	force  bool

	driver  string
	cluster clusterFlags
}

func cleanupCommand() *cobra.Command {
	var f cleanupFlags
	c := &cobra.Command{
		Use:   "cleanup",
		Short: "Undo the changes that a crashed run left on this host",
		Long: `Undo the changes that a killed or crashed run left on this host: replay its
journal in ` + undo.Dir + ` backwards, then remove containers and networks with the
label of a run, and network namespaces with its name. Labs that were kept with
--keep are removed as well. Nothing else is changed, and nothing is changed on a
clean host.

While a run is active, the command prints which one, and changes nothing. With
--force it undoes the changes of the active run anyway: the run loses its lab and
ends with an error. No process is killed. A run that cannot end (stopped, or hung)
may change the host again later, and its journal stays while its process exists:
end the process, and clean up again.

The command requires root. If runs on Docker are made without root, clean up as
their user, with the privileges of such a run (see SECURITY.md). A run in network
namespaces without root leaves nothing.

A journal is executed only if no other user can have written it: ` + undo.Dir + `
and its journals must belong to the user who cleans up, and no other user may be
able to write to them. A refused journal is printed with the reason and the
remedy, and the others are undone. If the folder is refused, nothing is undone.

With --driver kubernetes it cleans up in a cluster: for each node that is named by an
object of a run it starts a Pod there that undoes what the run changed, and then
removes these objects. --node names a node that no object names any more.

Exit codes: 0 nothing is left; 3 the host could not be checked, a journal was
refused, or a run is active; 5 some changes are left, and are printed.`,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case f.driver == result.DriverKubernetes:
				return runInterruptible(f.cleanupCluster)
			case f.driver != "":
				return usageError{c, fmt.Errorf("--driver: %q is not allowed; allowed: %s (without it, this host is cleaned up)", f.driver, result.DriverKubernetes)}
			}
			if err := f.cluster.check("this host's"); err != nil {
				return usageError{c, err}
			}
			return runInterruptible(f.cleanup)
		},
	}
	c.Flags().StringVar(&f.driver, "driver", "", "clean up in a cluster: kubernetes")
	f.cluster.addCluster(c, "node to restore, also if no object names it")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "only list the changes that would be undone")
	c.Flags().BoolVar(&f.images, "images", false, "also remove the probe images, which are kept for later runs")
	c.Flags().BoolVar(&f.force, "force", false, "also undo the changes of an active run")
	return c
}

func (f cleanupFlags) cleanup(ctx context.Context) error {
	lock, err := undo.TakeLock(undo.Dir, "cleanup")
	switch {
	case err == nil:
		defer lock.Release()
	case f.force && errors.As(err, new(*undo.LockedError)):
		fmt.Printf("%v: cleaning up anyway\n", err)
	case errors.As(err, new(*undo.LockedError)):
		return fmt.Errorf("%w (wait until it ends, or undo its changes anyway with --force)", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w (run as root; the changes of a run without root end with the run)", err)
	default:
		return err
	}
	done, err := undo.Cleanup{
		Replay: undo.Replay{
			Dir: undo.Dir, Undoers: allUndoers(), Kept: true, Active: f.force, DryRun: f.dryRun,
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
	steps, err := netns.ListLeftovers()
	more, dockerErr := dockerLeftovers(ctx, f.images)
	return append(steps, more...), errors.Join(err, dockerErr)
}

// dockerLeftovers returns the steps that remove containers, networks and, if images
// is set, images with the label of this program. Without Docker there are none.
func dockerLeftovers(ctx context.Context, images bool) ([]undo.Step, error) {
	if docker.IsEngineAbsent() {
		return nil, nil
	}
	steps, err := docker.ListLeftovers(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for containers and networks with the label of a run: %w", err)
	}
	if images {
		more, err := docker.ListImages(ctx)
		if err != nil {
			return steps, err
		}
		steps = append(steps, more...)
	}
	return steps, nil
}

// undoCrashed undoes, before a run, the changes that crashed runs left. The caller
// has the lock, so no other run is active. A change that cannot be undone and does
// not disturb the new run stays, with its journal.
func undoCrashed(ctx context.Context) error {
	return undo.Replay{
		Dir: undo.Dir, Undoers: allUndoers(),
		Notify: func(text string) { fmt.Fprintln(os.Stderr, text) },
		Announce: func(s undo.Step) {
			fmt.Fprintf(os.Stderr, "left by a run that crashed; undoing: %s\n", printable.Line(s.What))
		},
		PassOver: passOverLeft,
	}.Run(undo.Context(ctx))
}

// passOverLeft reports whether a run can be made beside the changes that are left.
// If so, it prints one line for each of them.
func passOverLeft(ctx context.Context, left *undo.LeftError) bool {
	if !docker.AllowNewRun(ctx, left.Left) {
		return false
	}
	for _, l := range left.Left {
		why := l.Err.Error()
		if kept := new(docker.NetworkKeptError); errors.As(l.Err, &kept) {
			why = kept.Advice
		}
		fmt.Fprintf(os.Stderr, "%s is left, and this run continues beside it: %s\n", printable.Line(l.Step.What), printable.Line(why))
	}
	return true
}
