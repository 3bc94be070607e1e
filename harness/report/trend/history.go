package trend

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"snatlab/harness/format"
	"snatlab/harness/report/layout"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// WriteHistory writes the series of a store over time, kernel by kernel, the oldest
// first.
func WriteHistory(w io.Writer, h *result.History, on layout.Screen) error {
	p := newPage(on)
	for _, s := range h.Series {
		p.writeSeries(s)
	}
	notes := h.Warnings[:min(len(h.Warnings), layout.NotesMax)]
	p.WriteFootnotes(notes, len(h.Warnings)-len(notes), "--json")
	runs := 0
	for _, s := range h.Series {
		runs += len(s.Runs)
	}
	p.WriteHanging("", fmt.Sprintf("%s in %s.", format.Plural(runs, "run", "runs"), h.Store))
	_, err := io.WriteString(w, p.String())
	return err
}

func (p *page) writeSeries(s result.Series) {
	p.WriteLine(s.Key.Scenario + "  " + s.ID + wording.ByHand(s.ByHand))
	p.WriteField("lab", wording.Conditions(s.Key))
	p.WriteField("scenario", "hash "+s.Key.Hash)
	p.WriteLine("")
	p.WriteTable(kernelRows(s))
	p.WriteTable(rateRows(s))
	p.writeSparklines(s)
}

func formatDay(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// kernelRows returns a table with a row for each kernel.
func kernelRows(s result.Series) layout.Table {
	expects := slices.ContainsFunc(s.Runs, func(r result.RunSummary) bool { return len(r.Expected) > 0 || r.Verdict == result.Fail })
	t := layout.Table{Head: []string{"kernel", "runs", "first", "last", wording.RunHead(expects)}}
	for _, k := range s.Kernels {
		words := map[string]int{}
		for v, n := range k.Verdicts {
			words[wording.RunWord(v, expects)] += n
		}
		outcomes := listCounts(words, wording.RunWords...)
		if k.Incomplete > 0 {
			outcomes = append(outcomes, fmt.Sprintf("%d ended early", k.Incomplete))
		}
		t.Rows = append(t.Rows, []string{k.Kernel, format.Thousands(k.Runs), formatDay(k.First), formatDay(k.Last), strings.Join(outcomes, ", ")})
	}
	return t
}

// listCounts returns texts like "14 PASS", in the given order.
func listCounts[V ~string](n map[V]int, order ...V) (texts []string) {
	for _, v := range order {
		if n[v] > 0 {
			texts = append(texts, fmt.Sprintf("%d %s", n[v], v))
		}
	}
	return texts
}

// listArmVerdicts prints how often an arm had each verdict.
func listArmVerdicts(a result.ArmRuns) string {
	return format.OrNone(strings.Join(listCounts(a.Verdicts, result.Mitigated, result.Reduced, result.Equal, result.NoDifference, result.Worse, result.Undecided, result.ArmInconclusive), ", "))
}

// rateRows returns a table with the arms side by side: for each kernel, medians over
// its runs.
func rateRows(s result.Series) layout.Table {
	t := layout.Table{Head: []string{"failure rate, median"}, Keep: 2}
	for _, a := range s.Kernels[0].Arms {
		t.Head = append(t.Head, a.Name)
	}
	shared := slices.ContainsFunc(s.Kernels, func(k result.KernelRuns) bool {
		return slices.ContainsFunc(k.Arms, func(a result.ArmRuns) bool { return a.Remaining != nil })
	})
	for _, k := range s.Kernels {
		for i, row := range []struct {
			label string
			cell  func(result.ArmRuns) string
		}{
			{k.Kernel, func(a result.ArmRuns) string { return format.Percent(a.FailureRate.Median) }},
			{"  95 % interval", func(a result.ArmRuns) string {
				return format.FromTo(a.FailureRate.Low, a.FailureRate.High, format.Percent)
			}},
			{"  failed of all requests", failedOf},
			{"  verdicts", listArmVerdicts},
			{"  remaining", func(a result.ArmRuns) string { return wording.Remaining(a.Remaining) }},
			{"  99.9 % interval", func(a result.ArmRuns) string { return wording.RemainingInterval(a.Remaining) }},
		} {
			if i >= 4 && !shared {
				continue
			}
			cells := []string{row.label}
			for _, a := range k.Arms {
				if a.Requests == 0 {
					cells = append(cells, format.None)
					continue
				}
				cells = append(cells, row.cell(a))
			}
			t.Rows = append(t.Rows, cells)
		}
	}
	return t
}

// failedOf prints "3 of 48,000".
func failedOf(a result.ArmRuns) string {
	return format.Thousands(a.Failed) + " of " + format.Thousands(a.Requests)
}
