package report

import (
	"fmt"
	"slices"

	"snatlab/harness/format"
	"snatlab/harness/report/layout"
	"snatlab/harness/result"
)

// A row is one figure of every arm.
type row struct {
	label string
	cell  func(result.Arm) string
}

// compareArms returns the table of a run: an arm in each column, the figures of the
// arms, and below them the comparisons. In full, the table also
// has the lowest and the highest rate of a trial, and the source ports. The names in about are the arms of
// the warnings that are printed.
func compareArms(r *result.Result, about []string, full bool) layout.Table {
	t := layout.Table{Head: []string{""}, Marks: []string{""}, Keep: 2}
	for _, a := range r.Arms {
		t.Head, t.Marks = append(t.Head, a.Name), append(t.Marks, armMarks(about, a))
	}
	all := figureRows(r.Arms, full)
	if len(r.Arms) > 1 {
		all = append(all, comparisonRows(r)...)
	}
	for _, row := range all {
		cells := []string{row.label}
		for _, a := range r.Arms {
			cells = append(cells, row.cell(a))
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

// figureRows returns the figures of each arm by itself.
func figureRows(arms []result.Arm, full bool) []row {
	rows := []row{
		totalRow("requests", func(t result.Trial) int { return t.Requests }),
		totalRow("failed", func(t result.Trial) int { return t.Failed }),
	}
	for _, cause := range result.CausesOf(arms) {
		rows = append(rows, totalRow("  "+cause, func(t result.Trial) int { return t.Causes[cause] }))
	}
	rows = append(rows, lookupRows(arms)...)
	insertFailed, drop := "insert_failed", "drop"
	if result.HasControl(arms) {
		rows = append(rows, triedRow("control lost", controlCell))
		insertFailed, drop = "insert_failed (both)", "drop (both)" // the kernel counts for both at once
	}
	rows = append(rows,
		triedRow("failure rate, median", func(a result.Arm) string { return format.Percent(a.FailureRate.Median) }),
		triedRow("  95 % interval", func(a result.Arm) string {
			return format.FromTo(a.FailureRate.Low, a.FailureRate.High, format.Percent)
		}))
	if full {
		rows = append(rows, triedRow("  lowest to highest", func(a result.Arm) string {
			return format.FromTo(&a.FailureRate.Lowest, &a.FailureRate.Highest, format.Percent)
		}))
	}
	rows = append(rows,
		totalRow(insertFailed, func(t result.Trial) uint64 { return t.Conntrack.InsertFailed }),
		totalRow(drop, func(t result.Trial) uint64 { return t.Conntrack.Drop }),
		triedRow("latency p50, median", func(a result.Arm) string { return format.Micros(a.LatencyP50.Median) }),
		triedRow("latency p99, median", func(a result.Arm) string { return format.Micros(a.LatencyP99.Median) }),
	)
	if full {
		rows = append(rows, sourcePortRows(arms)...)
	}
	return rows
}

// lookupRows returns which queries of slow look-ups had no answer. There are none where
// requests are no look-ups.
func lookupRows(arms []result.Arm) []row {
	if !slices.ContainsFunc(arms, func(a result.Arm) bool { return a.SumUnanswered() != nil }) {
		return nil
	}
	of := func(label string, n func(result.Unanswered) int) row {
		return row{label, func(a result.Arm) string {
			if u := a.SumUnanswered(); u != nil {
				return format.Thousands(n(*u))
			}
			return format.None
		}}
	}
	return []row{
		of("no answer: to A", func(u result.Unanswered) int { return u.A }),
		of("  to AAAA", func(u result.Unanswered) int { return u.AAAA }),
		of("  to both", func(u result.Unanswered) int { return u.Both }),
		triedRow("clash_resolve", func(a result.Arm) string {
			return format.Thousands(result.SumTrials(a.Trials, func(t result.Trial) uint64 {
				if n := t.Conntrack.ClashResolve; n != nil {
					return *n
				}
				return 0
			}))
		}),
	}
}

// controlCell returns the lost part of an arm's control: "1,204 of 2,000".
func controlCell(a result.Arm) string {
	n := a.SumControl()
	if n.Requests == 0 {
		return format.None
	}
	return fmt.Sprintf("%s of %s", format.Thousands(n.Failed), format.Thousands(n.Requests))
}

// triedRow returns a row with a figure for each arm that has a trial.
func triedRow(label string, of func(result.Arm) string) row {
	return row{label, func(a result.Arm) string {
		if len(a.Trials) == 0 {
			return format.None
		}
		return of(a)
	}}
}

func totalRow[N int | uint64](label string, of func(result.Trial) N) row {
	return triedRow(label, func(a result.Arm) string { return format.Thousands(result.SumTrials(a.Trials, of)) })
}

// comparisonRows returns the figures of each arm's comparison. The decisive interval is
// rounded outwards: the verdict rests on it.
func comparisonRows(r *result.Result) []row {
	heading := "against the baseline"
	if slices.ContainsFunc(r.Comparisons, func(c result.Comparison) bool { return c.Method == result.ByControl }) {
		heading = "against the control"
	}
	rows := []row{{heading, func(result.Arm) string { return "" }}}
	if isJudgedByMedians(r) {
		rows = append(rows,
			comparedRow(r, "reduction", func(c *result.Comparison) string { return format.Optional(shownReduction(c).Estimate, format.Percent) }),
			comparedRow(r, "  95 % interval", func(c *result.Comparison) string {
				return format.FromTo(shownReduction(c).Low, shownReduction(c).High, format.Percent)
			}))
	} else {
		rows = append(rows,
			remainingRow(r, "remaining", func(s *result.Remaining) string { return format.Optional(s.Estimate, format.Percent) }),
			remainingRow(r, "  95 % interval", func(s *result.Remaining) string { return shareInterval(s.Low, s.High) }),
			remainingRow(r, "  99.9 % interval", func(s *result.Remaining) string { return shareInterval(s.DecisiveLow, s.DecisiveHigh) }))
	}
	return append(rows,
		comparedRow(r, "  p (Holm)", func(c *result.Comparison) string { return format.Optional(c.PHolm, format.PValue) }),
		comparedRow(r, "latency p50, change", func(c *result.Comparison) string { return changeCell(c, result.P50) }),
		comparedRow(r, "  95 % interval", func(c *result.Comparison) string { return changeIntervalCell(c, result.P50) }),
		comparedRow(r, "latency p99, change", func(c *result.Comparison) string { return changeCell(c, result.P99) }),
		comparedRow(r, "  95 % interval", func(c *result.Comparison) string { return changeIntervalCell(c, result.P99) }),
		row{"verdict", func(a result.Arm) string { return verdictCell(r, a) }},
	)
}

// verdictCell prints the verdict about an arm.
func verdictCell(r *result.Result, a result.Arm) string {
	if a.Name == r.Arms[0].Name {
		return "baseline"
	}
	return comparedRow(r, "", func(c *result.Comparison) string { return string(c.Verdict) }).cell(a)
}

// isJudgedByMedians reports whether a result is of a version that compared the medians of
// trials.
func isJudgedByMedians(r *result.Result) bool {
	return len(r.Comparisons) > 0 && !slices.ContainsFunc(r.Comparisons, func(c result.Comparison) bool { return c.Method != "" })
}

// remainingRow returns a row about the share of the failures that remains.
func remainingRow(r *result.Result, label string, of func(*result.Remaining) string) row {
	return comparedRow(r, label, func(c *result.Comparison) string {
		if c.Remaining == nil {
			return format.None
		}
		return of(c.Remaining)
	})
}

// shareInterval prints "at most 0.44 %", "40 to 57 %" or "12 % or more".
func shareInterval(low float64, high *float64) string {
	switch {
	case high == nil && low == 0:
		return format.None
	case high != nil && low == 0:
		return "at most " + format.AtMost(*high)
	}
	return format.Between(low, high)
}

// comparedRow returns a row with a figure for every arm except the baseline.
func comparedRow(r *result.Result, label string, of func(*result.Comparison) string) row {
	return row{label, func(a result.Arm) string {
		if a.Name == r.Arms[0].Name {
			return ""
		}
		i := slices.IndexFunc(r.Comparisons, func(c result.Comparison) bool { return c.Arm == a.Name })
		if i < 0 {
			return format.None
		}
		return of(&r.Comparisons[i])
	}}
}

// shownReduction returns the reduction of a comparison, or none if the baseline did
// not show the race: then a reduction means nothing.
func shownReduction(c *result.Comparison) result.Reduction {
	if c.Verdict == result.ArmInconclusive {
		return result.Reduction{}
	}
	return c.Reduction
}

func changeCell(c *result.Comparison, percentile string) string {
	l := latencyChange(c, percentile)
	if !isSignificant(l) && l.Estimate != nil {
		return format.NoDifference
	}
	return format.Optional(l.Estimate, format.Signed)
}

// changeIntervalCell prints the interval even where the change is not significant:
// the interval bounds the change that may be hidden.
func changeIntervalCell(c *result.Comparison, percentile string) string {
	l := latencyChange(c, percentile)
	return format.FromTo(l.Low, l.High, format.Signed)
}

func latencyChange(c *result.Comparison, percentile string) result.LatencyChange {
	i := slices.IndexFunc(c.Latency, func(l result.LatencyChange) bool { return l.Percentile == percentile })
	if i < 0 {
		return result.LatencyChange{}
	}
	return c.Latency[i]
}

// isSignificant reports whether the interval of a change does not hold 0. The p of a few
// trials, adjusted for the percentiles of all arms, is never small.
func isSignificant(l result.LatencyChange) bool {
	return l.Low != nil && l.High != nil && (*l.Low > 0 || *l.High < 0)
}
