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
