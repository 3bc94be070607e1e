package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"snatlab/harness/format"
	"snatlab/harness/history/store"
	"snatlab/harness/printable"
	"snatlab/harness/report/export"
	"snatlab/harness/report/page"
	"snatlab/harness/report/trend"
	"snatlab/harness/result/resultfile"
)

// storeFlag adds --store to a command that reads the store.
func storeFlag(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "store", "", "folder of the stored results (default $"+store.Variable+", else /var/lib/snatlab for root, and ~/.local/state/snatlab for others)")
}

// openStore opens the store of --store, and makes nothing.
func openStore(dir string) (*store.Store, error) {
	return store.Open(cmp.Or(dir, store.DefaultDir()))
}

// historyFlags are the flags of `snatlab history`.
type historyFlags struct {
	store string
	json  bool
	csv   bool
	html  bool
}

func historyCommand() *cobra.Command {
	var f historyFlags
	c := &cobra.Command{
		Use:   "history [SCENARIO]",
		Short: "Show the stored results over time, kernel by kernel",
		Long: `Show the stored results over time, of one scenario, by its name, or of all
scenarios. "snatlab run", "nightly" and "matrix" store results; "snatlab history
runs" lists them.

A series is the runs whose figures can be expected to agree: they have the same
scenario, by its hash, and the same architecture, CPUs, driver, privilege, NAT,
Docker, firewall, iptables and hypervisor. Runs by hand (snatlab run) are series of
their own, because they are no nights. The kernels of a series may differ; its
runs are listed by kernel, the oldest kernel first.

The value of a run is the median failure rate over its trials. The value of a
kernel is the median over its runs, with a 95 % interval (order statistics, which
assume no distribution) from 6 runs on. These rates move with the state of the
machine. What remains of the failures under an arm is measured against its control
and does not: it is that of the sums over the runs, with a 99.9 % interval. Below
the table, the rates are drawn over time, each arm in its own scale.

--json prints everything (schema snatlab.history/v1): series[], each with its
id, key, kernels[] (runs, verdicts, and for each of arms[] the failure_rate over
runs, the verdicts and what remains) and runs[] (verdict, expected[], and for each
of arms[] requests, failed, causes, failure_rate over trials, verdict, remaining).

--csv prints a line for each arm of each run, after a line of headings. Rates are
shares between 0 and 1; unknown values are empty. remaining_low to remaining_high
is the 99.9 % interval. control_failed of control_requests is what an arm is
compared with: by the method "control" its control, by "trials" the baseline.

--html prints a page for a browser, with the rates over time and a line at each
change of kernel.

Runs that cannot be read are named, and left out. Exit codes: 0, also if nothing
is stored yet; 2 bad usage; 3 the store cannot be read.`,
		Example: `  snatlab history
  snatlab history runs
  snatlab history quickstart --json | jq '.series[].kernels'
  snatlab history prune --dry-run`,
		ValidArgsFunction: completeHistory,
		RunE: func(c *cobra.Command, args []string) error {
			if f.json && f.csv || f.json && f.html || f.csv && f.html {
				return usageError{c, errors.New("--json, --csv and --html: use only one of them")}
			}
			scenario := ""
			if len(args) > 0 {
				scenario = args[0]
			}
			return f.printHistory(os.Stdout, scenario)
		},
	}
	storeFlag(c, &f.store)
	c.Flags().BoolVar(&f.json, "json", false, "print everything as JSON")
	c.Flags().BoolVar(&f.csv, "csv", false, "print a line for each arm of each run as CSV")
	c.Flags().BoolVar(&f.html, "html", false, "print a page for a browser, with the rates over time")
	c.AddCommand(runsCommand(), pruneCommand())
	return c
}

// printWarning prints a warning about runs of a store.
func printWarning(text string) { fmt.Fprintf(os.Stderr, "snatlab: %s\n", printable.Line(text)) }

// printHistory prints the history in the form that the flags name.
func (f historyFlags) printHistory(w io.Writer, scenario string) error {
	s, err := openStore(f.store)
	if err != nil {
		return err
	}
	h, err := s.History(scenario)
	switch {
	case err != nil:
		return err
	case f.json:
		return resultfile.WriteJSON(w, h)
	case f.csv:
		for _, text := range h.Warnings {
			printWarning(text)
		}
		return export.WriteHistoryCSV(w, h)
	case f.html:
		return page.WriteHistory(w, h)
	case !s.Exists():
		_, err = fmt.Fprintf(w, "There is no store of results at %s: nothing has been stored yet. (%s.)\n", s.Dir(), whatStores)
		return err
	case len(h.Series) == 0 && scenario != "":
		fmt.Fprintf(w, "No run of %s is stored.\n", scenario)
	case len(h.Series) == 0:
		fmt.Fprintf(w, "Nothing has been stored yet. (%s.)\n", whatStores)
	}
	return trend.WriteHistory(w, h, screenOf(os.Stdout))
}

func pruneCommand() *cobra.Command {
	var (
		dir  string
		days int
		dry  bool
	)
	c := &cobra.Command{
		Use:   "prune",
		Short: "Thin out old results",
		Long: `Thin out old results, and name each result that is removed.

Every run of the last --keep-days days is kept. Of the older runs, these are kept
in each series and on each kernel: the first, the last, the first of each week,
and the runs on both sides of a change of verdict, of the run or of an arm. A run
with a label is kept until its folder is removed.
Half-written results of programs that died are removed as well. Nothing else in
the folder is changed.

Exit codes: 0, also if there is nothing to remove; 2 bad usage; 3 the store
cannot be read or written.`,
		Example: `  snatlab history prune --dry-run
  snatlab history prune --keep-days 365`,
		RunE: func(c *cobra.Command, _ []string) error {
			if days < 1 || days > 36500 {
				return usageError{c, fmt.Errorf("--keep-days: %d is out of range; allowed: 1 to 36500", days)}
			}
			s, err := openStore(dir)
			if err != nil {
				return err
			}
			pruned, err := s.Prune(store.Policy{Days: days}, time.Now(), dry)
			return errors.Join(printPruned(os.Stdout, pruned, s, dry), err)
		},
	}
	storeFlag(c, &dir)
	c.Flags().IntVar(&days, "keep-days", store.KeepDays, "days of which every run is kept")
	c.Flags().BoolVar(&dry, "dry-run", false, "only list what would be removed")
	return c
}

// printPruned lists what was removed, or would be.
func printPruned(w io.Writer, p store.Pruned, s *store.Store, dry bool) error {
	verb := "removed"
	if dry {
		verb = "would remove"
	}
	for _, name := range p.Leftovers {
		fmt.Fprintf(w, "%s %s, half-written\n", verb, printable.Line(name))
	}
	for _, r := range p.Runs {
		fmt.Fprintf(w, "%s %s\n", verb, printable.Line(fmt.Sprintf("%s: %s on %s", r.Folder, r.Key.Scenario, r.Kernel)))
	}
	if !s.Exists() {
		_, err := fmt.Fprintf(w, "There is no store of results at %s.\n", s.Dir())
		return err
	}
	runs, _, err := s.ListRuns()
	if err != nil {
		return err
	}
	left := len(runs)
	if dry {
		left -= len(p.Runs)
	}
	_, err = fmt.Fprintf(w, "%s %s of %s; kept %d\n", verb, format.Plural(len(p.Runs), "run", "runs"), s.Dir(), left)
	return err
}
