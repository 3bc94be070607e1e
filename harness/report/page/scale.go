package page

import (
	"math"
	"strconv"

	"snatlab/harness/format"
)

// A scale maps values to positions along an axis, 0 to 1.
type scale struct {
	low, high float64
	log       bool
}

// at returns the position of a value. One outside the scale is at its end.
func (s scale) at(v float64) float64 {
	low, high := s.low, s.high
	if s.log {
		v, low, high = math.Log(max(v, s.low)), math.Log(low), math.Log(high)
	}
	if position := (v - low) / (high - low); position > 0 { // false of NaN
		return min(1, position)
	}
	return 0
}

// percent returns the position of a value as a coordinate, "37.25%".
func (s scale) percent(v float64) string { return coordinate(100*s.at(v)) + "%" }

// coordinate prints a number to two decimals, without those that are 0.
func coordinate(v float64) string {
	return strconv.FormatFloat(math.Round(100*v)/100, 'f', -1, 64)
}

// A tick is a mark of an axis.
type tick struct {
	At    string // its coordinate
	Label string
	End   string // the class that keeps the label of an end within the chart
}

// niceStep returns the least of 1, 2, 2.5, 5 and 10 times a power of ten that divides
// span into at most parts.
func niceStep(span float64, parts int) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(span/float64(parts))))
	for _, factor := range []float64{1, 2, 2.5, 5} {
		if span <= factor*unit*float64(parts)*(1+1e-9) {
			return factor * unit
		}
	}
	return 10 * unit
}

// fromZero returns the scale from 0 that has room for a value, and its ticks.
func fromZero(most float64, parts int) (s scale, ticks []float64) {
	if !(most > 0) || most > 1e300 {
		most = 0.01
	}
	step := niceStep(most, parts)
	n := math.Ceil(most/step - 1e-9)
	for i := range int(n) + 1 {
		ticks = append(ticks, float64(i)*step)
	}
	return scale{high: n * step}, ticks
}

// alongX returns ticks with horizontal coordinates.
func (s scale) alongX(values []float64, label func(float64) string) (ticks []tick) {
	for _, v := range values {
		t := tick{At: s.percent(v), Label: label(v)}
		switch at := s.at(v); {
		case at < 0.04:
			t.End = "start"
		case at > 0.94:
			t.End = "end"
		}
		ticks = append(ticks, t)
	}
	return ticks
}

// shortPercent prints the share at a tick: "0 %", "2.5 %", "40 %".
func shortPercent(share float64) string {
	return strconv.FormatFloat(100*share, 'g', 4, 64) + " %"
}

// timeUnit returns the unit of an axis that ends after so many seconds: a second, a minute
// or an hour.
func timeUnit(end float64) float64 {
	switch {
	case end < 120:
		return 1
	case end < 7200:
		return 60
	}
	return 3600
}

// printTime returns a function that prints the time at a tick of such an axis.
func printTime(unit float64) func(seconds float64) string {
	return func(seconds float64) string {
		if seconds == 0 {
			return "0"
		}
		return strconv.FormatFloat(seconds/unit, 'g', 4, 64) + map[float64]string{1: " s", 60: " min", 3600: " h"}[unit]
	}
}

// shortMicros prints the latency at a tick.
func shortMicros(us float64) string {
	switch {
	case us < 1000:
		return strconv.FormatFloat(us, 'g', 4, 64) + " µs"
	case us < 1e6:
		return strconv.FormatFloat(us/1000, 'g', 4, 64) + " ms"
	}
	return strconv.FormatFloat(us/1e6, 'g', 4, 64) + " s"
}

func thousands(n int) string { return format.Thousands(n) }
