package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"snatlab/harness"
	"snatlab/harness/history/nightly"
	"snatlab/harness/lab/netns"
	"snatlab/harness/report/layout"
	"snatlab/harness/report/progress"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/verdict"
	"snatlab/harness/wording"
)

// readTasks reads the scenarios that are named, or else those of the folder. It is an
// error if none of them can be run.
func (f nightlyFlags) readTasks(c *cobra.Command, files []string) (tasks []nightly.Task, err error) {
	if f.driver != "" && !slices.Contains(driverNames, f.driver) {
		return nil, usageError{c, fmt.Errorf("--driver: %q is not allowed; allowed: %s", f.driver, strings.Join(driverNames, ", "))}
	}
	if len(files) == 0 {
		if files, err = nightly.ListScenarios(f.scenarios); err != nil {
			return nil, usageError{c, err}
		}
	}
	tasks = nightly.ReadTasks(files, f.driver, func(file string) (*scenario.Scenario, error) {
		s, err := readScenario(c, file, runFlags{driver: f.driver})
		if err == nil {
			err = checkNightRounds(c, file, s)
		}
		return s, err
	})
	var errs []error
	for _, t := range tasks {
		errs = append(errs, t.Err)
	}
	if !slices.Contains(errs, nil) {
		return nil, errors.Join(errs...)
	}
	return tasks, nil
}

// needsNamespaces reports whether a task requires privilege in namespaces.
func needsNamespaces(t nightly.Task) bool {
	return t.Err == nil && t.Driver == result.DriverNetns
}

// withoutHelp returns an error without the advice to see --help.
func withoutHelp(err error) error {
	if usage := (usageError{}); errors.As(err, &usage) {
		return usage.err
	}
	return err
}

// checkNightRounds reports a scenario with too few rounds for a verdict: no attempt,
// and no night, would come to one.
func checkNightRounds(c *cobra.Command, file string, s *scenario.Scenario) error {
	few := new(verdict.FewRoundsError)
	if !errors.As(harness.CheckEnoughRounds(s), &few) {
		return nil
	}
	return usageError{c, fmt.Errorf("%s: %w (rounds: %d)", file, few, few.Least)}
}

// makeJobs returns the jobs of the night: one for each scenario, or for each scenario on
// each node of a fleet. A scenario that cannot be read has one job.
func (f nightlyFlags) makeJobs(tasks []nightly.Task, on *clusterNodes) (jobs []nightly.Job) {
	for i, t := range tasks {
		job := nightly.Job{Scenario: t.Name, File: t.File, Driver: t.Driver}
		if t.Driver == result.DriverKubernetes {
			job.Node = f.cluster.node
		}
		nodes := []string{job.Node}
		if on != nil {
			nodes = on.nodes
		}
		if t.Err != nil {
			job.Run = func(context.Context) (*result.Result, error) { return nil, withoutHelp(t.Err) }
			jobs = append(jobs, job)
			continue
		}
		for _, node := range nodes {
			attempts := 0
			job.Node, job.Run = node, func(ctx context.Context) (*result.Result, error) {
				attempts++
				return f.runAttempt(ctx, t.Scenario, on, nightPlace{i + 1, len(tasks), node, attempts})
			}
			jobs = append(jobs, job)
		}
	}
	return jobs
}

// nightPlace is where in a night an attempt is: scenario n of so many, and a node.
type nightPlace struct {
	n, of   int
	node    string
	attempt int
}

// takeLock acquires a lock. It waits for the lock unless --no-wait is given.
func (f nightlyFlags) takeLock(ctx context.Context, take func() error) error {
	if f.noWait {
		return take()
	}
	return nightly.WaitForLock(ctx, take, func(err error) { fmt.Fprintf(os.Stderr, "waiting: %v\n", err) })
}

// runAttempt runs a scenario once, on a node of a fleet if there is one. The progress is
// shown on a terminal only.
func (f nightlyFlags) runAttempt(ctx context.Context, s *scenario.Scenario, on *clusterNodes, at nightPlace) (*result.Result, error) {
	if on != nil {
		progress := newNightProgress(s, at)
		defer progress.Close()
		return on.run(ctx, s, at.node, progress)
	}
	if s.Driver == result.DriverDocker && netns.IsReexecuted() { // for another scenario; the user is only called root here
		return nil, errors.New("a lab in Docker requires root: run the nightly as root, or leave this scenario out")
	}
	var ready *readyMachine
	err := f.takeLock(ctx, func() (err error) { ready, err = prepareMachine(ctx, s, f.cluster); return err })
	if err != nil {
		return nil, err
	}
	defer ready.close()
	progress := newNightProgress(s, at)
	defer progress.Close()
	return ready.runScenario(ctx, s, progress, result.CommandNightly)
}

// newNightProgress returns the progress of an attempt, which writes nothing if standard
// error is no terminal.
func newNightProgress(s *scenario.Scenario, at nightPlace) *progress.Progress {
	shown := progress.New(progress.Output{Writer: io.Discard, Screen: func() layout.Screen { return layout.Screen{} }})
	if canOverwrite(os.Stderr) {
		shown = newProgress()
	}
	name := wording.ScenarioOn(s.Name, at.node)
	if at.attempt > 1 {
		name += fmt.Sprintf(", attempt %d", at.attempt)
	}
	shown.Part("scenario", at.n, at.of, name)
	return shown
}
