package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"snatlab/harness"
	"snatlab/harness/lab"
	"snatlab/harness/lab/netns"
	"snatlab/harness/report"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
	"snatlab/harness/scenario"
	"snatlab/harness/verdict"
)

func calibrateCommand() *cobra.Command {
	var f runFlags
	var runs int
	c := &cobra.Command{
		Use:   "calibrate SCENARIO",
		Short: "Measure how often this tool's verdicts are wrong on this machine",
		Long: `Run the baseline of a scenario against itself, many times, and count how often
a difference is found where there is none; and against each of its other arms,
which are known to mitigate, and count how often that is missed.

An undecided comparison is neither right nor wrong, and is not counted as a
verdict. With too few rounds for any verdict, nothing is run.

Exit codes: 0 at most 1 % of the verdicts are wrong, or chance may explain that
more are; 1 more than 1 % are wrong, and chance does not explain it; 2 bad usage,
an invalid scenario, or too few rounds; 3 this machine cannot run it, or it ended
with an error; 4 inconclusive: for some arm, more than half of the runs decided
nothing, since the race did not occur in the baseline or the comparison was
undecided.`,
		Example:           `  snatlab calibrate scenarios/calibrate.yaml --runs 100`,
		ValidArgsFunction: completeFiles("yaml"),
		RunE: func(c *cobra.Command, args []string) error {
			if runs < 1 || runs > 10_000 {
				return usageError{c, fmt.Errorf("--runs: %d is out of range; allowed: 1 to 10000", runs)}
			}
			s, err := readScenario(c, args[0], f)
			if err != nil {
				return err
			}
			if few := new(verdict.FewRoundsError); errors.As(verdict.CheckRounds(s.Rounds, 2, nil), &few) {
				return usageError{c, fmt.Errorf("%w (--rounds %d)", few, few.Least)}
			}
			if s.Driver == result.DriverNetns && !netns.IsPrivileged() {
				return rerunInUserNamespace(c, args[0])
			}
			return runInterruptible(func(ctx context.Context) error { return calibrate(ctx, s, runs, f.json) })
		},
	}
	c.Flags().IntVar(&runs, "runs", 100, "number of runs")
	c.Flags().StringVar(&f.driver, "driver", "", "driver that builds the lab, instead of the scenario's: "+driverChoice)
	c.Flags().IntVar(&f.rounds, "rounds", 0, "number of rounds, instead of the scenario's")
	c.Flags().BoolVar(&f.json, "json", false, "print the counts as JSON")
	return c
}

// calibrate runs the calibration and prints it, also if it ended early.
func calibrate(ctx context.Context, s *scenario.Scenario, runs int, asJSON bool) (err error) {
	ready, err := prepareMachine(ctx, harness.WithDuplicateBaseline(s))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ready.close()) }()
	open := func(ctx context.Context, id string) (lab.Lab, error) { return ready.open(ctx, id, false, nil) }
	done := func(c *result.Calibration) { report.WriteCalibrationProgress(os.Stderr, c, runs) }
	c, err := harness.Calibrate(ctx, s, runs, open, done, harness.RunOptions{ID: resultfile.NewRunID(time.Now()), Version: version})
	switch {
	case c.Runs == 0:
	case asJSON:
		_ = resultfile.WriteJSON(os.Stdout, c)
	default:
		_ = report.WriteCalibration(os.Stdout, c)
	}
	if err != nil {
		return err
	}
	return verdictCode(c.Verdict)
}
