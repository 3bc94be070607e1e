package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"snatlab/harness/history/store"
	"snatlab/harness/report/trend"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

func runsCommand() *cobra.Command {
	var (
		dir    string
		inJSON bool
	)
	c := &cobra.Command{
		Use:   "runs [SCENARIO]",
		Short: "List the stored runs, to name them to report and compare",
		Long: `List the stored runs, of one scenario, by its name, or of all: ID, start, kernel,
scenario, the command that made the run (run, nightly, matrix or fleet), label and outcome.
The oldest is first. On a narrow screen the start is left out, with which an ID
begins.

--json prints them with all that is known of them without their trials (schema
snatlab.runs/v1): runs[] is that of "snatlab history --json".

Runs that cannot be read are named, and left out. Exit codes: 0, also if nothing
is stored yet; 2 bad usage; 3 the store cannot be read.`,
		Example: `  snatlab history runs
  snatlab history runs quickstart --json | jq -r '.runs[-1].id'`,
		ValidArgsFunction: completeHistory,
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := openStore(dir)
			if err != nil {
				return err
			}
			return printRuns(os.Stdout, s, args, inJSON)
		},
	}
	storeFlag(c, &dir)
	c.Flags().BoolVar(&inJSON, "json", false, "print everything as JSON")
	return c
}

// printRuns lists the runs of a scenario, if one is named.
func printRuns(w io.Writer, s *store.Store, scenarios []string, inJSON bool) error {
	runs, warnings, err := s.ListRuns()
	if err != nil {
		return err
	}
	if len(scenarios) > 0 {
		runs = slices.DeleteFunc(runs, func(r result.RunSummary) bool { return r.Key.Scenario != scenarios[0] })
	}
	l := &result.RunList{Schema: result.RunListSchema, Store: s.Dir(), Runs: append([]result.RunSummary{}, runs...), Warnings: append([]string{}, warnings...)}
	switch {
	case inJSON:
		return resultfile.WriteJSON(w, l)
	case !s.Exists():
		_, err := fmt.Fprintf(w, "There is no store of results at %s: nothing has been stored yet. (%s.)\n", s.Dir(), whatStores)
		return err
	case len(runs) == 0 && len(scenarios) > 0:
		_, err = fmt.Fprintf(w, "No run of %s is stored in %s.\n", scenarios[0], s.Dir())
		return err
	}
	return onScreen(trend.WriteRuns)(w, l)
}

// whatStores says which commands store results.
const whatStores = "snatlab run, nightly, matrix and fleet store results"
