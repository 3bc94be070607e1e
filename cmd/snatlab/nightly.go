package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"snatlab/harness/history/nightly"
	"snatlab/harness/history/regression"
	"snatlab/harness/history/store"
	"snatlab/harness/lab/netns"
	"snatlab/harness/machine"
	"snatlab/harness/place"
	"snatlab/harness/report/export"
	"snatlab/harness/report/trend"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
	"snatlab/harness/scenario/strictyaml"
	"snatlab/harness/undo"
)

// nightlyFlags are the flags of `snatlab nightly`.
type nightlyFlags struct {
	scenarios string
	store     string
	known     string
	metrics   string
	pages     string
	driver    string
	attempts  int
	noWait    bool
	fleet     bool
	nodeFlags
	cluster clusterFlags
	formatFlags
}

func nightlyCommand() *cobra.Command {
	var f nightlyFlags
	c := &cobra.Command{
		Use:   "nightly [SCENARIO...]",
		Short: "Run scenarios, store the results, and report what differs from before",
		Long: `Run scenarios one after the other, store each result, compare it with the
earlier runs in the store, and print one screen: first whether the machine was
booted into a new kernel since the last run, then a line for each scenario.
Without SCENARIO, every *.yaml in the folder of --scenarios is run.

A regression is an arm under which more of the failures remain than its history
allows (the 99.9 % interval lies above that of at least 5 earlier nights), a new
cause of failure, or an expectation that held and is broken. A scenario with a
doubtful result is run again, up to --attempts times; all attempts are added up,
and a regression takes at least two. A change of the baseline's rate with a new
kernel is a shift, and no regression: the rate moves with timing. Failures in the
file of --known are named and do not count.

A scenario that cannot be run does not keep the others from being run. A second
nightly on the same store waits for the first, and a scenario on Docker waits for
another run on Docker; with --no-wait they end at once, with exit code 3.

With --fleet, each scenario is run with driver kubernetes on each node of a cluster
that --nodes selects, one node after the other, under the Lease of the node as by
snatlab fleet. A node is compared with its own earlier runs only.

Only warnings are written to standard error, and the progress on a terminal.
--pages DIR writes night.html, with what differs tonight, and history.html, with
all stored results over time: pages for a browser, each one file that loads nothing.

--json, --ktap, --csv and --markdown print another form of the screen. With
$GITHUB_STEP_SUMMARY, the Markdown is appended to that file. Results that cannot
be stored are printed, within the record of the night, as with --json.

Exit codes, the first that applies: 5 the host could not be restored: nothing
else was run, and the changes that are left are printed; 129, 130, 143
interrupted, host restored, finished runs stored; 1 a regression, or an
expectation failed; 3 a scenario could not be run, or a result could not be
stored; 4 inconclusive: too little was lost to compare arms, an expectation could
not be decided, or a doubt remained; 0 no regression, or only known ones. 2
bad usage. An invalid scenario, or one with too few rounds for a verdict, cannot
be run; if no scenario can be run, the exit code is 2.`,
		Example: `  snatlab nightly --metrics /var/lib/prometheus/node-exporter/snatlab.prom
  snatlab nightly scenarios/quickstart.yaml --junit junit.xml --no-wait
  snatlab nightly kubernetes-masquerade --fleet --nodes pool=web`,
		ValidArgsFunction: completeScenarios,
		RunE:              func(c *cobra.Command, args []string) error { return f.runNightly(c, args) },
	}
	c.Flags().StringVar(&f.scenarios, "scenarios", "/etc/snatlab/scenarios", "folder of the scenarios to run if none is named")
	storeFlag(c, &f.store)
	c.Flags().StringVar(&f.known, "known", "", "file of known failures, see docs/nightly.md")
	c.Flags().StringVar(&f.metrics, "metrics", "", "write the outcome to this file, for node_exporter's textfile collector (*.prom)")
	c.Flags().StringVar(&f.pages, "pages", "", "write night.html and history.html, pages for a browser, to this folder")
	c.Flags().StringVar(&f.driver, "driver", "", "driver of the labs, instead of the scenarios': "+driverChoice)
	c.Flags().IntVar(&f.attempts, "attempts", 3, "most runs of a scenario that has a doubtful result: 2 to 10")
	c.Flags().BoolVar(&f.noWait, "no-wait", false, "end at once if another nightly or run is active")
	c.Flags().BoolVar(&f.fleet, "fleet", false, "run on every node of a cluster that --nodes selects, with driver kubernetes")
	f.addNodes(c, "with --fleet: ")
	f.cluster.addCluster(c, "node of the clients (default: the first that is ready)")
	f.addFormats(c, "the record of the night")
	return c
}

