package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"snatlab/harness"
	"snatlab/harness/lab"
	"snatlab/harness/lab/netns"
	"snatlab/harness/report"
	"snatlab/harness/report/export"
	"snatlab/harness/report/layout"
	"snatlab/harness/report/page"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
	"snatlab/harness/scenario"
	"snatlab/harness/scenario/strictyaml"
)

// runFlags are the flags of `snatlab run`.
type runFlags struct {
	out    string
	driver string
	rounds int
	keep   bool
	force  bool

	explain bool
	storeFlags
	formatFlags
	cluster clusterFlags
}

func runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run SCENARIO",
		Short: "Run a scenario and write the before/after comparison",
		Long: `Run a scenario: build its lab, run its arms in turns, restore the host, and write
result.json, report.md and report.html. SCENARIO is a file, or the name of a ready
scenario (snatlab scenarios lists them).

During the run, its progress is shown on standard error: in one line on a terminal,
in a line for each trial elsewhere. The answer is printed on standard output, as
wide as the terminal, or 80 columns: is this machine affected, which arm fixes it, at
what cost, and what limits the figures. --full prints all figures, rules and warnings.

--json, --ktap, --csv and --markdown print another form of the result instead, and
--junit FILE writes one more. With --ktap and --junit each arm and each expectation
is a test: a refuted expectation fails, what could not be decided is skipped, and a
run that broke off is an error. With $GITHUB_STEP_SUMMARY, the Markdown is appended
to that file.

The first trial is a warm-up. Then every arm is run once in each round, until the
control of each arm has lost 1,100 requests, or what else the scenario sets (until).
With --rounds N, there are N rounds.

A run with too few rounds for any verdict is not started without --force. Where an
arm has no control (pattern ephemeral, sysctls of an arm), two arms need 7 rounds
and up to seven need 8; an expected latency needs 4. Other runs need 1: their
verdicts depend on hits, not on rounds.

Exit codes: 0 every expectation held (without any: there were the failures to
compare arms by); 1 an expectation is refuted; 2 bad usage, an invalid scenario,
or too few rounds; 3 this machine cannot run it, or the run ended with an error; 4
inconclusive: too little was lost to show any difference, the baseline and its own
control differ, or an expectation could not be decided; 5 the host could not be
restored, and the changes that are left are printed; 129, 130, 143 interrupted,
host restored, partial result kept; 134 Go's runtime got no memory or thread (see
snatlab cleanup).

The files of --out are for people to read, move and remove. The record of the run is
kept in the store as well, where report and compare find it by its ID, its kernel or
its --label; --no-store leaves it out. If the store cannot be written, that is a
warning. snatlab history runs lists what is kept.

A result is never replaced without --force: with --out DIR, DIR must not contain
one.

With --keep the lab is kept, unless the run was interrupted. The commands to
inspect and to remove it are printed.`,
		Example: `  snatlab run quickstart
  snatlab run docker-masquerade --rounds 20 --label before-upgrade`,
		ValidArgsFunction: completeScenarios,
		RunE: func(c *cobra.Command, args []string) error {
			s, err := readScenario(c, args[0], f)
			if err != nil {
				return err
			}
			if err := cmp.Or(f.checkOut(), f.cluster.check(s.Driver)); err != nil {
				return usageError{c, err}
			}
			if err := f.storeFlags.check(c); err != nil {
				return err
			}
			if err := checkRounds(c, s, f.force); err != nil {
				return err
			}
			if err := cmp.Or(f.checkFormats(c), checkReportFile(c, "junit", f.junit)); err != nil {
				return err
			}
			if s.Driver == result.DriverNetns && !netns.IsPrivileged() {
				return f.showNoResult(s, f.rerunInUserNamespace(c, args[0]))
			}
			return f.runAndKeep(s)
		},
	}
	c.Flags().StringVar(&f.out, "out", "", "folder for result.json, report.md and report.html (default results/ID)")
	c.Flags().StringVar(&f.driver, "driver", "", "driver that builds the lab, instead of the scenario's: "+driverChoice)
	c.Flags().IntVar(&f.rounds, "rounds", 0, "exact number of rounds, instead of the scenario's")
	f.storeFlags.add(c)
	f.cluster.addCluster(c, "node of the clients (default: the first that is ready)")
	f.addFormats(c, "the result")
	f.addFull(c)
	c.Flags().BoolVar(&f.explain, "explain", false, "look up every request that got no answer in the conntrack table")
	c.Flags().BoolVar(&f.force, "force", false, "run even if DIR contains a result, or the rounds are too few for a verdict")
	c.Flags().BoolVar(&f.keep, "keep", false, "keep the lab, and print how to inspect it")
	return c
}

