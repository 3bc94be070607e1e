package verdict

import (
	"math"
	"slices"

	"golang.org/x/perf/benchmath"

	"snatlab/harness/result"
)

// counts are sums over the trials of an arm, in requests.
type counts struct{ requests, failed, race, unexplained int }

// raceRate is the share of requests that were lost to the race.
func (n counts) raceRate() float64 { return float64(n.race) / float64(max(1, n.requests)) }

func count(arm result.Arm) counts {
	var n counts
	for _, t := range arm.Trials {
		n.requests += t.Requests
		n.failed += t.Failed
		n.race += t.Causes[result.SNATRace]
		n.unexplained += t.Causes[result.Unexplained]
	}
	return n
}

// rates are failed / requests of each trial, in the order of the trials.
func rates(arm result.Arm) []float64 {
	var all []float64
	for _, t := range arm.Trials {
		if t.Requests > 0 {
			all = append(all, float64(t.Failed)/float64(t.Requests))
		}
	}
	return all
}

func p50s(arm result.Arm) []float64 {
	return latencies(arm, func(l result.Latency) int64 { return l.P50 })
}

func p99s(arm result.Arm) []float64 {
	return latencies(arm, func(l result.Latency) int64 { return l.P99 })
}

// latencies are those of the trials in which a request succeeded, in µs.
func latencies(arm result.Arm, of func(result.Latency) int64) []float64 {
	var all []float64
	for _, t := range arm.Trials {
		if t.Failed < t.Requests {
			all = append(all, float64(of(t.Latency)))
		}
	}
	return all
}

func spread(values []float64) result.Spread {
	if len(values) == 0 {
		return result.Spread{}
	}
	s := result.Spread{Median: median(values), Lowest: slices.Min(values), Highest: slices.Max(values)}
	s.Low, s.High = interval(values, Confidence)
	return s
}

// median of at least one value. benchmath's, which interpolates, can differ
// from the value in the middle by a rounding error.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// interval is the one of the median; nil where there are too few values.
func interval(values []float64, confidence float64) (low, high *float64) {
	if len(values) == 0 {
		return nil, nil
	}
	s := benchmath.AssumeNothing.Summary(sample(values), confidence)
	if math.IsInf(s.Lo, 0) || math.IsInf(s.Hi, 0) {
		return nil, nil
	}
	return &s.Lo, &s.Hi
}

// mannWhitney is the p of the rounds that both arms have, nil if there is none.
// Where all values are equal it is 1.
//
// An interrupted run leaves some arms with a trial more. benchmath doubles the
// smaller tail of the first sample's U, which is exact for samples of one size:
// exchanging them mirrors the distribution. With equal values in samples of two
// sizes the distribution is lopsided, and so would be the p.
func mannWhitney(a, b []float64) *float64 {
	n := min(len(a), len(b))
	if n == 0 {
		return nil
	}
	p := benchmath.AssumeNothing.Compare(sample(a[:n]), sample(b[:n])).P
	return new(min(1, p)) // the sum of a distribution may end a rounding error above
}

// sample copies values: benchmath sorts what it is given.
func sample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(values), &benchmath.Thresholds{CompareAlpha: Alpha})
}
