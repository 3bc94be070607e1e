package main

import (
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

	"snatlab/harness/lab/netns"
	"snatlab/harness/night"
	"snatlab/harness/report"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// task is a file of a night, and the scenario in it or what is wrong with it.
type task struct {
	file     string
	scenario *scenario.Scenario
	err      error
}

func (t task) needsNamespaces() bool {
	return t.err == nil && t.scenario.Driver == scenario.Netns
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
			err = sameName(all, task{file, s, nil})
		}
		all, errs = append(all, task{file, s, bare(err)}), append(errs, err)
	}
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
func (f nightlyFlags) jobs(tasks []task) (all []night.Job) {
	for _, t := range tasks {
		if t.err != nil {
			broken := func(context.Context) (*result.Result, error) { return nil, t.err }
			all = append(all, night.Job{Scenario: filepath.Base(t.file), File: t.file, Run: broken})
			continue
		}
		attempt := func(ctx context.Context) (*result.Result, error) { return f.attempt(ctx, t.scenario) }
		all = append(all, night.Job{Scenario: t.scenario.Name, File: t.file, Driver: t.scenario.Driver, Run: attempt})
	}
	return all
}

// attempt runs a scenario once. Its progress is for somebody who looks on.
func (f nightlyFlags) attempt(ctx context.Context, s *scenario.Scenario) (*result.Result, error) {
	if s.Driver == scenario.Docker && netns.Reexecuted() { // for another one; here, its user is root by name
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
