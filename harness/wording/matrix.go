package wording

import (
	"fmt"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// MatrixArms returns the names of the arms of all rows.
func MatrixArms(m *result.Matrix) (names []string) {
	for _, r := range m.Rows {
		if r.Result == nil {
			continue
		}
		for _, a := range r.Result.Arms {
			if !slices.Contains(names, a.Name) {
				names = append(names, a.Name)
			}
		}
	}
	return names
}

// armVerdict returns the verdict of an arm; empty for the baseline.
func armVerdict(r result.Row, arm string) result.ArmVerdict { return RowComparison(r, arm).Verdict }

// RowComparison returns the comparison of an arm; an empty one for the baseline.
func RowComparison(r result.Row, arm string) result.Comparison {
	i := slices.IndexFunc(r.Result.Comparisons, func(c result.Comparison) bool { return c.Arm == arm })
	if i < 0 {
		return result.Comparison{}
	}
	return r.Result.Comparisons[i]
}

// RowVerdict returns the outcome of a kernel.
func RowVerdict(r result.Row) string {
	if r.Status != result.RowOK || r.Result == nil {
		return string(result.RowError)
	}
	return RunWord(r.Result.Verdict, len(r.Result.Expected) > 0)
}

// MatrixHead returns the heading of the column of [RowVerdict].
func MatrixHead(m *result.Matrix) string {
	return RunHead(slices.ContainsFunc(m.Rows, func(r result.Row) bool { return r.Result != nil && len(r.Result.Expected) > 0 }))
}

// RowNotes returns the notes about a kernel.
func RowNotes(r result.Row) (notes []string) {
	if r.Status != result.RowOK || r.Result == nil {
		return []string{r.Reason}
	}
	if r.Attempts > 1 {
		notes = append(notes, fmt.Sprintf("%d guests, the last with %s for each client and trial: the others lost too little to the race",
			r.Attempts, format.Plural(r.Result.Scenario.Requests, "request", "requests")))
	}
	if r.Result.Scenario.Pattern == result.DNS {
		notes = append(notes, describeClashes(r.Result))
	}
	for _, a := range r.Result.Arms {
		if n := result.SumTrials(a.Trials, func(t result.Trial) int { return t.Causes[result.Unexplained] }); n > 0 {
			notes = append(notes, fmt.Sprintf("%s: %s failed for no known cause", a.Name, format.Plural(n, "request", "requests")))
		}
	}
	if i := slices.IndexFunc(r.Result.Expected, func(e result.Expectation) bool { return e.Held == nil }); i >= 0 {
		e := r.Result.Expected[i] // the same reason may hold for others
		notes = append(notes, fmt.Sprintf("%s: %s: %s (%s)", undecided, e.Arm, Claim(e), e.Found))
	}
	for _, e := range r.Result.Expected {
		if e.Held != nil && !*e.Held {
			notes = append(notes, fmt.Sprintf("%s: %s: %s (%s)", refuted, e.Arm, Claim(e), e.Found))
		}
	}
	return notes
}

// MatrixDifferences lists the changes of a verdict from one tested kernel to the
// next. Kernels that could not be tested are skipped.
func MatrixDifferences(m *result.Matrix) (texts []string) {
	var before *result.Row
	tested := 0
	for i := range m.Rows {
		r := &m.Rows[i]
		if r.Status != result.RowOK || r.Result == nil {
			continue
		}
		tested++
		if before != nil {
			texts = append(texts, neighbourDifferences(*before, *r)...)
		}
		before = r
	}
	if len(texts) == 0 && tested > 1 {
		return []string{fmt.Sprintf("No verdict differs between the %d kernels that were tested.", tested)}
	}
	return texts
}

func neighbourDifferences(a, b result.Row) (texts []string) {
	for _, arm := range MatrixArms(&result.Matrix{Rows: []result.Row{a, b}}) {
		if from, to := armVerdict(a, arm), armVerdict(b, arm); from != to {
			texts = append(texts, fmt.Sprintf("From %s to %s, %s changes from %s to %s.", a.Kernel, b.Kernel, arm, format.OrNone(string(from)), format.OrNone(string(to))))
		}
	}
	if from, to := RowVerdict(a), RowVerdict(b); from != to {
		texts = append(texts, fmt.Sprintf("From %s to %s, the outcome changes from %s to %s.", a.Kernel, b.Kernel, from, to))
	}
	return texts
}

// MatrixAnswer counts the outcomes, the worst first.
func MatrixAnswer(m *result.Matrix) string {
	n := map[string]int{}
	for _, r := range m.Rows {
		n[RowVerdict(r)]++
	}
	var parts []string
	for _, v := range []string{refuted, string(result.RowError), string(result.Inconclusive), measured, passed} {
		if n[v] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[v], v))
		}
	}
	text := format.Plural(len(m.Rows), "kernel", "kernels") + ": " + strings.Join(parts, ", ")
	if m.Incomplete != "" {
		text += " (" + m.Incomplete + ": others are missing)"
	}
	return text
}
