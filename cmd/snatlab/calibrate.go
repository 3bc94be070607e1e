package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"snatlab/harness"
	"snatlab/harness/lab"
	"snatlab/harness/lab/netns"
	"snatlab/harness/report/calibration"
	"snatlab/harness/report/page"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
	"snatlab/harness/scenario"
)

func calibrateCommand() *cobra.Command {
	var f runFlags
	var runs int
	var markdown bool
	c := &cobra.Command{
		Use:   "calibrate SCENARIO",
		Short: "Measure how often this tool's verdicts are wrong on this machine",
		Long: `Run a scenario many times and hold the verdicts against the truth, which is known
of each arm: under the baseline, a second time, all failures remain; under
random_fully none but chance collisions; under removes: 90% a tenth.

For each arm these are counted: the verdicts; those that are false (any difference
of the baseline from itself, mitigated where 98 % are removed); the runs in which
the 95 % and the 99.9 % interval of the share that remains held the truth. A
verdict that says less than the truth, or undecided, is counted and is not false:
more hits would decide it.

With --out DIR, calibration.json, calibration.md and calibration.html, a page for a
browser, are written to DIR, where they replace those of an earlier calibration.

Exit codes: 0 no more is wrong than is promised, or chance may explain it; 1 more
verdicts are false than 0.1 %, or an interval misses the truth more often than it
promises, and chance does not explain it; 2 bad usage, an invalid scenario, or an
arm whose truth is not known; 3 this machine cannot run it, or it ended with an
error; 4 inconclusive: for some arm, more than half of the runs measured nothing,
since its control lost no request.`,
		Example:           `  snatlab calibrate scenarios/calibrate.yaml --runs 100`,
		ValidArgsFunction: completeScenarios,
		RunE: func(c *cobra.Command, args []string) error {
			if runs < 1 || runs > 10_000 {
				return usageError{c, fmt.Errorf("--runs: %d is out of range; allowed: 1 to 10000", runs)}
			}
			s, err := readScenario(c, args[0], f)
			if err != nil {
				return err
			}
			if err := harness.CheckTruth(s); err != nil {
				return usageError{c, err}
			}
			write := onScreen(calibration.WriteText)
			switch {
			case f.json && markdown:
				return usageError{c, errors.New("--json and --markdown exclude each other")}
			case f.json:
				write = func(w io.Writer, c *result.Calibration) error { return resultfile.WriteJSON(w, c) }
			case markdown:
				write = calibration.WriteMarkdown
			}
			if s.Driver == result.DriverNetns && !netns.IsPrivileged() {
				return rerunInUserNamespace(c, args[0])
			}
			return runInterruptible(func(ctx context.Context) error { return calibrateInto(ctx, f.out, s, runs, write) })
		},
	}
	c.Flags().IntVar(&runs, "runs", 100, "number of runs")
	c.Flags().StringVar(&f.out, "out", "", "folder for calibration.json, calibration.md and calibration.html")
	c.Flags().StringVar(&f.driver, "driver", "", "driver that builds the lab, instead of the scenario's: "+driverChoice)
	c.Flags().IntVar(&f.rounds, "rounds", 0, "exact number of rounds, instead of the scenario's")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON, with what each run said about each arm")
	c.Flags().BoolVar(&markdown, "markdown", false, "print Markdown")
	return c
}

// calibrateInto runs the calibration, prints it, and writes it to the folder of --out. A
// folder that cannot be written is reported before the runs, not after them.
func calibrateInto(ctx context.Context, out string, s *scenario.Scenario, runs int, write func(io.Writer, *result.Calibration) error) error {
	if out == "" {
		return calibrate(ctx, s, runs, write)
	}
	folder, err := resultfile.PrepareFolder(out)
	if err != nil {
		return fmt.Errorf("prepare the folder of the calibration: %w", err)
	}
	defer folder.Close()
	defer folder.RemoveEmpty()
	return calibrate(ctx, s, runs, func(w io.Writer, c *result.Calibration) error {
		err := errors.Join(write(w, c),
			folder.Write("calibration.json", func(w io.Writer) error { return resultfile.WriteJSON(w, c) }),
			folder.Write("calibration.md", func(w io.Writer) error { return calibration.WriteMarkdown(w, c) }),
			folder.Write("calibration.html", func(w io.Writer) error { return page.WriteCalibration(w, c) }))
		if err == nil {
			fmt.Fprintf(os.Stderr, "calibration.json, calibration.md and calibration.html are in %s\n", out)
		}
		return err
	})
}

// calibrate runs the calibration and prints it, also if it ended early.
func calibrate(ctx context.Context, s *scenario.Scenario, runs int, write func(io.Writer, *result.Calibration) error) (err error) {
	ready, err := prepareMachine(ctx, harness.WithDuplicateBaseline(s), clusterFlags{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ready.close()) }()
	progress := newProgress()
	open := func(ctx context.Context, run int, id string) (lab.Lab, error) {
		progress.EqualPart("run", run, runs)
		return ready.open(ctx, id, false, onTerminal(progress.Say))
	}
	// In a log, a line for each run says more than those of its trials.
	var watch harness.Watcher = noWatcher{}
	done := func(c *result.Calibration) { calibration.WriteProgress(os.Stderr, c, runs, screenOf(os.Stderr)) }
	if canOverwrite(os.Stderr) {
		watch, done = progress, func(*result.Calibration) {}
	}
	c, err := harness.Calibrate(ctx, s, runs, open, watch, done, harness.RunOptions{ID: resultfile.NewRunID(time.Now()), Version: version})
	progress.Close()
	if c.Runs > 0 {
		err = errors.Join(err, write(os.Stdout, c))
	}
	if err != nil {
		return err
	}
	return verdictCode(c.Verdict)
}

// noWatcher watches nothing.
type noWatcher struct{}

func (noWatcher) Start(result.Progress)               {}
func (noWatcher) Done(result.Progress, *result.Trial) {}

// onTerminal returns say if standard error is a terminal whose line is overwritten, else
// nil: many labs are built in a row, and a log would be full of them.
func onTerminal(say func(string)) func(string) {
	if canOverwrite(os.Stderr) {
		return say
	}
	return nil
}
