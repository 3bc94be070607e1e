package page

import (
	"fmt"
	"math"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// A curveChart is a distribution of an arm's requests, and that of its control's: their
// latencies, or their source ports.
type curveChart struct {
	ID      string
	Title   string
	About   string
	Along   []tick
	Marks   []tick // p50 and p99
	Area    string // of the arm: the path of an SVG that is 1000 by 100
	Outline string // of the control; empty if there is none
}

// drawLatencies draws the distribution of each arm, all on the same axis, and returns the
// quantiles as a table. There are none of results of versions before they were recorded.
func drawLatencies(r *result.Result) (charts []curveChart, quantiles table) {
	quantiles = table{Caption: "Quantiles of the latencies", Head: []string{"requests of", "number", "p1", "p50", "p90", "p99", "p99.9", "slowest"}}
	low, high := math.MaxInt64, 0
	for _, a := range r.Arms {
		for _, h := range []result.Histogram{a.Latencies, a.ControlLatencies} {
			if len(h) > 0 {
				low, high = min(low, int(h.Quantile(0.0005))), max(high, int(h.Quantile(0.9995)))
			}
		}
	}
	if high == 0 {
		return nil, quantiles
	}
	edges := binEdges(float64(max(1, low)), float64(high)+1)
	s := scale{low: edges[0], high: edges[len(edges)-1], log: true}
	for i, a := range r.Arms {
		if len(a.Latencies) == 0 {
			continue
		}
		quantiles.Rows = append(quantiles.Rows, quantileRow(a.Name, a.Latencies))
		arm, control := density(a.Latencies, edges), density(a.ControlLatencies, edges)
		most := 0.0
		for b := range arm {
			most = max(most, arm[b], control[b])
		}
		p50, p99 := a.Latencies.Quantile(0.5), a.Latencies.Quantile(0.99)
		c := curveChart{ID: fmt.Sprintf("latency-%d", i), Title: a.Name, Along: s.alongX(decades(s.low, s.high), shortMicros),
			About: fmt.Sprintf("p50 %s, p99 %s, of %s", format.Micros(float64(p50)), format.Micros(float64(p99)), format.Plural(int(a.Latencies.Total()), "request", "requests")),
			Area:  drawSteps(s, edges, arm, most, true),
			Marks: []tick{{At: s.percent(float64(p50)), Label: "p50"}, {At: s.percent(float64(p99)), Label: "p99"}}}
		if len(a.ControlLatencies) > 0 {
			quantiles.Rows = append(quantiles.Rows, quantileRow("control of "+a.Name, a.ControlLatencies))
			c.Outline = drawSteps(s, edges, control, most, false)
		}
		charts = append(charts, c)
	}
	return charts, quantiles
}

func quantileRow(name string, h result.Histogram) []string {
	row := []string{name, format.Thousands(h.Total())}
	for _, share := range []float64{0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		row = append(row, format.Micros(float64(h.Quantile(share))))
	}
	return row
}

// binEdges returns the edges of bins from low to high. Each is 4 % wide, and at least 1 µs,
// since latencies are whole microseconds.
func binEdges(low, high float64) []float64 {
	edges := []float64{low}
	for last := low; last < high; {
		last = max(last+1, math.Ceil(last*1.04))
		edges = append(edges, last)
	}
	return edges
}

// density returns the share of the requests in each bin, by the width of the bin on a
// logarithmic axis. Latencies below or above all bins are in none.
func density(h result.Histogram, edges []float64) []float64 {
	d := make([]float64, len(edges)-1)
	bin, total := 0, float64(max(1, h.Total()))
	for _, b := range h {
		us := float64(b.Micros)
		for bin < len(d) && us >= edges[bin+1] {
			bin++
		}
		if bin < len(d) && us >= edges[0] {
			d[bin] += float64(b.Requests) / total / math.Log(edges[bin+1]/edges[bin])
		}
	}
	return d
}

// drawSteps returns the path of a distribution. An area is closed at its foot.
func drawSteps(s scale, edges, d []float64, most float64, closed bool) string {
	var path strings.Builder
	fmt.Fprintf(&path, "M%s 100", coordinate(1000*s.at(edges[0])))
	for i, v := range d {
		fmt.Fprintf(&path, "V%sH%s", coordinate(100-96*v/max(most, 1e-300)), coordinate(1000*s.at(edges[i+1])))
	}
	path.WriteString("V100")
	if closed {
		path.WriteString("Z")
	}
	return path.String()
}

// decades returns 1, 2 and 5 times each power of ten on an axis, fewer on a long one.
func decades(low, high float64) (values []float64) {
	factors := []float64{1, 2, 5}
	switch {
	case high/low > 3000:
		factors = []float64{1}
	case high/low > 30:
		factors = []float64{1, 3}
	}
	for unit := math.Pow(10, math.Floor(math.Log10(low))); unit <= high; unit *= 10 {
		for _, f := range factors {
			if v := f * unit; v >= low && v <= high {
				values = append(values, v)
			}
		}
	}
	return values
}
