package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"snatlab/harness"
	"snatlab/harness/format"
	"snatlab/harness/lab"
	"snatlab/harness/lab/netns"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
	"snatlab/harness/scenario"
	"snatlab/harness/stats"
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

A comparison that is undecided is neither right nor wrong, and counts for no
verdict. With too few rounds for any verdict, nothing is run.

Exit codes: 0 no more verdicts are wrong than may be; 1 more are, beyond doubt;
2 bad usage, an invalid scenario, or too few rounds; 3 this machine cannot run
it, or it broke off; 4 inconclusive: most runs decided nothing of an arm, as the
race did not occur in the baseline or the comparison was undecided.`,
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
				return inUserNamespace(c, args[0])
			}
			return interruptible(func(ctx context.Context) error { return calibrate(ctx, s, runs, f.json) })
		},
	}
	c.Flags().IntVar(&runs, "runs", 100, "how many times")
	c.Flags().StringVar(&f.driver, "driver", "", "how to build the lab, instead of the scenario's: docker or netns")
	c.Flags().IntVar(&f.rounds, "rounds", 0, "number of rounds, instead of the scenario's")
	c.Flags().BoolVar(&f.json, "json", false, "print the counts as JSON")
	return c
}

func calibrate(ctx context.Context, s *scenario.Scenario, runs int, asJSON bool) (err error) {
	s = harness.Twice(s)
	site, err := prepareMachine(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.close()) }()
	id := newID(time.Now())
	open := func(ctx context.Context, run int) (lab.Lab, error) {
		return site.open(ctx, fmt.Sprintf("%s-%d", id, run+1), false, nil)
	}
	c, err := harness.Calibrate(ctx, s, runs, open, func(c *harness.Calibration) {
		fmt.Fprintf(os.Stderr, "run %d/%d: %d false", c.Runs, runs, c.Itself.Wrong)
		for _, a := range c.Arms {
			fmt.Fprintf(os.Stderr, ", %d missed (%s)", a.Wrong, a.Arm)
		}
		fmt.Fprintf(os.Stderr, ", %d inconclusive; %.1f s\n", c.Inconclusive, c.Seconds[c.Runs-1])
	})
	if c.Runs > 0 {
		if asJSON {
			_ = resultfile.WriteJSON(os.Stdout, c)
		} else {
			printCalibration(os.Stdout, s, c)
		}
	}
	if err != nil {
		return err
	}
	return calibrationCode(c)
}

func printCalibration(w io.Writer, s *scenario.Scenario, c *harness.Calibration) {
	tell := func(what string, t harness.Tally, word string) {
		low, high := stats.Proportion(t.Wrong, t.Decided(), result.Confidence)
		fmt.Fprintf(w, "%s: %d of %s %s (95 %% interval %s to %s)", what, t.Wrong,
			format.Plural(t.Decided(), "verdict", "verdicts"), word, format.Percent(low), format.Percent(high))
		if n := t.Undecided(); n > 0 {
			fmt.Fprintf(w, "; %d undecided", n)
		}
		fmt.Fprintln(w)
	}
	tell(c.Itself.Arm+" against itself", c.Itself, "false")
	for _, a := range c.Arms {
		tell(a.Arm+" against "+c.Itself.Arm, a, "missed")
	}
	fmt.Fprintf(w, "%d of %s inconclusive; %s of %s x %s, p < %g\n", c.Inconclusive, format.Plural(c.Runs, "run", "runs"),
		format.Plural(s.Rounds, "round", "rounds"), format.Plural(s.Clients, "client", "clients"),
		format.Plural(s.Load.Requests, "request", "requests"), result.Alpha)
}

// tolerated is the share of verdicts that may be wrong: of false ones that is
// what the test promises, of missed ones what is asked of the smallest scenario.
const tolerated = result.Alpha

// calibrationCode fails a tool that is wrong more often than it may be, beyond
// what chance explains.
func calibrationCode(c *harness.Calibration) error {
	all := append([]harness.Tally{c.Itself}, c.Arms...)
	if slices.ContainsFunc(all, func(t harness.Tally) bool { return 2*t.Decided() < c.Runs }) {
		return exitCode(exitInconclusive)
	}
	for _, t := range all {
		if low, _ := stats.Proportion(t.Wrong, t.Decided(), result.Confidence); low > tolerated {
			return exitCode(exitFail)
		}
	}
	return nil
}
