package resultfile

import (
	"slices"

	"snatlab/harness/result"
)

// upgrade gives a result of an earlier version what it can of the fields that were
// added since.
func upgrade(r *result.Result) {
	upgradeSpreads(r)
	for i := range r.Arms {
		addArmValues(&r.Arms[i])
	}
	addWarningValues(r)
}

// upgradeSpreads changes a result from before there were intervals: low and high
// were those of a trial, and there was no latency of an arm, only those of its
// trials.
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

// isOld reports whether an arm lacks what every arm with a trial has today.
func isOld(a result.Arm) bool {
	return a.LatencyP50 == result.Spread{} && slices.ContainsFunc(a.Trials, func(t result.Trial) bool { return t.Latency.P50 > 0 })
}

// medianLatency is the median of a latency of every trial; 0 without a trial.
func medianLatency(trials []result.Trial, of func(result.Latency) int64) float64 {
	var all []int64
	for _, t := range trials {
		all = append(all, of(t.Latency))
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	n := len(all)
	return float64(all[(n-1)/2]+all[n/2]) / 2
}
