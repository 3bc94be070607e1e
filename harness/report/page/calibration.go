package page

import (
	"fmt"
	"io"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/wording"
	"snatlab/harness/wording/calibrated"
)

// calibrationPage is what calibration.html shows.
type calibrationPage struct {
	Title    string
	Headline string
	Class    string
	Lines    []string
	Arms     []calibratedArm
	False    *stripChart
	Held     *stripChart
	Runs     []dotChart // of each arm, the share that each run found
	Thinned  string
	Figures  table
	Machine  table
}

// A calibratedArm is one line of the answer.
type calibratedArm struct {
	Name  string
	Wrong bool
	Lines []string
}

// WriteCalibration writes the page of a calibration: how often verdicts were false, how
// often intervals held the truth, and what each run found.
func WriteCalibration(w io.Writer, c *result.Calibration) error {
	p := calibrationPage{Title: c.Scenario.Name, Headline: calibrated.Headline(c), Lines: sentences(calibrated.Summarise(c)),
		False: drawFalseVerdicts(c), Held: drawCoverage(c), Figures: tallyTable(c), Machine: calibratedMachine(c)}
	switch c.Verdict {
	case result.Pass:
		p.Class = "not-affected"
	case result.Fail:
		p.Class = "affected"
	}
	for i, t := range c.Tallies() {
		p.Arms = append(p.Arms, calibratedArm{calibrated.NameTally(c, i), t.Wrong > 0, calibrated.DescribeTally(t)})
		if chart, ok := drawFound(c, i); ok {
			p.Runs = append(p.Runs, chart)
		}
	}
	if each := thinRuns(c); each > 1 {
		p.Thinned = fmt.Sprintf("Of every %s runs, one is drawn.", thousands(each))
	}
	return write(w, "calibration.html", p)
}

// sentences returns clauses as sentences.
func sentences(clauses []string) (all []string) {
	for _, text := range clauses {
		all = append(all, strings.ToUpper(text[:1])+text[1:]+".")
	}
	return all
}

// drawFalseVerdicts draws how often the verdict about each arm was false.
func drawFalseVerdicts(c *result.Calibration) *stripChart {
	most := result.Alpha
	for _, t := range c.Tallies() {
		most = max(most, t.High)
	}
	s, ticks := fromZero(min(1, most), 5)
	chart := &stripChart{ID: "false", Title: "False verdicts", Ticks: s.alongX(ticks, shortPercent),
		About: fmt.Sprintf("Each strip: the share of the runs whose verdict is false (diamond), and its 95 %% interval. The ring is what is promised: at most %s. A calibration fails only if chance does not explain that more are false.", format.Percent(result.Alpha))}
	for i, t := range c.Tallies() {
		runs := len(t.Outcomes)
		row := strip{Name: calibrated.NameTally(c, i), Ring: s.percent(result.Alpha), Text: fmt.Sprintf("%s of %s", thousands(t.Wrong), format.Plural(runs, "run", "runs"))}
		if runs > 0 {
			row.At, row.Thick = s.percent(float64(t.Wrong)/float64(runs)), s.span(t.Low, t.High)
		}
		chart.Strips = append(chart.Strips, row)
	}
	return chart
}

// drawCoverage draws how often the intervals held the truth.
func drawCoverage(c *result.Calibration) *stripChart {
	least := result.Confidence
	for _, t := range c.Tallies() {
		for _, v := range t.Intervals {
			if v.Runs > 0 {
				least = min(least, v.Low)
			}
		}
	}
	missed, ticks := fromZero(min(1, max(0.05, 1-least)), 5)
	s := scale{low: 1 - missed.high, high: 1}
	for i := range ticks {
		ticks[i] = 1 - ticks[i]
	}
	chart := &stripChart{ID: "intervals", Title: "Intervals that held the truth", Ticks: s.alongX(ticks, shortPercent),
		About: "Each strip: the share of the runs whose interval held the true share that remains (diamond), and its 95 % interval. The ring is what is promised."}
	if s.low > 0 {
		chart.About += " The axis does not begin at 0."
	}
	for i, t := range c.Tallies() {
		for _, v := range t.Intervals {
			row := strip{Name: fmt.Sprintf("%s, %s", calibrated.NameTally(c, i), calibrated.Level(v.Confidence)), Ring: s.percent(v.Confidence), Text: "no run had one"}
			if v.Runs > 0 {
				row.At, row.Thick = s.percent(float64(v.Held)/float64(v.Runs)), s.span(v.Low, v.High)
				row.Text = fmt.Sprintf("%s of %s", thousands(v.Held), format.Plural(v.Runs, "run", "runs"))
			}
			chart.Strips = append(chart.Strips, row)
		}
	}
	return chart
}

