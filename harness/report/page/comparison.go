package page

import (
	"fmt"
	"io"
	"strings"
	"time"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// comparisonPage is what the page of a comparison of runs shows.
type comparisonPage struct {
	Title     string
	Verdict   string
	Summary   string
	Findings  []string
	Sides     []string
	Remaining *stripChart
	Rates     *stripChart
	Arms      table
	Differs   table
	Notes     []string
}

// WriteComparison writes the comparison of runs with earlier ones.
func WriteComparison(w io.Writer, c *result.GroupComparison) error {
	p := comparisonPage{Title: c.Scenario, Verdict: wording.ComparisonHeadline(c), Summary: c.Summary,
		Sides: []string{"old: " + sideText(c.Old), "new: " + sideText(c.New)}, Notes: c.Warnings[:min(len(c.Warnings), notesMax)],
		Rates: drawOldAndNew(c), Arms: changeTable(c)}
	var shares []namedRemaining
	for _, a := range c.Arms {
		for _, side := range []struct {
			name string
			*result.Remaining
		}{{"old", a.Old.Remaining}, {"new", a.New.Remaining}} {
			if side.Remaining != nil {
				shares = append(shares, namedRemaining{a.Name + ", " + side.name, "", side.Remaining})
			}
		}
	}
	p.Remaining = drawShares("remaining", "What remains of the failures", shares)
	for _, f := range c.Findings {
		kind := "Regression: "
		if f.Kind == result.Shift {
			kind = "Shift: "
		}
		p.Findings = append(p.Findings, kind+f.Text)
	}
	p.Differs = table{Caption: "What else differs", Head: []string{"fact", "old", "new", "part of the key"}}
	for _, d := range c.Differs {
		part := "no"
		if d.Key {
			part = "yes: such runs should not be compared"
		}
		p.Differs.Rows = append(p.Differs.Rows, []string{d.What, format.OrNone(d.Old), format.OrNone(d.New), part})
	}
	return write(w, "comparison.html", p)
}

// kernelsMax is the number of kernels of a side that are named.
const kernelsMax = 5

func sideText(s result.Side) string {
	kernels := strings.Join(s.Kernels[:min(len(s.Kernels), kernelsMax)], ", ")
	if more := len(s.Kernels) - kernelsMax; more > 0 {
		kernels += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%s: %s, %s to %s, Linux %s", s.Name, format.Plural(len(s.Runs), "run", "runs"),
		s.First.UTC().Format(time.DateOnly), s.Last.UTC().Format(time.DateOnly), kernels)
}

// drawOldAndNew draws the failure rates of both sides of each arm; nil without an arm.
func drawOldAndNew(c *result.GroupComparison) *stripChart {
	most := 0.0
	for _, a := range c.Arms {
		for _, s := range []result.Spread{a.Rate.Old, a.Rate.New} {
			most = max(most, s.Highest, s.Median, ends(s.High))
		}
	}
	if len(c.Arms) == 0 {
		return nil
	}
	s, ticks := fromZero(min(1, most), 5)
	chart := &stripChart{ID: "rates", Title: "Failure rates", Ticks: s.alongX(ticks, shortPercent),
		About: "Each strip: the median (diamond), its 95 % interval (thick), and the lowest and the highest value (thin), of which each is that of a " + c.Unit + ". These rates move with the state of the machine."}
	for _, a := range c.Arms {
		for _, side := range []struct {
			name string
			rate result.Spread
		}{{"old", a.Rate.Old}, {"new", a.Rate.New}} {
			row := strip{Name: a.Name + ", " + side.name, Text: withInterval(side.rate), At: s.percent(side.rate.Median), Thin: s.span(side.rate.Lowest, side.rate.Highest)}
			if side.rate.Low != nil && side.rate.High != nil {
				row.Thick = s.span(*side.rate.Low, *side.rate.High)
			}
			chart.Strips = append(chart.Strips, row)
		}
	}
	return chart
}

func changeTable(c *result.GroupComparison) table {
	t := table{Caption: "The arms in figures", Head: []string{"arm", "failed, old", "failed, new", "remaining, old (99.9 %)", "remaining, new (99.9 %)", "change of the rate", "95 % interval", "p (Holm)"}}
	for _, a := range c.Arms {
		t.Rows = append(t.Rows, []string{a.Name, failedOf(a.Old), failedOf(a.New), format.OrNone(remainingText(a.Old.Remaining)), format.OrNone(remainingText(a.New.Remaining)),
			format.Optional(a.Rate.Estimate, format.Signed), format.FromTo(a.Rate.Low, a.Rate.High, format.Signed), format.Optional(a.Rate.PHolm, format.PValue)})
	}
	return t
}

// failedOf prints "3 of 48,000".
func failedOf(a result.ArmRuns) string { return thousands(a.Failed) + " of " + thousands(a.Requests) }
