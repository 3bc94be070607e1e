package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"snatlab/harness"
	"snatlab/harness/format"
	"snatlab/harness/scenario"
	"snatlab/harness/verdict"
)

// checkRounds refuses a scenario whose rounds are too few to decide it, unless force
// is set.
func checkRounds(c *cobra.Command, s *scenario.Scenario, force bool) error {
	few := new(verdict.FewRoundsError)
	if force || !errors.As(harness.CheckEnoughRounds(s), &few) {
		return nil
	}
	return usageError{c, fmt.Errorf("%w (--rounds %d), or --force to run anyway", few, few.Least)}
}

// warnOfRounds warns before a run that cannot come to a verdict, or to a verdict about
// its arms.
func warnOfRounds(w io.Writer, s *scenario.Scenario) {
	if err := harness.CheckEnoughRounds(s); err != nil {
		fmt.Fprintln(w, err)
		return
	}
	n := harness.CountByTrials(s)
	if least := verdict.MinRounds(len(s.Arms) - 1); n > 0 && s.MostRounds() < least {
		fmt.Fprintf(w, "%s too few to compare %s without a control, which will be undecided: use at least %d\n",
			format.Plural(s.MostRounds(), "round is", "rounds are"), format.Plural(n, "arm", "arms"), least)
	}
}
