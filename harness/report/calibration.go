package report

import (
	"fmt"
	"io"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// WriteCalibration writes a line for each comparison of a calibration, and one for
// its runs.
func WriteCalibration(w io.Writer, c *result.Calibration) error {
	text := tallyLine(c.Itself.Arm+" against itself", c.Itself, "false")
	for _, a := range c.Arms {
		text += tallyLine(a.Arm+" against "+c.Itself.Arm, a, "missed")
	}
	s := c.Scenario
	_, err := fmt.Fprintf(w, "%s%d of %s inconclusive; %s of %s x %s, p < %g\n", text, c.Inconclusive, format.Plural(c.Runs, "run", "runs"),
		format.Plural(s.Rounds, "round", "rounds"), format.Plural(s.Clients, "client", "clients"),
		format.Plural(s.Requests, "request", "requests"), result.Alpha)
	return err
}

func tallyLine(comparison string, t result.Tally, wrong string) string {
	line := fmt.Sprintf("%s: %d of %s %s (95 %% interval %s to %s)", comparison, t.Wrong,
		format.Plural(t.CountDecided(), "verdict", "verdicts"), wrong, format.Percent(t.Low), format.Percent(t.High))
	if n := t.CountUndecided(); n > 0 {
		line += fmt.Sprintf("; %d undecided", n)
	}
	return line + "\n"
}

// WriteCalibrationProgress writes a line after a run of a calibration, of which
// there are so many in all.
func WriteCalibrationProgress(w io.Writer, c *result.Calibration, runs int) {
	fmt.Fprintf(w, "run %d/%d: %d false", c.Runs, runs, c.Itself.Wrong)
	for _, a := range c.Arms {
		fmt.Fprintf(w, ", %d missed (%s)", a.Wrong, a.Arm)
	}
	fmt.Fprintf(w, ", %d inconclusive; %.1f s\n", c.Inconclusive, c.Seconds[c.Runs-1])
}
