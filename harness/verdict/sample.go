package verdict

import (
	"snatlab/harness/result"
	"snatlab/harness/stats"
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

// FailureRates returns failed / requests of each trial of an arm, in the order of
// the trials.
func FailureRates(arm result.Arm) []float64 {
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

// spread returns the median of values with its 95 % interval.
func spread(values []float64) result.Spread {
	return result.Spread(stats.Summarise(values, result.Confidence))
}
