package report

import (
	"strconv"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// trialHead returns the headings of trials, with or without a control.
func trialHead(control bool) []string {
	head := []string{"round", "arm", "requests", "failed", "rate"}
	if control {
		head = append(head, "control lost")
	}
	return append(head, "insert_failed", "drop", "rule packets", "p50", "p99", "time")
}

// trialCells returns the row of a trial.
func trialCells(t result.ArmTrial, control bool) []string {
	cells := []string{
		strconv.Itoa(t.Round),
		t.Arm,
		format.Thousands(t.Requests),
		format.Thousands(t.Failed),
		format.Percent(t.FailedShare()),
	}
	if control {
		cells = append(cells, controlCell(result.Arm{Trials: []result.Trial{t.Trial}}))
	}
	return append(cells,
		format.Thousands(t.Conntrack.InsertFailed),
		format.Thousands(t.Conntrack.Drop),
		format.Thousands(t.RulePackets),
		format.Micros(float64(t.Latency.P50)),
		format.Micros(float64(t.Latency.P99)),
		format.Seconds(t.Seconds),
	)
}
