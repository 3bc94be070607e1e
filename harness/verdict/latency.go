package verdict

import (
	"snatlab/harness/result"
	"snatlab/harness/stats"
)

func listP50(arm result.Arm) []float64 {
	return listLatencies(arm, func(l result.Latency) int64 { return l.P50 })
}

func listP99(arm result.Arm) []float64 {
	return listLatencies(arm, func(l result.Latency) int64 { return l.P99 })
}

// listLatencies returns a latency of each trial in which a request succeeded, in µs.
func listLatencies(arm result.Arm, of func(result.Latency) int64) []float64 {
	var all []float64
	for _, t := range arm.Trials {
		if t.Failed < t.Requests {
			all = append(all, float64(of(t.Latency)))
		}
	}
	return all
}

// summariseSpread returns the median of values with its 95 % interval.
func summariseSpread(values []float64) result.Spread {
	return result.Spread(stats.Summarise(values, result.Confidence))
}

// measureLatency returns a percentile of each trial with that of its control, or with 1.
// Trials in which no request succeeded have none.
func measureLatency(percentile string, a result.Arm, controlled bool) (all []stats.Measured) {
	for _, t := range sentTrials(a) {
		m := stats.Measured{Value: percentileOf(percentile, t.Latency), Control: 1}
		if controlled {
			m.Control = percentileOf(percentile, t.Control.Latency)
		}
		if t.Failed < t.Requests && m.Value > 0 && m.Control > 0 {
			all = append(all, m)
		}
	}
	return all
}

func percentileOf(percentile string, l result.Latency) float64 {
	if percentile == result.P50 {
		return float64(l.P50)
	}
	return float64(l.P99)
}