// calibratedMax bounds the dots of a chart of runs.
const calibratedMax = 2000

// thinRuns returns of how many runs in a row one is drawn.
func thinRuns(c *result.Calibration) int { return 1 + max(0, c.Runs-1)/calibratedMax }

// drawFound draws the share that each run found to remain, with the interval that
// decides, and the truth as a line; ok is false where no run has one.
func drawFound(c *result.Calibration, index int) (chart dotChart, ok bool) {
	t := c.Tallies()[index]
	most := max(0.01, 1.5*t.Remaining)
	for _, o := range t.Outcomes {
		if o.Remaining != nil && o.Remaining.Estimate != nil {
			most, ok = max(most, *o.Remaining.Estimate, min(2*t.Remaining, orEnd(o.Remaining.DecisiveHigh))), true
		}
	}
	y, up := fromZero(min(most, 2*mostRemaining), 4)
	chart = newDotChart(fmt.Sprintf("runs-%d", index), calibrated.NameTally(c, index), "", y, up, shortPercent)
	x := scale{high: float64(len(t.Outcomes)) + 1}
	chart.Along = x.alongX([]float64{1, float64(max(1, len(t.Outcomes)))}[:min(2, max(1, len(t.Outcomes)))], func(v float64) string { return fmt.Sprintf("run %d", int(v)) })
	chart.Level, chart.Dense = vertical(y, t.Remaining), len(t.Outcomes) > denseFrom
	chart.About = fmt.Sprintf("In truth %s of the failures remain (dashed line). Each dot is what a run found, with its 99.9 %% interval.", calibrated.RemainingShare(t.Remaining))
	for i := 0; i < len(t.Outcomes); i += thinRuns(c) {
		o := t.Outcomes[i]
		if o.Remaining == nil || o.Remaining.Estimate == nil {
			continue
		}
		at := x.percent(float64(i + 1))
		chart.Lines = append(chart.Lines, bar{at, vertical(y, o.Remaining.DecisiveLow), vertical(y, orEnd(o.Remaining.DecisiveHigh))})
		chart.Discs = append(chart.Discs, dot{at, vertical(y, *o.Remaining.Estimate), foundText(t, i)})
	}
	return chart, ok
}

// foundText returns the text of a run's dot, or none where there are too many.
func foundText(t result.Tally, i int) string {
	if len(t.Outcomes) > textsMax {
		return ""
	}
	return fmt.Sprintf("run %d: %s %s", i+1, remainingText(t.Outcomes[i].Remaining), t.Outcomes[i].Verdict)
}

func tallyTable(c *result.Calibration) table {
	t := table{Caption: "The arms in figures", Head: []string{"arm", "remains in truth", "over all runs", "false verdicts", "less than the truth", "verdicts"}}
	for i, tally := range c.Tallies() {
		over := format.None
		if tally.Pooled != nil {
			over = format.Optional(tally.Pooled.Estimate, format.Percent)
		}
		t.Rows = append(t.Rows, []string{calibrated.NameTally(c, i), calibrated.RemainingShare(tally.Remaining), over,
			fmt.Sprintf("%s of %s", thousands(tally.Wrong), thousands(len(tally.Outcomes))), thousands(tally.Missed), calibrated.CountVerdicts(tally.Verdicts)})
	}
	return t
}

func calibratedMachine(c *result.Calibration) table {
	e, total := c.Environment, 0.0
	for _, s := range c.Seconds {
		total += s
	}
	return table{Caption: "The runs and the machine", Head: []string{"fact", "value"}, Rows: [][]string{
		{"runs", thousands(c.Runs)},
		{"took", format.Seconds(total)},
		{"a run", calibrated.DescribeLoad(c)},
		{"snatlab", format.OrNone(c.Version)},
		{"kernel", format.OrNone(e.Kernel)},
		{"machine", fmt.Sprintf("%s, %s for the clients", format.OrNone(e.Arch), format.Plural(e.CPUs, "CPU", "CPUs"))},
		{"driver", wording.DriverName(e.Driver, e.Rootless)},
		{"idle postrouting rules", thousands(e.Widened)},
	}}
}
