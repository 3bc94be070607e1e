package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"snatlab/harness/history/regression"
	"snatlab/harness/history/store"
	"snatlab/harness/report/export"
	"snatlab/harness/report/page"
	"snatlab/harness/report/trend"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

// compareFlags are the flags of `snatlab compare`.
type compareFlags struct {
	store    string
	scenario string
	series   string
	all      bool
	bench    []string
	json     bool
	html     bool
}

func compareCommand() *cobra.Command {
	var f compareFlags
	c := &cobra.Command{
		Use:   "compare OLD NEW",
		Short: "Compare results with earlier ones, or two kernels",
		Long: `Compare results with earlier ones, arm by arm. Each side is a result (a
result.json or its folder), a folder of results that have a folder each, or names
runs of the store ("snatlab history runs" lists them):

  before-upgrade     the newest run with this label (snatlab run --label); with
                     --all, all of them
  20261122-214500    the run with the ID that begins so
  6.12               the newest run on a kernel of this version; with --all, all
  6.12.107           all runs on this kernel, which is also 6.12.107-cloud-amd64;
                     runs by hand only if there are no others

A file of that name is used instead, and that is said.

Only runs of the same scenario, by its hash, can be compared. Runs that ended
early are left out, and of more than 200 runs the last 200 count. If a side has
several scenarios, or the store several series, choose one with --scenario or
--series ("snatlab history" prints both). The newest run is chosen among those of
the scenario and series that both sides have.

Arms are compared by the share of the failures that remains under them, of the
sums over the runs of a side: it is measured against the control of the same
trials. Its 99.9 % interval allows for the scatter of the trials, and from 5
nights on for that of the nights. The failure rates below are information: they
move with the state of the machine. They are compared by ranks (two-sided, exact
up to 120 values), and p, adjusted for the number of arms (Holm), counts below
0.01. A value is the median of a run if there are enough runs, 6 on each side for
two arms; with fewer, the rate of a trial. "~" is a change that chance may explain.
Two single runs are compared like this, too, but say nothing about how much runs
differ from night to night, and the comparison says so.

A regression is: an arm of which the new interval lies above the old one, by more
than a factor of 1.11, with 10 failures or more; a cause of failure that is new and
that 20 requests or more failed for; an expectation that held and is broken. If
the runs of a side do not agree about these two, p < 0.01 is required. A change of
the baseline is a shift, and no regression; it is asked about if a value is a run.
Results without shares that remain, of earlier versions, are compared by their
verdicts and failure rates. Differences of the environments are listed.

--bench FILE writes the trials of both sides in Go's benchmark format, and prints
the benchstat command that reads it. Given twice, the first file is for OLD and
the second for NEW ("benchstat OLD NEW"). --json prints everything (schema
snatlab.contrast/v1). --html prints a page for a
browser.

Exit codes: 0 no regression; 1 a regression; 2 bad usage, or the sides cannot be
compared; 3 the store or a result cannot be read, or a file cannot be written; 4
inconclusive: too little was lost on a side to compare any arm. An arm that has
no share that remains in a run is left out of that run.`,
		Example: `  snatlab compare before-upgrade after-upgrade
  snatlab compare 6.12 6.18
  snatlab compare results/before results/after
  snatlab compare 6.12.107 6.18.15 --scenario quickstart
  snatlab compare 6.12.107 6.18.15 --bench kernels.txt && benchstat -col kernel kernels.txt`,
		ValidArgsFunction: completeCompare,
		RunE: func(c *cobra.Command, args []string) error {
			if f.json && f.html {
				return usageError{c, errors.New("--json and --html: use only one of them")}
			}
			if len(f.bench) > 2 {
				return usageError{c, errors.New("--bench: at most two files, one for each side")}
			}
			return f.runCompare(c, args)
		},
	}
	storeFlag(c, &f.store)
	c.Flags().StringVar(&f.scenario, "scenario", "", "name of the scenario, if there are several")
	c.Flags().StringVar(&f.series, "series", "", "ID of the series, if there are several")
	c.Flags().BoolVar(&f.all, "all", false, "compare all runs that a label or a version means, not the newest")
	c.Flags().StringArrayVar(&f.bench, "bench", nil, "write the trials to this file, for benchstat")
	c.Flags().BoolVar(&f.json, "json", false, "print everything as JSON")
	c.Flags().BoolVar(&f.html, "html", false, "print a page for a browser")
	return c
}

// runCompare compares the two sides.
func (f compareFlags) runCompare(c *cobra.Command, sides []string) error {
	selector := store.Selector{Dir: cmp.Or(f.store, store.DefaultDir()), All: f.all, Scenario: f.scenario, Series: f.series, Warn: printWarning}
	before, after, err := selector.Select(sides[0], sides[1])
	switch {
	case errors.As(err, new(store.SelectionError)):
		return usageError{c, err}
	case err != nil:
		return err
	}
	comparison, err := regression.CompareGroups(*before, *after)
	if err != nil {
		return usageError{c, err}
	}
	column, err := f.writeBench(before, after)
	if err != nil {
		return err
	}
	show := onScreen(trend.WriteComparison)
	switch {
	case f.json:
		show = resultfile.WriteJSON
	case f.html:
		show = page.WriteComparison
	}
	if err := show(os.Stdout, comparison); err != nil {
		return err
	}
	if len(f.bench) > 0 {
		fmt.Fprintf(os.Stderr, "\nfor benchstat: %s\n", benchstatCommand(f.bench, column))
	}
	switch comparison.Verdict {
	case result.Fail:
		return exitCode(exitFail)
	case result.Inconclusive:
		return exitCode(exitInconclusive)
	}
	return nil
}

// writeBench writes the benchmark files. column is the configuration that distinguishes
// the sides.
func (f compareFlags) writeBench(before, after *store.Group) (column string, err error) {
	write := func(path string, sides ...export.BenchSide) error {
		return resultfile.WriteFile(path, func(w io.Writer) (err error) {
			column, err = export.WriteBench(w, sides...)
			return err
		})
	}
	old, new := export.BenchSide{Name: before.Name, Results: before.Results}, export.BenchSide{Name: after.Name, Results: after.Results}
	switch len(f.bench) {
	case 1:
		err = write(f.bench[0], old, new)
	case 2:
		err = errors.Join(write(f.bench[0], old), write(f.bench[1], new))
	}
	return column, err
}

// benchstatCommand returns the command that reads the files.
func benchstatCommand(files []string, column string) string {
	if len(files) == 2 {
		return "benchstat " + strings.Join(files, " ")
	}
	return "benchstat -col " + column + " " + files[0]
}
