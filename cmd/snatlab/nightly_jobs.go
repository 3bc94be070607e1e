package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"snatlab/harness"
	"snatlab/harness/history/nightly"
	"snatlab/harness/lab/netns"
	"snatlab/harness/report"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/verdict"
)

// task is a file of a night, and the scenario in it or what is wrong with it.
type task struct {
	file     string
	scenario *scenario.Scenario
	err      error
	name     string // of a scenario that cannot be run, as reports call it
	driver   string // of one, if the file says
}

func (t task) needsNamespaces() bool {
	return t.err == nil && t.scenario.Driver == result.DriverNetns
}

// tasks reads the scenarios that were named, or else those of the folder. One
// that cannot be run is not the end of the others.
func (f nightlyFlags) tasks(c *cobra.Command, files []string) (all []task, err error) {
	if f.driver != "" && !slices.Contains(drivers, f.driver) {
		return nil, usageError{c, fmt.Errorf("--driver: %q is not allowed; allowed: %s", f.driver, strings.Join(drivers, ", "))}
	}
	if len(files) == 0 {
		if files, err = f.folder(); err != nil {
			return nil, usageError{c, err}
		}
	}
	var errs []error
	for _, file := range files {
		s, err := readScenario(c, file, runFlags{driver: f.driver})
		if err == nil {
			err = fewRounds(c, file, s)
		}
		if err == nil {
			err = sameName(all, task{file: file, scenario: s})
		}
		all, errs = append(all, task{file: file, scenario: s, err: bare(err)}), append(errs, err)
	}
	f.nameBroken(all)
	if !slices.Contains(errs, nil) {
		return nil, errors.Join(errs...)
	}
	return all, nil
}

// bare is an error without the advice to ask for help.
func bare(err error) error {
	if usage := (usageError{}); errors.As(err, &usage) {
		return usage.err
	}
	return err
}

// fewRounds refuses what cannot come to a verdict: another attempt, or another
// night, would not either.
func fewRounds(c *cobra.Command, file string, s *scenario.Scenario) error {
	few := new(verdict.FewRoundsError)
	if !errors.As(harness.CheckRounds(s), &few) {
		return nil
	}
	return usageError{c, fmt.Errorf("%s: %w (rounds: %d)", file, few, few.Least)}
}

// nameBroken names the scenarios that cannot be run as they were named when they
// could, so that reports and metrics go on under them. Where the file does not say,
// or another scenario has that name, it is the file's.
func (f nightlyFlags) nameBroken(all []task) {
	taken := map[[2]string]bool{}
	for _, t := range all {
		if t.err == nil {
			taken[[2]string{t.scenario.Name, t.scenario.Driver}] = true
		}
	}
	for i := range all {
		t := &all[i]
		if t.err == nil {
			continue
		}
		t.name, t.driver = scenario.NameOf(t.file)
		t.name, t.driver = cmp.Or(t.name, strings.TrimSuffix(filepath.Base(t.file), ".yaml")), cmp.Or(f.driver, t.driver)
		if taken[[2]string{t.name, t.driver}] {
			t.name = filepath.Base(t.file)
		}
		taken[[2]string{t.name, t.driver}] = true
	}
}

// folder lists the scenarios of the folder.
func (f nightlyFlags) folder() (files []string, err error) {
	entries, err := os.ReadDir(f.scenarios)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".yaml" {
			files = append(files, filepath.Join(f.scenarios, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no scenario is named, and there is no *.yaml in %s", f.scenarios)
	}
	return files, nil
}

// sameName keeps results apart, in reports and metrics, by name and driver.
func sameName(all []task, t task) error {
	i := slices.IndexFunc(all, func(o task) bool {
		return o.err == nil && o.scenario.Name == t.scenario.Name && o.scenario.Driver == t.scenario.Driver
	})
	if i < 0 {
		return nil
	}
	return fmt.Errorf("%s: scenario %s on %s is in %s already (give it another name)", t.file, t.scenario.Name, t.scenario.Driver, all[i].file)
}

// jobs are what the night does.
func (f nightlyFlags) jobs(tasks []task) (all []nightly.Job) {
	for _, t := range tasks {
		if t.err != nil {
			broken := func(context.Context) (*result.Result, error) { return nil, t.err }
			all = append(all, nightly.Job{Scenario: t.name, File: t.file, Driver: t.driver, Run: broken})
			continue
		}
		attempt := func(ctx context.Context) (*result.Result, error) { return f.attempt(ctx, t.scenario) }
		all = append(all, nightly.Job{Scenario: t.scenario.Name, File: t.file, Driver: t.scenario.Driver, Run: attempt})
	}
	return all
}

// attempt runs a scenario once. Its progress is for somebody who looks on.
func (f nightlyFlags) attempt(ctx context.Context, s *scenario.Scenario) (*result.Result, error) {
	if s.Driver == result.DriverDocker && netns.Reexecuted() { // for another one; here, its user is root by name
		return nil, errors.New("a lab in Docker takes root: run the nightly as root, or leave this scenario out")
	}
	var at *site
	err := f.await(ctx, func() (err error) { at, err = prepare(ctx, s); return err })
	if err != nil {
		return nil, err
	}
	defer at.close()
	watch, terminal := io.Discard, canOverwrite(os.Stderr)
	if terminal {
		watch = os.Stderr
	}
	progress := report.NewProgress(watch, terminal)
	progress.Say(s.Name)
	defer progress.Say("")
	return at.run(ctx, s, progress)
}
