package report

import (
	"strconv"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// trialCells returns the row of a trial.
func trialCells(t result.ArmTrial) []string {
	return []string{
		strconv.Itoa(t.Round),
		t.Arm,
		format.Thousands(t.Requests),
		format.Thousands(t.Failed),
		format.Percent(t.FailedShare()),
		format.Thousands(t.Conntrack.InsertFailed),
		format.Thousands(t.Conntrack.Drop),
		format.Thousands(t.RulePackets),
		format.Micros(float64(t.Latency.P50)),
		format.Micros(float64(t.Latency.P99)),
		format.Seconds(t.Seconds),
	}
}
