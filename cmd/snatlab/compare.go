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
	"snatlab/harness/report"
	"snatlab/harness/report/export"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

// compareFlags are those of `snatlab compare`.
type compareFlags struct {
	store    string
	scenario string
	series   string
	bench    []string
	json     bool
}

func compareCommand() *cobra.Command {
	var f compareFlags
	c := &cobra.Command{
		Use:   "compare OLD NEW",
		Short: "Compare results with earlier ones, or two kernels",
		Long: `Compare results with earlier ones, arm by arm. Each side is a result (a
result.json or the folder that holds it), a folder of results, of which each has
a folder of its own, or the release of a kernel, of which the store has results:
"6.12.107" is also 6.12.107-cloud-amd64.

Only runs of the same scenario, by its hash, can be compared; runs that ended
early are left out, and of more than 200 runs the last 200 count. Where a side
has several scenarios, or the store several series, --scenario or --series
chooses ("snatlab history" prints both).

Failure rates are compared by ranks (Mann-Whitney, two-sided, exact up to 120
values), p is adjusted for the number of arms (Holm), and counts below 0.01. A
value is a run, its median over trials, where there are runs enough for that: 6
on each side for two arms. With fewer it is a trial, and p says nothing of what
differs from night to night. "~" is a change that chance may explain.

A regression is: an arm that was mitigated and is no more; a mitigated arm that
fails more often (most runs 20 times or more); a cause of failure that 20 requests
or more fail for, and never did; an expectation that held and does not. Runs of a
side that do not agree take p < 0.01. A change of the baseline is a shift, and
no regression. What differs in the environments is listed.

--bench FILE writes the trials of both sides in Go's benchmark format, to be read
with benchstat as is printed then; given twice, the first file is for OLD and the
second for NEW ("benchstat OLD NEW"). --json prints everything (schema
snatlab.contrast/v1).

Exit codes: 0 no regression; 1 a regression; 2 bad usage, or nothing that can be
compared; 3 the store or a result cannot be read, or a file not written; 4
inconclusive: the race did not occur in a baseline, or too rarely to judge, there
are too few trials, or no run of a side decided what an arm makes of the race. An
arm that is undecided in a run is left out of that run.`,
		Example: `  snatlab compare results/before results/after
  snatlab compare 6.12.107 6.18.15 --scenario quickstart
  snatlab compare 6.12.107 6.18.15 --bench kernels.txt && benchstat -col kernel kernels.txt`,
		ValidArgsFunction: completeCompare,
		RunE: func(c *cobra.Command, args []string) error {
			if len(f.bench) > 2 {
				return usageError{c, errors.New("--bench: at most two files, one for each side")}
			}
			return f.runCompare(c, args)
		},
	}
	storeFlag(c, &f.store)
	c.Flags().StringVar(&f.scenario, "scenario", "", "name of the scenario, where there are several")
	c.Flags().StringVar(&f.series, "series", "", "ID of the series, where there are several")
	c.Flags().StringArrayVar(&f.bench, "bench", nil, "write the trials to this file, for benchstat")
	c.Flags().BoolVar(&f.json, "json", false, "print everything as JSON")
	return c
}

func (f compareFlags) runCompare(c *cobra.Command, sides []string) error {
	selector := store.Selector{Dir: cmp.Or(f.store, store.DefaultDir()), Scenario: f.scenario, Series: f.series, Warn: printWarning}
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
	show := report.WriteComparison
	if f.json {
		show = resultfile.WriteJSON
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

// writeBench writes the benchmark files, and gives the configuration line that
// tells the sides apart.
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

// benchstatCommand is the command that reads the files.
func benchstatCommand(files []string, column string) string {
	if len(files) == 2 {
		return "benchstat " + strings.Join(files, " ")
	}
	return "benchstat -col " + column + " " + files[0]
}