// rerunInUserNamespace runs the scenario in a user namespace, and keeps it in the store of
// this user.
func (f runFlags) rerunInUserNamespace(c *cobra.Command, path string) error {
	if err := nameStore(f.store); err != nil {
		return err
	}
	return rerunInUserNamespace(c, path)
}

// rerunInUserNamespace starts this command again in a user namespace, where it is
// privileged. The new process reads the scenario again.
func rerunInUserNamespace(c *cobra.Command, path string) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() { // beside a folder, it is a ready scenario
		return usageError{c, fmt.Errorf("%s is not a regular file: without root, the scenario is read twice", path)}
	}
	code, err := netns.Reexec(endSignals(), os.Args[1:]...)
	if err != nil {
		return err
	}
	return exitCode(code)
}

// readScenario reads a file or a ready scenario, and replaces its values with those of
// flags.
func readScenario(c *cobra.Command, path string, f runFlags) (*scenario.Scenario, error) {
	return readWith(c, findScenario, path, f)
}

// readWith is readScenario with another way to find the scenario.
func readWith(c *cobra.Command, find func(path string) (*scenario.Scenario, error), path string, f runFlags) (*scenario.Scenario, error) {
	s, err := find(path)
	if err != nil && !errors.As(err, new(strictyaml.Faults)) {
		return nil, usageError{c, err}
	}
	if err != nil {
		return nil, err
	}
	if c.Flags().Changed("driver") {
		if err := s.SetDriver(f.driver); err != nil {
			return nil, usageError{c, fmt.Errorf("--%w", err)}
		}
	}
	if c.Flags().Changed("rounds") {
		if err := s.SetRounds(f.rounds); err != nil {
			return nil, usageError{c, fmt.Errorf("--%w", err)}
		}
	}
	return s, nil
}

// runAndKeep runs the scenario, and prints how to inspect and remove a kept lab. If the
// lab exists only while this process does, the process stays in the background.
func (f runFlags) runAndKeep(s *scenario.Scenario) error {
	var kept *lab.Kept
	err := runInterruptible(func(ctx context.Context) (err error) {
		kept, err = f.runScenario(ctx, s)
		return err
	})
	if kept == nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "\nThe lab is kept. To inspect it:\n  %s\nTo remove it:\n  %s\n", strings.Join(kept.Look, "\n  "), kept.Remove)
	if !kept.Held {
		return err
	}
	printError(err)
	code := codeOf(err)
	if err := netns.StayInBackground(code); err != nil {
		return err
	}
	return exitCode(code)
}

// runScenario runs the scenario and returns the kept lab; nil if it was closed.
func (f runFlags) runScenario(ctx context.Context, s *scenario.Scenario) (kept *lab.Kept, err error) {
	id := resultfile.NewRunID(time.Now())
	dir := f.out
	if dir == "" {
		dir = filepath.Join("results", id)
	}
	ready, err := prepareMachine(ctx, s, f.cluster)
	if err != nil {
		return nil, f.showNoResult(s, err)
	}
	defer func() { err = errors.Join(err, ready.close()) }()
	// Before the run: a result that cannot be written is lost.
	folder, err := resultfile.PrepareFolder(dir)
	if err != nil {
		return nil, f.showNoResult(s, fmt.Errorf("make room for the result: %w", err))
	}
	defer folder.Close()
	warnOfRounds(os.Stderr, s)
	if text := f.storeFlags.describeChanges(s); text != "" {
		printWarning(text)
	}
	keep := &keptLab{}
	finished := false
	defer func() {
		if !finished { // a panic
			printError(keep.closeLab(ctx))
		}
	}()
	r, runErr := f.runExperiment(ctx, s, ready, id, keep)
	if runErr != nil && !r.HasTrials() {
		folder.RemoveEmpty() // nothing to report
		runErr = f.showNoResult(s, runErr)
	} else if runErr = errors.Join(runErr, f.recordResult(dir, folder, r)); runErr == nil {
		runErr = verdictCode(r.Verdict)
	}
	kept, err = keep.finish(ctx)
	finished = true
	return kept, errors.Join(err, runErr)
}

