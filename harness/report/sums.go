package report

import "snatlab/harness/result"

// sum adds up one figure of every trial.
func sum[N int | uint64](trials []result.Trial, figure func(result.Trial) N) N {
	var n N
	for _, t := range trials {
		n += figure(t)
	}
	return n
}

// rate is the share of a trial's requests that failed.
func rate(t result.Trial) float64 {
	if t.Requests == 0 {
		return 0
	}
	return float64(t.Failed) / float64(t.Requests)
}