// runNightly checks the flags and the files before anything is run.
func (f nightlyFlags) runNightly(c *cobra.Command, args []string) error {
	if f.attempts < 2 || f.attempts > 10 {
		return usageError{c, fmt.Errorf("--attempts: %d is out of range; allowed: 2 to 10 (one alone confirms nothing)", f.attempts)}
	}
	if f.metrics != "" && filepath.Ext(f.metrics) != ".prom" {
		return usageError{c, fmt.Errorf("--metrics: %s does not end in .prom: node_exporter's textfile collector reads no other file", f.metrics)}
	}
	if err := f.checkFleet(); err != nil {
		return usageError{c, err}
	}
	if f.fleet {
		f.driver = result.DriverKubernetes
	}
	if err := f.checkFormats(c); err != nil {
		return err
	}
	if f.store == "" {
		f.store = store.DefaultDir()
	}
	known, err := f.readKnown(c)
	if err != nil {
		return err
	}
	tasks, err := f.readTasks(c, args)
	if err != nil {
		return err
	}
	if err := f.checkCluster(tasks); err != nil {
		return usageError{c, err}
	}
	if slices.ContainsFunc(tasks, needsNamespaces) && !netns.IsPrivileged() {
		return f.rerunInUserNamespace()
	}
	for _, t := range tasks {
		if t.Err != nil {
			printError(withoutHelp(t.Err))
		}
	}
	return runInterruptible(func(ctx context.Context) error { return f.runNight(ctx, c, tasks, known) })
}

// checkFleet refuses flags that do not fit --fleet, or require it.
func (f nightlyFlags) checkFleet() error {
	switch {
	case !f.fleet && f.nodeFlags != nodeFlags{leases: defaultLeases}:
		return errors.New("--nodes and --leases are for the nodes of a fleet (--fleet)")
	case f.fleet && f.driver != "" && f.driver != result.DriverKubernetes:
		return fmt.Errorf("--driver: a fleet is run with driver %s, and this one is %s (leave --driver out)", result.DriverKubernetes, f.driver)
	case f.fleet && f.cluster.node != "":
		return errors.New("--node: a fleet takes the nodes of --nodes; allowed: kubernetes.io/hostname=NAME there")
	}
	return nil
}

// checkCluster refuses the flags of a cluster if no scenario is run in one.
func (f nightlyFlags) checkCluster(tasks []nightly.Task) error {
	var err error
	for _, t := range tasks {
		if err = f.cluster.check(t.Driver); err == nil {
			return nil
		}
	}
	return err
}

// readKnown reads the file of --known.
func (f nightlyFlags) readKnown(c *cobra.Command) ([]regression.KnownFailure, error) {
	if f.known == "" {
		return nil, nil
	}
	known, err := regression.ReadKnown(f.known)
	if err != nil && !errors.As(err, new(strictyaml.Faults)) {
		return nil, usageError{c, fmt.Errorf("--known: %w", err)}
	}
	return known, err
}

// rerunInUserNamespace runs this command again in a user namespace, with the store of this
// user.
func (f nightlyFlags) rerunInUserNamespace() error {
	if err := nameStore(f.store); err != nil {
		return err
	}
	code, err := netns.Reexec(endSignals(), os.Args[1:]...)
	if err != nil {
		return err
	}
	return exitCode(code)
}

