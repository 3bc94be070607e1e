package page

import (
	"cmp"
	"fmt"
	"slices"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// A dotChart shows rates over time: those of the trials of an arm and of their controls,
// or those of stored runs.
type dotChart struct {
	ID     string
	Title  string
	About  string // its figures in a sentence
	Up     []tick // the vertical axis, in pixels
	Along  []tick // the horizontal axis
	Marks  []tick // vertical lines with a number: changes of kernel
	Level  string // a horizontal line, in pixels; may be empty
	Lines  []bar  // intervals
	Rings  []dot  // of the control
	Discs  []dot  // of the arm
	Dense  bool   // there are so many dots that they are small
	Empty  bool   // nothing is drawn
	Top    string // of the plot, in pixels
	Bottom string
}

// A dot is one value. Its text appears where a mouse rests on it.
type dot struct{ X, Y, Text string }

// A bar is a vertical line.
type bar struct{ X, From, To string }

// The plot of a dotChart, in pixels from its upper end.
const (
	plotTop    = 10
	plotBottom = 110
)

// vertical returns the coordinate of a value, in pixels.
func vertical(s scale, v float64) string {
	return coordinate(plotBottom - (plotBottom-plotTop)*s.at(v))
}

// dotsMax bounds the dots of a page, so that it stays below 2 MB and is drawn at once.
const dotsMax = 12_000

// denseFrom is the number of dots of a series above which they are drawn small.
const denseFrom = 120

// textsMax is the number of dots up to which each has a text of its own.
const textsMax = 600

// drawTrials draws each arm's trials, all on the same axes. thinned states how dots were
// left out; empty if all are there.
func drawTrials(r *result.Result) (charts []dotChart, thinned string) {
	trials, end, most := 0, 0.0, 0.0
	for _, a := range r.Arms {
		trials += len(a.Trials)
		for _, t := range a.Trials {
			end, most = max(end, t.Start+t.Seconds), max(most, t.FailedShare(), controlShare(t))
		}
	}
	if trials == 0 {
		return nil, ""
	}
	x := newTimeAxis(r, end)
	y, up := fromZero(min(1, most), 4)
	each := 1 + (2*trials-1)/dotsMax
	if each > 1 {
		thinned = fmt.Sprintf("There are %s trials. Of every %d in a row, the lowest and the highest are drawn.", thousands(trials), 2*each)
	}
	for i, a := range r.Arms {
		if len(a.Trials) == 0 {
			continue
		}
		c := newDotChart(fmt.Sprintf("trials-%d", i), a.Name, describeTrials(a), y, up, shortPercent)
		c.Along, c.Dense = x.ticks, len(a.Trials) > denseFrom
		for _, t := range thin(a.Trials, each, result.Trial.FailedShare) {
			c.Discs = append(c.Discs, dot{x.at(t), vertical(y, t.FailedShare()), dotText(trials, "round %d: %s of %s failed", t.Round, t.Failed, t.Requests)})
		}
		for _, t := range thin(a.Trials, each, controlShare) {
			if k := t.Control; k != nil {
				c.Rings = append(c.Rings, dot{x.at(t), vertical(y, controlShare(t)), dotText(trials, "round %d: the control lost %s of %s", t.Round, k.Failed, k.Requests)})
			}
		}
		charts = append(charts, c)
	}
	return charts, thinned
}

// newDotChart returns a chart without a dot.
func newDotChart(id, title, about string, y scale, up []float64, label func(float64) string) dotChart {
	c := dotChart{ID: id, Title: title, About: about, Top: coordinate(plotTop), Bottom: coordinate(plotBottom)}
	for _, v := range up {
		c.Up = append(c.Up, tick{At: vertical(y, v), Label: label(v)})
	}
	return c
}

// dotText returns the text of a dot, or none where there are too many.
func dotText(trials int, text string, round, failed, requests int) string {
	if trials > textsMax {
		return ""
	}
	return fmt.Sprintf(text, round, thousands(failed), thousands(requests))
}

// describeTrials returns the figures of the chart of an arm.
func describeTrials(a result.Arm) string {
	text := fmt.Sprintf("%s: %s of %s failed in %s", format.Percent(a.FailureRate.Median), thousands(a.SumTotals().Failed), format.Plural(a.SumTotals().Requests, "request", "requests"),
		format.Plural(len(a.Trials), "trial", "trials"))
	if n := a.SumControl(); n.Requests > 0 {
		text += ", and " + lostOf(n) + " of the control"
	}
	return text
}

func controlShare(t result.Trial) float64 {
	if t.Control == nil || t.Control.Requests == 0 {
		return 0
	}
	return float64(t.Control.Failed) / float64(t.Control.Requests)
}

// thin returns the lowest and the highest of every 2*each trials; all of them if each is 1.
func thin(trials []result.Trial, each int, value func(result.Trial) float64) (kept []result.Trial) {
	if each < 2 {
		return trials
	}
	for some := range slices.Chunk(trials, 2*each) {
		byValue := func(a, b result.Trial) int { return cmp.Compare(value(a), value(b)) }
		kept = append(kept, slices.MinFunc(some, byValue), slices.MaxFunc(some, byValue))
	}
	return kept
}

// A timeAxis places trials by the time at which they began, or by their round in results
// of versions before that was recorded.
type timeAxis struct {
	scale
	rounds bool
	ticks  []tick
}

func newTimeAxis(r *result.Result, end float64) timeAxis {
	rounds, last := false, 1
	for _, a := range r.Arms {
		for _, t := range a.Trials {
			rounds, last = rounds || t.Start == 0, max(last, t.Round)
		}
	}
	if rounds || !(end > 0) || end > 1e12 {
		s := scale{low: 0, high: float64(last) + 1}
		label := func(v float64) string { return fmt.Sprintf("round %d", int(v)) }
		return timeAxis{s, true, s.alongX([]float64{1, float64(last)}[:min(2, last)], label)}
	}
	unit := timeUnit(end)
	s, values := fromZero(end/unit, 4)
	for i := range values {
		values[i] *= unit
	}
	s.high = max(end, values[len(values)-2])
	return timeAxis{s, false, s.alongX(values[:len(values)-1], printTime(unit))}
}

func (x timeAxis) at(t result.Trial) string {
	if x.rounds {
		return x.percent(float64(t.Round))
	}
	return x.percent(t.Start + t.Seconds/2)
}
