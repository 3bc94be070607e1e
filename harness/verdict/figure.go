package verdict

import (
	"slices"

	"snatlab/harness/result"
)

// counts are sums over the trials of an arm, in requests.
type counts struct{ requests, failed, race int }

func count(arm result.Arm) counts {
	var n counts
	for _, t := range arm.Trials {
		n.requests += t.Requests
		n.failed += t.Failed
		n.race += t.Causes[result.SNATRace]
	}
	return n
}

// failureRate is the spread of failed / requests over trials.
func failureRate(trials []result.Trial) result.Spread {
	var rates []float64
	for _, t := range trials {
		if t.Requests > 0 {
			rates = append(rates, float64(t.Failed)/float64(t.Requests))
		}
	}
	if len(rates) == 0 {
		return result.Spread{}
	}
	slices.Sort(rates)
	return result.Spread{Median: median(rates), Low: rates[0], High: rates[len(rates)-1]}
}

// median of at least one sorted value.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
