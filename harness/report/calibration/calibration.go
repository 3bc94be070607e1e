// Package calibration prints what `snatlab calibrate` found.
package calibration

import (
	"fmt"
	"io"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/report/layout"
	"snatlab/harness/result"
	"snatlab/harness/wording/calibrated"
)

// WriteText writes a paragraph for each arm, and one about the calibration as a whole.
func WriteText(w io.Writer, c *result.Calibration, on layout.Screen) error {
	p := layout.NewPage(on)
	for i, t := range c.Tallies() {
		p.WriteHanging("", calibrated.NameTally(c, i))
		for _, line := range calibrated.DescribeTally(t) {
			p.WriteHanging("  ", line)
		}
	}
	p.WriteLine("")
	lines := append(calibrated.Summarise(c), calibrated.DescribeLoad(c))
	lines[0] = calibrated.Headline(c) + ": " + lines[0]
	for _, line := range lines {
		p.WriteHanging("", line)
	}
	_, err := io.WriteString(w, p.String())
	return err
}

// WriteMarkdown writes the same with a table of the arms.
func WriteMarkdown(w io.Writer, c *result.Calibration) error {
	var text strings.Builder
	fmt.Fprintf(&text, "# calibration of %s: %s\n\n", c.Scenario.Name, calibrated.Headline(c))
	for _, line := range append(calibrated.Summarise(c), calibrated.DescribeLoad(c)) {
		fmt.Fprintf(&text, "- %s\n", line)
	}
	text.WriteString("\n| arm | remains in truth | over all runs | false verdicts | verdicts | less than the truth | 95 % interval held | 99.9 % interval held |\n|---|---|---|---|---|---|---|---|\n")
	for i, t := range c.Tallies() {
		cells := []string{
			calibrated.NameTally(c, i), calibrated.RemainingShare(t.Remaining), pooled(t),
			fmt.Sprintf("%d of %d", t.Wrong, len(t.Outcomes)), calibrated.CountVerdicts(t.Verdicts), fmt.Sprint(t.Missed),
		}
		for _, v := range t.Intervals {
			cells = append(cells, fmt.Sprintf("%d of %d", v.Held, v.Runs))
		}
		fmt.Fprintf(&text, "| %s |\n", strings.Join(cells, " | "))
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// WriteProgress writes lines after a run of a calibration, of which there are so many in
// all: the verdict about each arm, and the share that remained.
func WriteProgress(w io.Writer, c *result.Calibration, runs int, on layout.Screen) {
	var arms []string
	for _, t := range c.Tallies() {
		if len(t.Outcomes) == 0 {
			continue
		}
		o := t.Outcomes[len(t.Outcomes)-1]
		share := ""
		if o.Remaining != nil {
			share = " " + format.Optional(o.Remaining.Estimate, format.Percent)
		}
		arms = append(arms, fmt.Sprintf("%s %s%s", t.Arm, o.Verdict, share))
	}
	p := layout.NewPage(on)
	p.WriteHanging(fmt.Sprintf("run %d/%d, %.1f s: ", c.Runs, runs, c.Seconds[c.Runs-1]), strings.Join(arms, ", "))
	_, _ = io.WriteString(w, p.String())
}

func pooled(t result.Tally) string {
	if t.Pooled == nil || t.Pooled.Estimate == nil {
		return "-"
	}
	return format.Percent(*t.Pooled.Estimate)
}
