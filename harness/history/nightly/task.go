package nightly

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"snatlab/harness/scenario"
)

// Task is one file of a night: a scenario, or the error that keeps it from being
// run.
type Task struct {
	File     string
	Name     string // of the scenario, in reports
	Driver   string // empty if it is unknown
	Scenario *scenario.Scenario
	Err      error
}

// ListScenarios lists the scenarios in a folder.
func ListScenarios(folder string) (files []string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".yaml" {
			files = append(files, filepath.Join(folder, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no scenario is named, and there is no *.yaml in %s", folder)
	}
	return files, nil
}

// ReadTasks reads files by means of read. A scenario that cannot be run does not
// keep the others from being run. driver is that of all scenarios; if it is empty,
// each scenario has its own.
func ReadTasks(files []string, driver string, read func(file string) (*scenario.Scenario, error)) []Task {
	tasks := make([]Task, len(files))
	for i, file := range files {
		t := Task{File: file}
		t.Scenario, t.Err = read(file)
		if t.Err == nil {
			t.Name, t.Driver = t.Scenario.Name, t.Scenario.Driver
			t.Err = checkUnique(tasks[:i], t)
		}
		tasks[i] = t
	}
	nameBroken(tasks, driver)
	return tasks
}

// checkUnique reports a scenario that reports and metrics, which name scenarios by
// name and driver, could not tell from another one.
func checkUnique(tasks []Task, t Task) error {
	i := slices.IndexFunc(tasks, func(o Task) bool { return o.Err == nil && o.Name == t.Name && o.Driver == t.Driver })
	if i < 0 {
		return nil
	}
	return fmt.Errorf("%s: scenario %s on %s is in %s already (give it another name)", t.File, t.Name, t.Driver, tasks[i].File)
}

// nameBroken names the scenarios that cannot be run by the names that they had when
// they could, so that reports and metrics continue under them. If the file has no
// name, or another scenario has it, the name is that of the file.
func nameBroken(tasks []Task, driver string) {
	taken := map[[2]string]bool{}
	for _, t := range tasks {
		if t.Err == nil {
			taken[[2]string{t.Name, t.Driver}] = true
		}
	}
	for i := range tasks {
		t := &tasks[i]
		if t.Err == nil {
			continue
		}
		t.Name, t.Driver = scenario.NameOf(t.File)
		t.Name, t.Driver = cmp.Or(t.Name, strings.TrimSuffix(filepath.Base(t.File), ".yaml")), cmp.Or(driver, t.Driver)
		if taken[[2]string{t.Name, t.Driver}] {
			t.Name = filepath.Base(t.File)
		}
		taken[[2]string{t.Name, t.Driver}] = true
	}
}
