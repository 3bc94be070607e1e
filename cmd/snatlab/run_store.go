package main

import (
	"cmp"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"snatlab/harness/history/store"
	"snatlab/harness/printable"
	"snatlab/harness/result"
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

// keepRun stores the result of a run, and returns where, in a phrase; empty if it is not
// stored. A store that cannot be written is a warning: the result is in its folder too.
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
	return fmt.Sprintf("as %s in the store %s (snatlab history runs lists it)", cmp.Or(f.label, r.ID), s.Dir())
}
