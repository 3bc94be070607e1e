package report

import (
	"cmp"
	"slices"
	"strconv"

	"snatlab/harness/format"
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
		format.Thousands(t.Requests),
		format.Thousands(t.Failed),
		format.Percent(rate(t.Trial)),
		format.Thousands(t.Conntrack.InsertFailed),
		format.Thousands(t.Conntrack.Drop),
		format.Thousands(t.RulePackets),
		format.Micros(float64(t.Latency.P50)),
		format.Micros(float64(t.Latency.P99)),
		format.Seconds(t.Seconds),
	}
}
