package resultfile

import (
	"slices"

	"snatlab/harness/result"
	"snatlab/harness/stats"
)

// upgrade fills in the fields of a result of an earlier version that were added since,
// as far as they can be derived.
func upgrade(r *result.Result) {
	upgradeSpreads(r)
	for i := range r.Arms {
		addArmValues(&r.Arms[i])
	}
	addWarningValues(r)
}

// upgradeSpreads converts a result of before there were intervals. Its low and high
// were those of a trial, and only its trials had a latency.
func upgradeSpreads(r *result.Result) {
	if !slices.ContainsFunc(r.Arms, isOld) {
		return
	}
	for i := range r.Arms {
		a := &r.Arms[i]
		if s := &a.FailureRate; s.Low != nil && s.High != nil {
			s.Lowest, s.Highest, s.Low, s.High = *s.Low, *s.High, nil, nil
		}
		a.LatencyP50.Median = medianLatency(a.Trials, func(l result.Latency) int64 { return l.P50 })
		a.LatencyP99.Median = medianLatency(a.Trials, func(l result.Latency) int64 { return l.P99 })
	}
}

// isOld reports whether an arm with trials lacks a latency, which every arm has today.
func isOld(a result.Arm) bool {
	return a.LatencyP50 == result.Spread{} && slices.ContainsFunc(a.Trials, func(t result.Trial) bool { return t.Latency.P50 > 0 })
}

// medianLatency returns the median of a latency over the trials; 0 without a trial.
func medianLatency(trials []result.Trial, of func(result.Latency) int64) float64 {
	var all []float64
	for _, t := range trials {
		all = append(all, float64(of(t.Latency)))
	}
	if len(all) == 0 {
		return 0
	}
	return stats.Median(all)
}
