package page

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// historyPage is what the page of a store shows.
type historyPage struct {
	Title  string
	Store  string
	Series []seriesPart
	Notes  []string
}

// A seriesPart is the runs with the same key.
type seriesPart struct {
	ID      string
	Title   string
	Last    string // what the last run said
	About   string
	Changes []string   // of kernel, numbered as in the charts
	Rates   []dotChart // of each arm
	Shares  []dotChart // what remains under each other arm
	Kernels heatTable
}

// WriteHistory writes the stored results over time.
func WriteHistory(w io.Writer, h *result.History) error {
	p := historyPage{Title: "stored results", Store: h.Store, Notes: h.Warnings[:min(len(h.Warnings), notesMax)]}
	for i, s := range h.Series {
		p.Series = append(p.Series, drawSeries(s, fmt.Sprintf("series-%d", i)))
	}
	return write(w, "history.html", p)
}

func drawSeries(s result.Series, id string) seriesPart {
	runs := slices.DeleteFunc(slices.Clone(s.Runs), func(r result.RunSummary) bool { return r.Incomplete != "" })
	part := seriesPart{ID: id, Title: s.Key.Scenario + " " + s.ID + wording.ByHand(s.ByHand), Kernels: kernelTable(s),
		About: fmt.Sprintf("%s, %s, hash %s", format.Plural(len(s.Runs), "run", "runs"), wording.Conditions(s.Key), s.Key.Hash)}
	if early := len(s.Runs) - len(runs); early > 0 {
		part.About += fmt.Sprintf("; %d of them ended early and are not drawn", early)
	}
	if len(runs) == 0 {
		return part
	}
	last := runs[len(runs)-1]
	part.Last = fmt.Sprintf("Last run: %s, on Linux %s, %s.", wording.RunWord(last.Verdict, len(last.Expected) > 0), last.Kernel, last.Started.UTC().Format("2006-01-02 15:04 UTC"))
	x := newDayAxis(runs)
	marks, changes := x.markKernels(runs, s.Key.Guest != "")
	part.Changes = changes
	for i, arm := range runs[len(runs)-1].Arms {
		rates := drawRunRates(runs, arm.Name, fmt.Sprintf("%s-rate-%d", id, i), x)
		rates.Marks = marks
		part.Rates = append(part.Rates, rates)
		if shares, ok := drawRunShares(runs, arm.Name, fmt.Sprintf("%s-share-%d", id, i), x); ok && i > 0 {
			shares.Marks = marks
			part.Shares = append(part.Shares, shares)
		}
	}
	return part
}

// A dayAxis places runs by the time at which they began.
type dayAxis struct {
	scale
	ticks []tick
}

func newDayAxis(runs []result.RunSummary) dayAxis {
	first, last := seconds(runs[0].Started), seconds(runs[len(runs)-1].Started)
	room := max(60, (last-first)*0.03)
	s := scale{low: first - room, high: last + room}
	days, layout := []float64{first, last}, time.DateOnly
	if runs[0].Started.UTC().Format(layout) == runs[len(runs)-1].Started.UTC().Format(layout) {
		layout = "2006-01-02 15:04"
	}
	if last-first < 60 {
		days = days[:1]
	}
	x := dayAxis{scale: s}
	for i, day := range days {
		x.ticks = append(x.ticks, tick{At: s.percent(day), Label: time.Unix(int64(day), 0).UTC().Format(layout), End: []string{"start", "end"}[i]})
	}
	return x
}

func seconds(t time.Time) float64 { return float64(t.Unix()) }

// markKernels returns a numbered line at each change of kernel, and what it changes to.
// Guests run their kernels in turn, so their changes mean nothing.
func (x dayAxis) markKernels(runs []result.RunSummary, guests bool) (marks []tick, changes []string) {
	if guests {
		return nil, nil
	}
	free := math.Inf(-1) // where there is room for the next number
	for i := 1; i < len(runs); i++ {
		before, after := runs[i-1], runs[i]
		if before.Kernel == after.Kernel || len(changes) >= notesMax {
			continue
		}
		changes = append(changes, fmt.Sprintf("from %s to %s, on %s", before.Kernel, after.Kernel, after.Started.UTC().Format(time.DateOnly)))
		middle := (seconds(before.Started) + seconds(after.Started)) / 2
		mark := tick{At: x.percent(middle)}
		if at := x.at(middle); at > free {
			mark.Label, free = fmt.Sprint(len(changes)), at+0.09
		}
		marks = append(marks, mark)
	}
	return marks, changes
}