// runNight runs the night under the lock of the store.
func (f nightlyFlags) runNight(ctx context.Context, c *cobra.Command, tasks []nightly.Task, known []regression.KnownFailure) error {
	kept, err := store.Open(f.store)
	if err != nil {
		return err
	}
	var on *clusterNodes
	if f.fleet {
		if on, err = f.connect(ctx, f.cluster, result.CommandNightly); err != nil {
			return err
		}
	}
	// A full disk is reported before the runs, not after them.
	folder, err := resultfile.PrepareFolder(f.store)
	if err != nil {
		return fmt.Errorf("make room for results: %w (another folder: --store)", err)
	}
	defer folder.Close()
	if err := cmp.Or(checkReportFile(c, "junit", f.junit), checkReportFile(c, "metrics", f.metrics), f.checkPages(c)); err != nil {
		return err
	}
	var lock *undo.Lock
	err = f.takeLock(ctx, func() (err error) { lock, err = undo.TakeStoreLock(f.store, "nightly"); return err })
	if err != nil {
		return err
	}
	defer lock.Release()
	n := nightly.Runner{
		ID: resultfile.NewRunID(time.Now()), Version: version, Node: machine.ReadNodeName(), Machine: machine.ReadFacts(""),
		Store: kept, Known: known, Attempts: f.attempts, Jobs: f.makeJobs(tasks, on),
	}
	record, err := n.Run(ctx)
	return f.reportNight(record, kept, err)
}

// checkReportFile checks that a report can be written. It is written in place of the
// file at path, which must therefore not be a device.
func checkReportFile(c *cobra.Command, flag, path string) error {
	if path == "" {
		return nil
	}
	folder, err := place.OpenFolder(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("--%s: %w", flag, err)
	}
	defer folder.Close()
	if err := place.CheckReplaceable(folder, filepath.Base(path)); err != nil {
		return usageError{c, fmt.Errorf("--%s: %s: %w", flag, path, err)}
	}
	file, err := renameio.NewPendingFile(filepath.Base(path), renameio.WithRoot(folder))
	if err != nil {
		return fmt.Errorf("--%s: %w", flag, err)
	}
	return file.Cleanup()
}

// reportNight prints the night, writes its reports, and returns the error that sets the
// exit code: err, if there is one.
func (f nightlyFlags) reportNight(record *result.Night, kept *store.Store, err error) error {
	write := nightRenderers.choose(f.formatFlags, onScreen(trend.WriteNight))
	if record.Store.Error != "" && !f.json {
		fmt.Fprintln(os.Stderr, "results could not be stored: they are on standard output, as JSON")
		write = resultfile.WriteJSON[*result.Night]
	}
	failed := errors.Join(write(os.Stdout, record), nightRenderers.writeFiles(f.formatFlags, record), f.writePages(record, kept))
	if f.metrics != "" {
		// Another user reads it, whatever the umask is.
		failed = errors.Join(failed, resultfile.WritePublicFile(f.metrics, func(w io.Writer) error { return export.WriteMetrics(w, record) }))
	}
	printError(failed)
	if err != nil {
		return err
	}
	return nightlyCode(record, failed)
}

// nightlyCode returns the exit code of a night that ended by itself.
func nightlyCode(record *result.Night, failed error) error {
	has := func(some ...result.Outcome) bool {
		return slices.ContainsFunc(record.Runs, func(j result.NightRun) bool { return slices.Contains(some, j.Outcome) })
	}
	switch {
	case has(result.OutcomeRegression, result.OutcomeFail):
		return exitCode(exitFail)
	case has(result.OutcomeError), record.Store.Error != "", failed != nil:
		return exitCode(exitUnable)
	case has(result.OutcomeInconclusive):
		return exitCode(exitInconclusive)
	default:
		return nil
	}
}