// runExperiment opens the lab and runs the scenario in it.
func (f runFlags) runExperiment(ctx context.Context, s *scenario.Scenario, ready *readyMachine, id string, keep *keptLab) (*result.Result, error) {
	progress := newProgress()
	defer progress.Close()
	r, err := harness.Run(ctx, s, func(ctx context.Context) (lab.Lab, error) {
		opened, err := ready.open(ctx, id, f.keep, progress.Say)
		if err != nil || !f.keep {
			return opened, err
		}
		keep.Keeper = opened
		return keep, nil
	}, progress, harness.RunOptions{ID: id, Version: version, Command: result.CommandRun, Label: f.label, Explain: f.explain})
	return r, err
}

// checkOut refuses a folder that contains a result.
func (f runFlags) checkOut() error {
	if f.out == "" || f.force {
		return nil
	}
	if name := resultfile.FindResult(f.out); name != "" {
		return fmt.Errorf("--out: %s already contains a %s (name another folder, or replace the result with --force)", f.out, name)
	}
	return nil
}

// recordResult writes the result to its folder, keeps it in the store, and prints it. A
// result that could not be written to its folder is printed as JSON: a program that reads
// the folder would not look for it in the store.
func (f runFlags) recordResult(dir string, folder *resultfile.Folder, r *result.Result) error {
	written := folder.WriteResult(r, resultfile.Reports{Markdown: report.WriteMarkdown, HTML: page.WriteRun}, f.force)
	kept := f.keepRun(r)
	if written != nil {
		fmt.Fprintln(os.Stderr, "the result could not be written to its folder; it is printed to standard output as JSON")
		return errors.Join(written, resultfile.WriteJSON(os.Stdout, r), runRenderers.writeFiles(f.formatFlags, r))
	}
	return f.printResult(dir, kept, r)
}

// printResult prints a result that was written to dir and is kept, and writes its other
// files.
func (f runFlags) printResult(dir, kept string, r *result.Result) error {
	screen := func(w io.Writer, r *result.Result) error {
		if err := f.textOf()(w, r); err != nil {
			return err
		}
		last := layout.NewPage(screenOf(os.Stdout))
		last.WriteField("report", fmt.Sprintf("report.html, report.md and result.json in %s", dir))
		if kept != "" {
			last.WriteField("kept", kept)
		}
		_, err := io.WriteString(w, last.String())
		return err
	}
	return errors.Join(runRenderers.choose(f.formatFlags, screen)(os.Stdout, r), runRenderers.writeFiles(f.formatFlags, r))
}

// showNoResult writes the test of a run that has no result, an error, where KTAP or JUnit
// is asked for: CI reads nothing else. It returns err.
func (f runFlags) showNoResult(s *scenario.Scenario, err error) error {
	if _, shown := err.(exitCode); err == nil || shown { // by the run in a user namespace
		return err
	}
	r := &result.Result{Schema: result.Schema, Version: version, Scenario: s.Summary(), Started: time.Now().UTC(), Verdict: result.Inconclusive, Incomplete: err.Error()}
	if f.ktap {
		err = errors.Join(err, export.WriteRunKTAP(os.Stdout, r))
	}
	return errors.Join(err, runRenderers.writeJUnit(f.formatFlags, r))
}

// verdictCode returns the exit code of a complete run.
func verdictCode(v result.Verdict) error {
	switch v {
	case result.Pass:
		return nil
	case result.Fail:
		return exitCode(exitFail)
	default:
		return exitCode(exitInconclusive)
	}
}
