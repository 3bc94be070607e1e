package export

import (
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"snatlab/harness/result"
)

// csvHead names the columns of a run and of an arm. Those of a series are before
// them.
var csvHead = []string{
	"kernel", "run", "started", "version", "run_verdict", "incomplete",
	"arm", "arm_verdict", "trials", "requests", "failed",
	"rate_median", "rate_low", "rate_high", "rate_lowest", "rate_highest", "causes",
	"method", "remaining", "remaining_low", "remaining_high", "control_failed", "control_requests",
}

// WriteHistoryCSV writes a line for each arm of each run, oldest first within a
// series. Rates are shares between 0 and 1 over the trials of the run; low to high
// is the 95 % interval of the median. Causes are like "snat_race=12 refused=1".
//
// Remaining is the share of the failures that remains under an arm, and its low to high
// the interval at [result.DecisiveConfidence]. The control's columns are what the arm is
// compared with, see [result.Method]; the share of a baseline is that of the instrument,
// and has no method. A missing value is empty.
func WriteHistoryCSV(w io.Writer, h *result.History) error {
	c := csv.NewWriter(w)
	_ = c.Write(slices.Concat(seriesHead(), csvHead)) // an error is returned by Error
	for _, s := range h.Series {
		for _, r := range s.Runs {
			for _, a := range r.Arms {
				_ = c.Write(slices.Concat(seriesCells(s), runCells(r), armCells(a)))
			}
		}
	}
	c.Flush()
	return c.Error()
}

// WriteRunCSV writes the lines of a run, as [WriteHistoryCSV] writes them.
func WriteRunCSV(w io.Writer, r *result.Result) error { return writeResultsCSV(w, r) }

// WriteMatrixCSV writes the lines of each kernel that has a result.
func WriteMatrixCSV(w io.Writer, m *result.Matrix) error {
	var all []*result.Result
	for _, row := range m.Rows {
		all = append(all, row.Result)
	}
	return writeResultsCSV(w, all...)
}

// WriteNightCSV writes the lines of each scenario that has a result, of all attempts
// together.
func WriteNightCSV(w io.Writer, n *result.Night) error {
	var all []*result.Result
	for _, j := range n.Runs {
		all = append(all, j.Result)
	}
	return writeResultsCSV(w, all...)
}

// writeResultsCSV writes the lines of results. It leaves out those that are nil.
func writeResultsCSV(w io.Writer, all ...*result.Result) error {
	h := new(result.History)
	for _, r := range all {
		if r != nil {
			run := result.NewRunSummary(r)
			h.Series = append(h.Series, result.Series{ID: run.SeriesID(), Key: run.Key, Runs: []result.RunSummary{run}})
		}
	}
	return WriteHistoryCSV(w, h)
}

// csvFacts returns the facts of a key that have columns. The node of a cluster and the name
// of an engine have none: programs read the columns of before there were these by their
// number, and nodes and engines differ in the ID of their series.
func csvFacts(k result.Key) []result.Fact {
	return slices.DeleteFunc(k.Facts(), func(f result.Fact) bool { return f.Name == "node" || f.Name == "engine" })
}

func seriesHead() []string {
	head := []string{"series"}
	for _, f := range csvFacts(result.Key{}) {
		head = append(head, f.Name)
	}
	return head
}

func seriesCells(s result.Series) []string {
	cells := []string{s.ID}
	for _, f := range csvFacts(s.Key) {
		cells = append(cells, f.Value)
	}
	return cells
}

func runCells(r result.RunSummary) []string {
	return []string{r.Kernel, r.ID, r.Started.UTC().Format(time.RFC3339), r.Version, string(r.Verdict), r.Incomplete}
}

func armCells(a result.ArmSummary) []string {
	var causes []string
	for _, cause := range slices.Sorted(maps.Keys(a.Causes)) {
		causes = append(causes, fmt.Sprintf("%s=%d", cause, a.Causes[cause]))
	}
	rates := make([]string, 5)
	if r := a.FailureRate; a.Trials > 0 {
		rates = []string{formatShare(r.Median), formatOptionalShare(r.Low), formatOptionalShare(r.High), formatShare(r.Lowest), formatShare(r.Highest)}
	}
	return slices.Concat(
		[]string{a.Name, string(a.Verdict), strconv.Itoa(a.Trials), strconv.Itoa(a.Requests), strconv.Itoa(a.Failed)},
		rates, []string{strings.Join(causes, " "), string(a.Method)}, remainingCells(a.Remaining))
}

// remainingCells returns the share that remains under an arm, its interval, and the counts
// that it is compared with.
func remainingCells(r *result.Remaining) []string {
	if r == nil {
		return make([]string, 5)
	}
	return []string{formatOptionalShare(r.Estimate), formatShare(r.DecisiveLow), formatOptionalShare(r.DecisiveHigh),
		strconv.Itoa(r.ControlFailed), strconv.Itoa(r.ControlRequests)}
}

// formatShare prints a share without loss.
func formatShare(share float64) string { return strconv.FormatFloat(share, 'g', -1, 64) }

func formatOptionalShare(share *float64) string {
	if share == nil {
		return ""
	}
	return formatShare(*share)
}
