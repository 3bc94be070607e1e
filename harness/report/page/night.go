package page

import (
	"fmt"
	"io"
	"slices"

	"snatlab/harness/format"
	"snatlab/harness/report"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// nightPage is what night.html shows.
type nightPage struct {
	Title     string
	Headline  string
	Good      bool
	Summary   string
	Kernel    string
	History   string // the page of the history in the same folder; may be empty
	Scenarios []nightPart
	Notes     []string // warnings
	Store     string
	Machine   table
}

// A nightPart is a scenario of a night.
type nightPart struct {
	ID        string
	Outcome   string
	Bad       bool
	Name      string
	Figures   string
	Notes     []string // findings, doubts, and why the outcome is not ok
	Remaining *stripChart
	Rates     *stripChart
	Arms      table
}

// WriteNight returns a function that writes the page of a night: the outcome of each
// scenario, and what differs from the nights before. history is the name of the page of
// the history, if it is in the same folder.
func WriteNight(history string) func(w io.Writer, n *result.Night) error {
	return func(w io.Writer, n *result.Night) error {
		headline := wording.NightHeadline(n)
		p := nightPage{Title: n.Started.UTC().Format("2006-01-02 15:04 UTC"), Headline: headline, Good: headline == wording.NoRegression,
			Summary: wording.NightSummary(n), Kernel: wording.NightKernel(n), History: history,
			Notes: n.Warnings[:min(len(n.Warnings), notesMax)], Store: wording.StoreLine(n.Store)}
		for i, j := range n.Runs {
			p.Scenarios = append(p.Scenarios, drawNightRun(j, fmt.Sprintf("scenario-%d", i)))
			if j.Result != nil && p.Machine.Rows == nil {
				p.Machine = table{Caption: "The machine", Head: []string{"fact", "value"}, Rows: machineRows(j.Result)}
			}
		}
		return write(w, "night.html", p)
	}
}

// ofRuns are the facts of an environment that differ from run to run of a night.
var ofRuns = []string{"run", "started", "took", "scenario", "load average", "driver", "NAT", "idle postrouting rules", "client network", "server", "peak memory"}

// machineRows returns the facts that all runs of a night share.
func machineRows(r *result.Result) [][]string {
	return slices.DeleteFunc(report.EnvironmentRows(r), func(row []string) bool { return slices.Contains(ofRuns, row[0]) })
}

func drawNightRun(j result.NightRun, id string) nightPart {
	part := nightPart{ID: id, Outcome: wording.OutcomeWord(j.Outcome), Bad: wording.IsBad(j.Outcome),
		Name: wording.NightRunName(j), Figures: wording.NightRunFigures(j), Notes: wording.NightRunNotes(j)}
	if j.Result == nil {
		return part
	}
	part.Remaining = drawNightShares(j, id+"-remaining")
	part.Rates = drawNightRates(j, id+"-rates")
	part.Arms = armTable(j.Result)
	part.Arms.Folded = true
	return part
}

// drawNightShares draws what remains under each arm tonight, and in the nights before.
func drawNightShares(j result.NightRun, id string) *stripChart {
	var all []namedRemaining
	for _, c := range j.Result.Comparisons {
		if c.Remaining == nil {
			continue
		}
		all = append(all, namedRemaining{c.Arm + ", tonight", string(c.Verdict), c.Remaining})
		for _, s := range j.Shares {
			if s.Arm == c.Arm && s.Before != nil && s.Before.Estimate != nil {
				all = append(all, namedRemaining{fmt.Sprintf("%s, %s before", s.Arm, format.Plural(s.Nights, "night", "nights")), "", s.Before})
			}
		}
	}
	return drawShares(id, "What remains of the failures: "+wording.ScenarioOn(j.Scenario, j.Node), all)
}

// drawNightRates draws the failure rate of the baseline tonight, and in earlier runs. What
// the other arms lost is a share of what their controls lost, which has a chart of its own.
func drawNightRates(j result.NightRun, id string) *stripChart {
	if !j.Result.HasTrials() {
		return nil
	}
	a := j.Result.Arms[0]
	most := a.FailureRate.Highest
	for _, b := range j.Before {
		if b.Arm == a.Name {
			most = max(most, b.Highest)
		}
	}
	s, ticks := fromZero(min(1, most), 5)
	chart := &stripChart{ID: id, Title: "Failure rate of the baseline: " + wording.ScenarioOn(j.Scenario, j.Node), Ticks: s.alongX(ticks, shortPercent),
		About: "Tonight: the median over the trials (diamond), its 95 % interval (thick), and the lowest and the highest trial (thin). Before: the median over the runs, and the lowest and the highest run. This rate moves with the state of the machine."}
	chart.Strips = append(chart.Strips, s.rateStrip(a.Name+", tonight", a))
	for _, b := range j.Before {
		if b.Arm == a.Name && b.Runs > 0 {
			chart.Strips = append(chart.Strips, strip{Name: fmt.Sprintf("%s, %s before", a.Name, format.Plural(b.Runs, "run", "runs")),
				At: s.percent(b.Median), Thin: s.span(b.Lowest, b.Highest),
				Text: fmt.Sprintf("%s (%s)", format.Percent(b.Median), format.FromTo(&b.Lowest, &b.Highest, format.Percent))})
		}
	}
	return chart
}
