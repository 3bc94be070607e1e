package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// History writes what a store shows over time: each series, kernel by kernel, the
// oldest first.
func History(w io.Writer, h *result.History) error {
	var p page
	for _, s := range h.Series {
		p.series(s)
	}
	notes := h.Warnings[:min(len(h.Warnings), notesMax)]
	for i, text := range notes {
		p.hang(pad(superscript(i+1), 2), text)
	}
	if more := len(h.Warnings) - len(notes); more > 0 {
		p.hang("  ", fmt.Sprintf("and %s, in --json", format.Plural(more, "more warning", "more warnings")))
	}
	if len(notes) > 0 {
		p.line("")
	}
	runs := 0
	for _, s := range h.Series {
		runs += len(s.Runs)
	}
	p.hang("", fmt.Sprintf("%s in %s.", format.Plural(runs, "run", "runs"), h.Store))
	_, err := io.WriteString(w, p.String())
	return err
}

func (p *page) series(s result.Series) {
	p.line(s.Key.Scenario + "  " + s.ID)
	p.field("lab", wording.Conditions(s.Key))
	p.field("scenario", "hash "+s.Key.Hash)
	p.line("")
	p.all(align(kernelRows(s)))
	for first, after, arms := 1, 0, len(s.Kernels[0].Arms); after < arms; first = after {
		var lines []string
		lines, after = fit(rateRows(s), first)
		p.all(lines)
	}
	p.sparks(s)
}

// all writes lines, and an empty one after them.
func (p *page) all(lines []string) {
	for _, line := range lines {
		p.line(line)
	}
	p.line("")
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// kernelRows lists the kernels, a line each.
func kernelRows(s result.Series) table {
	t := table{head: []string{"kernel", "runs", "first", "last", "verdicts"}}
	expected := slices.ContainsFunc(s.Runs, func(r result.RunSummary) bool { return len(r.Expected) > 0 || r.Verdict == result.Fail })
	for _, k := range s.Kernels {
		words := map[string]int{}
		for v, n := range k.Verdicts {
			words[verdictWord(v, expected)] += n
		}
		verdicts := tally(words, string(result.Pass), measured, string(result.Fail), string(result.Inconclusive))
		if k.Incomplete > 0 {
			verdicts = append(verdicts, fmt.Sprintf("%d ended early", k.Incomplete))
		}
		t.rows = append(t.rows, []string{k.Kernel, format.Thousands(k.Runs), day(k.First), day(k.Last), strings.Join(verdicts, ", ")})
	}
	return t
}

// tally prints "14 pass", in the order given.
func tally[V ~string](n map[V]int, order ...V) (texts []string) {
	for _, v := range order {
		if n[v] > 0 {
			texts = append(texts, fmt.Sprintf("%d %s", n[v], v))
		}
	}
	return texts
}

// armTally prints the verdicts of an arm.
func armTally(a result.ArmRuns) string {
	return format.OrNone(strings.Join(tally(a.Verdicts, result.Mitigated, result.Reduced, result.NoDifference, result.Worse, result.Undecided, result.ArmInconclusive), ", "))
}

// rateRows sets the arms side by side, for each kernel: medians over its runs.
func rateRows(s result.Series) table {
	t := table{head: []string{"failure rate, median"}, marks: []string{""}}
	for _, a := range s.Kernels[0].Arms {
		t.head, t.marks = append(t.head, a.Name), append(t.marks, "")
	}
	for _, k := range s.Kernels {
		for _, row := range []struct {
			label string
			cell  func(result.ArmRuns) string
		}{
			{k.Kernel, func(a result.ArmRuns) string { return format.Percent(a.FailureRate.Median) }},
			{"  95 % interval", func(a result.ArmRuns) string {
				return format.Interval(a.FailureRate.Low, a.FailureRate.High, format.Percent)
			}},
			{"  failed of all requests", failedOf},
			{"  verdicts", armTally},
		} {
			cells := []string{row.label}
			for _, a := range k.Arms {
				if a.Requests == 0 {
					cells = append(cells, format.None)
					continue
				}
				cells = append(cells, row.cell(a))
			}
			t.rows = append(t.rows, cells)
		}
	}
	return t
}

// failedOf prints "3 of 48,000".
func failedOf(a result.ArmRuns) string {
	return format.Thousands(a.Failed) + " of " + format.Thousands(a.Requests)
}
