package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"snatlab/harness/history/store"
	"snatlab/harness/printable"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/scenario/changes"
	"snatlab/harness/wording"
)

// storeFlags are the flags of `snatlab run` about the store. What a run writes to --out is
// for people, and theirs to move or remove; the store has its record.
type storeFlags struct {
	store   string
	noStore bool
	label   string
}

func (f *storeFlags) add(c *cobra.Command) {
	storeFlag(c, &f.store)
	c.Flags().BoolVar(&f.noStore, "no-store", false, "keep no result in the store")
	c.Flags().StringVar(&f.label, "label", "", "name under which compare and report find the run, like before-upgrade")
}

// check refuses a label that could be taken for something else.
func (f storeFlags) check(c *cobra.Command) error {
	if c.Flags().Changed("label") && !store.LabelForm.MatchString(f.label) {
		return usageError{c, fmt.Errorf("--label: %.100q is not allowed; allowed: at most 63 letters, digits, dots, dashes and underscores, the first a letter (IDs of runs and kernels begin with a digit)", f.label)}
	}
	return nil
}

// nameStore names the store to the process in a user namespace that this one starts. Its
// user is called root there, and would get the store of root.
func nameStore(dir string) error {
	return os.Setenv(store.Variable, cmp.Or(dir, store.DefaultDir()))
}

// keepRun stores the result of a run, and returns where, and how to print it again; empty
// if it is not stored. A store that cannot be written is a warning: the result is in its folder too.
func (f storeFlags) keepRun(r *result.Result) string {
	if f.noStore {
		return ""
	}
	s, err := openStore(f.store)
	if err == nil {
		err = s.Put(r)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "snatlab: warning: the run is not kept in the store: %s\n", printable.Line(err.Error()))
		return ""
	}
	again := "snatlab report " + cmp.Or(f.label, r.ID)
	if f.store != "" {
		again += " --store " + f.store
	}
	return fmt.Sprintf("in the store %s; to print it again: %s", s.Dir(), again)
}

// describeChanges returns what differs between the scenario and that of its last stored
// run; empty if nothing does, or if there is none. The file may be the same: another
// version of snatlab has other defaults.
func (f storeFlags) describeChanges(s *scenario.Scenario) string {
	if f.noStore {
		return ""
	}
	kept, err := openStore(f.store)
	if err != nil {
		return "" // which is said when the result is to be kept
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	runs := kept.ListRecent(ctx, mostSearched)
	i := slices.IndexFunc(runs, func(r result.RunSummary) bool { return r.Key.Scenario == s.Name })
	if i < 0 || runs[i].Key.Hash == s.Hash() {
		return ""
	}
	last, err := kept.Read(runs[i])
	if err != nil {
		return ""
	}
	now := &result.Result{Scenario: s.Summary(), Environment: result.Env{Widened: s.Lab.PostroutingRules}}
	text := fmt.Sprintf("%s is not as in its last stored run (%s, snatlab %s): %s; runs of different scenarios are not compared", s.Name, last.ID, last.Version, wording.ScenarioChanges(changes.List(last, now)))
	if last.Version != version {
		text += " (a key that the file does not set has the default of this version)"
	}
	return text
}

// mostSearched bounds the runs among which the last one of a scenario is looked for.
const mostSearched = 2000