// drawRunRates draws the failure rate of an arm in each run, with the interval over its
// trials.
func drawRunRates(runs []result.RunSummary, arm, id string, x dayAxis) dotChart {
	most := 0.0
	for _, r := range runs {
		if a, ok := r.Arm(arm); ok {
			most = max(most, a.FailureRate.Median, ends(a.FailureRate.High))
		}
	}
	y, up := fromZero(min(1, most), 4)
	c := newDotChart(id, arm+": failure rate", "", y, up, shortPercent)
	c.Along, c.Dense = x.ticks, len(runs) > denseFrom
	var first, last string
	for _, r := range runs {
		a, ok := r.Arm(arm)
		if !ok {
			continue
		}
		at := x.percent(seconds(r.Started))
		if a.FailureRate.Low != nil && a.FailureRate.High != nil {
			c.Lines = append(c.Lines, bar{at, vertical(y, *a.FailureRate.Low), vertical(y, *a.FailureRate.High)})
		}
		if last = format.Percent(a.FailureRate.Median); first == "" {
			first = last
		}
		c.Discs = append(c.Discs, dot{at, vertical(y, a.FailureRate.Median), runText(runs, r, "failed "+last)})
	}
	c.About = fmt.Sprintf("%s: first %s, last %s.", format.Plural(len(c.Discs), "run", "runs"), format.OrNone(first), format.OrNone(last))
	c.Empty = len(c.Discs) == 0
	return c
}

// drawRunShares draws what remains of the failures under an arm in each run, with its
// 99.9 % interval; ok is false where no run has it.
func drawRunShares(runs []result.RunSummary, arm, id string, x dayAxis) (c dotChart, ok bool) {
	most := 0.01
	for _, r := range runs {
		if a, _ := r.Arm(arm); a.Remaining != nil && a.Remaining.Estimate != nil {
			most, ok = max(most, *a.Remaining.Estimate, min(2, ends(a.Remaining.DecisiveHigh))), true
		}
	}
	y, up := fromZero(most, 4)
	c = newDotChart(id, arm+": what remains of the failures", "", y, up, shortPercent)
	c.Along, c.Dense = x.ticks, len(runs) > denseFrom
	last := ""
	for _, r := range runs {
		a, _ := r.Arm(arm)
		share := a.Remaining
		if share == nil || share.Estimate == nil {
			continue
		}
		at := x.percent(seconds(r.Started))
		c.Lines = append(c.Lines, bar{at, vertical(y, share.DecisiveLow), vertical(y, orEnd(share.DecisiveHigh))})
		last = remainingText(share)
		c.Discs = append(c.Discs, dot{at, vertical(y, *share.Estimate), runText(runs, r, last+" "+string(a.Verdict))})
	}
	c.About = fmt.Sprintf("%s, with the 99.9 %% interval: last %s.", format.Plural(len(c.Discs), "run", "runs"), format.OrNone(last))
	return c, ok
}

// ends returns the upper end of an interval, or 0 where there is none.
func ends(high *float64) float64 {
	if high == nil {
		return 0
	}
	return *high
}

// runText returns the text of a run's dot, or none where there are too many.
func runText(runs []result.RunSummary, r result.RunSummary, figures string) string {
	if len(runs) > textsMax {
		return ""
	}
	return fmt.Sprintf("%s, %s: %s", r.Started.UTC().Format("2006-01-02 15:04"), r.Kernel, figures)
}

// kernelTable returns a row for each kernel: the failure rate of the baseline, and what
// remains under each other arm.
func kernelTable(s result.Series) heatTable {
	t := heatTable{Caption: "By kernel", Head: []string{"kernel"}}
	if len(s.Kernels) == 0 {
		return t
	}
	for _, a := range s.Kernels[0].Arms {
		t.Head = append(t.Head, a.Name)
	}
	t.Head = append(t.Head, "runs", "first", "last")
	for _, k := range s.Kernels {
		row := heatRow{Name: k.Kernel, Text: []string{thousands(k.Runs), k.First.UTC().Format(time.DateOnly), k.Last.UTC().Format(time.DateOnly)}}
		for i, a := range k.Arms {
			row.Cells = append(row.Cells, kernelCell(a, i == 0))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func kernelCell(a result.ArmRuns, baseline bool) heatCell {
	switch {
	case a.Requests == 0:
		return heatCell{Text: format.None}
	case baseline || a.Remaining == nil || a.Remaining.Estimate == nil:
		return heatCell{Text: strings.TrimSpace(format.Percent(a.FailureRate.Median) + " failed"), Class: heatOf(a.FailureRate.Median)}
	}
	return heatCell{Text: remainingText(a.Remaining) + " remains", Class: heatOf(*a.Remaining.Estimate)}
}
