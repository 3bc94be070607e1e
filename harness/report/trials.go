package report

import (
	"cmp"
	"slices"
	"strconv"

	"snatlab/harness/figure"
	"snatlab/harness/result"
)

// A namedTrial is a trial with the name of its arm.
type namedTrial struct {
	arm string
	result.Trial
}

// byRound lists all trials, those of a round in the order of the arms.
func byRound(arms []result.Arm) []namedTrial {
	var all []namedTrial
	for _, a := range arms {
		for _, t := range a.Trials {
			all = append(all, namedTrial{a.Name, t})
		}
	}
	slices.SortStableFunc(all, func(a, b namedTrial) int { return cmp.Compare(a.Round, b.Round) })
	return all
}

func (t namedTrial) cells() []string {
	return []string{
		strconv.Itoa(t.Round),
		t.arm,
		figure.Thousands(t.Requests),
		figure.Thousands(t.Failed),
		figure.Percent(rate(t.Trial)),
		figure.Thousands(t.Conntrack.InsertFailed),
		figure.Thousands(t.Conntrack.Drop),
		figure.Thousands(t.RulePackets),
		micros(float64(t.Latency.P50)),
		micros(float64(t.Latency.P99)),
		seconds(t.Seconds),
	}
}
