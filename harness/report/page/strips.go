package page

import (
	"math"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// A stripChart has a strip for each arm: an estimate on its interval.
type stripChart struct {
	ID     string
	Title  string
	About  string // what the signs mean
	Zones  []zone
	Ticks  []tick
	Strips []strip
}

// A zone is a part of the axis with a name.
type zone struct{ At, Width, Name, Class string }

// A strip is an arm. Coordinates are horizontal; those that are empty are not drawn.
type strip struct {
	Name  string
	Text  string // the figures, beside the strip
	Thin  span   // the wider interval
	Thick span   // the narrower one
	At    string // the estimate
	Ring  string // that of the control
}

// A span reaches from one coordinate to another.
type span struct{ From, To string }

func (s scale) span(low, high float64) span { return span{s.percent(low), s.percent(high)} }

// The axis of what remains. Shares below its low end, 0 among them, are drawn there.
const (
	leastRemaining = 0.0001
	mostRemaining  = 10
)

// drawRemaining draws the share of the failures that remains under each arm, in the zones
// of the verdicts; nil where no arm has one.
func drawRemaining(r *result.Result) *stripChart {
	var all []namedRemaining
	for _, c := range r.Comparisons {
		if c.Remaining != nil {
			all = append(all, namedRemaining{c.Arm, string(c.Verdict), c.Remaining})
		}
	}
	if r.Instrument != nil && len(r.Arms) > 0 {
		all = append(all, namedRemaining{r.Arms[0].Name, "baseline", r.Instrument})
	}
	return drawShares("remaining", "What remains of the failures", all)
}

// namedRemaining is a share with its arm, and with what is said of it.
type namedRemaining struct {
	name, verdict string
	*result.Remaining
}

// drawShares draws shares that remain, below each other; nil where there is none.
func drawShares(id, title string, all []namedRemaining) *stripChart {
	if len(all) == 0 {
		return nil
	}
	s := scale{low: leastRemaining, high: mostRemaining, log: true}
	chart := &stripChart{ID: id, Title: title,
		About: "Each strip: the estimate (diamond), its 95 % interval (thick) and its 99.9 % interval (thin), by which the verdict is decided. The scale is logarithmic; its left end is 0. The narrow zone at 100 % is that of equal.",
		Ticks: s.alongX([]float64{leastRemaining, 0.001, 0.01, 0.1, 1}, func(v float64) string {
			if v == leastRemaining {
				return "0"
			}
			return shortPercent(v)
		})}
	for _, z := range []struct {
		low, high   float64
		name, class string
	}{
		{leastRemaining, result.MitigatedUpTo, "mitigated", "good"}, {result.MitigatedUpTo, result.ReducedBelow, "reduced", "partly"},
		{result.ReducedBelow, result.WorseAbove, "", "same"}, {result.WorseAbove, mostRemaining, "worse", "bad"},
	} {
		chart.Zones = append(chart.Zones, zone{s.percent(z.low), coordinate(100*(s.at(z.high)-s.at(z.low))) + "%", z.name, z.class})
	}
	for _, share := range all {
		row := strip{Name: share.name, Text: remainingText(share.Remaining), Thin: s.span(share.DecisiveLow, orEnd(share.DecisiveHigh))}
		if share.verdict != "" {
			row.Text = share.verdict + ": " + row.Text
		}
		if share.High != nil || share.DecisiveHigh == nil {
			row.Thick = s.span(share.Low, orEnd(share.High))
		}
		if share.Estimate != nil {
			row.At = s.percent(*share.Estimate)
		}
		chart.Strips = append(chart.Strips, row)
	}
	return chart
}

// orEnd returns a figure, or the end of every axis where there is none.
func orEnd(v *float64) float64 {
	if v == nil {
		return math.MaxFloat64
	}
	return *v
}

// drawRates draws the failure rate of each arm, and of its control; nil without a trial.
func drawRates(r *result.Result) *stripChart {
	most := 0.0
	for _, a := range r.Arms {
		most = max(most, a.FailureRate.Highest, lostShare(a.SumControl()))
	}
	if !r.HasTrials() {
		return nil
	}
	s, ticks := fromZero(min(1, most), 5)
	chart := &stripChart{ID: "rates", Title: "Failure rates",
		About: "Each strip: the median over the trials (diamond), its 95 % interval (thick), and the lowest and the highest trial (thin).",
		Ticks: s.alongX(ticks, shortPercent)}
	if result.HasControl(r.Arms) {
		chart.About += " A ring is the rate of the arm's control, of all trials."
	}
	for _, a := range r.Arms {
		row := s.rateStrip(a.Name, a)
		if n := a.SumControl(); n.Requests > 0 {
			row.Ring = s.percent(lostShare(n))
			row.Text += ", control " + format.Percent(lostShare(n))
		}
		chart.Strips = append(chart.Strips, row)
	}
	return chart
}

// rateStrip returns the strip of an arm's failure rate.
func (s scale) rateStrip(name string, a result.Arm) strip {
	row := strip{Name: name, Text: withInterval(a.FailureRate)}
	if len(a.Trials) == 0 {
		return row
	}
	row.At, row.Thin = s.percent(a.FailureRate.Median), s.span(a.FailureRate.Lowest, a.FailureRate.Highest)
	if a.FailureRate.Low != nil && a.FailureRate.High != nil {
		row.Thick = s.span(*a.FailureRate.Low, *a.FailureRate.High)
	}
	return row
}

// lostShare returns the share of the requests that failed.
func lostShare(n result.Totals) float64 { return float64(n.Failed) / float64(max(1, n.Requests)) }
