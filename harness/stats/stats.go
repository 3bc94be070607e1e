// Package stats summarises and compares samples of figures: medians with their
// intervals, tests by ranks, a test for a trend, shares, and ratios of two counts.
//
// Nothing is assumed of how figures are distributed, with one exception: where the
// scatter over trials widens the interval of a ratio, the logarithm of the ratio is taken
// to be normal ([RatioInterval], [TrialRatio], [DivideRatio]).
//
// Every p is exact for small samples, equal values included. Each function states
// up to which size. Beyond it, p is the normal approximation.
//
// A value of a sample has to be independent of the others. Package verdict states
// which figures of a run are, and which level of significance it tests at: alpha
// and confidence are parameters here.
package stats

import (
	"math"
	"slices"

	"golang.org/x/perf/benchmath"
)

// Summary is the median of a sample with its interval, Low to High. Both are nil
// where the sample is too small for an interval. All figures of an empty sample
// are 0.
type Summary struct {
	Median  float64
	Low     *float64
	High    *float64
	Lowest  float64
	Highest float64
}

// Summarise returns the median of values with its interval at that confidence.
func Summarise(values []float64, confidence float64) Summary {
	if len(values) == 0 {
		return Summary{}
	}
	s := Summary{Median: Median(values), Lowest: slices.Min(values), Highest: slices.Max(values)}
	s.Low, s.High = MedianInterval(values, confidence)
	return s
}

// Median returns the median of at least one value. That of benchmath, which
// interpolates, can differ from the value in the middle by a rounding error.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// MedianInterval returns the interval of the median, from one order statistic to
// another, or nil where there are too few values. With a confidence of 95 %, it
// takes 6.
func MedianInterval(values []float64, confidence float64) (low, high *float64) {
	if len(values) == 0 {
		return nil, nil
	}
	s := benchmath.AssumeNothing.Summary(newSample(values), confidence)
	if math.IsInf(s.Lo, 0) || math.IsInf(s.Hi, 0) {
		return nil, nil
	}
	return &s.Lo, &s.Hi
}

// newSample returns a copy of values, since benchmath sorts its argument.
func newSample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
}
