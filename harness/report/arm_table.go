package report

import (
	"slices"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// noDifference stands where no difference was shown.
const noDifference = "~"

// A table has a line of headings. Its first column is aligned to the left, the
// others to the right.
type table struct {
	head  []string
	marks []string // behind each heading: the numbers of its footnotes; may be nil
	rows  [][]string
}

func (t table) headMarks(column int) string {
	if t.marks == nil {
		return ""
	}
	return t.marks[column]
}

// A row is one figure of every arm.
type row struct {
	label string
	cell  func(result.Arm) string
}

// pickArms gives the labels, the first arm, and those from first up to, not
// including, after. An arm's column is the one after its index.
func (t table) pickArms(first, after int) table {
	first = min(first, after)
	pick := func(cells []string) []string { return append(cells[:2:2], cells[first+1:after+1]...) }
	some := table{head: pick(t.head), marks: pick(t.marks)}
	for _, row := range t.rows {
		some.rows = append(some.rows, pick(row))
	}
	return some
}

// compareArms sets the arms side by side: the figures of each, and below them
// what became of the baseline's. In full it has the trials between which the
// rates lie, too. The names in about are the arms of the warnings that are printed.
func compareArms(r *result.Result, about []string, full bool) table {
	t := table{head: []string{""}, marks: []string{""}}
	for _, a := range r.Arms {
		t.head, t.marks = append(t.head, a.Name), append(t.marks, armMarks(about, a))
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
		t.rows = append(t.rows, cells)
	}
	return t
}

// figureRows are those of each arm by itself.
func figureRows(arms []result.Arm, full bool) []row {
	rows := []row{
		totalRow("requests", func(t result.Trial) int { return t.Requests }),
		totalRow("failed", func(t result.Trial) int { return t.Failed }),
	}
	for _, cause := range result.CausesOf(arms) {
		rows = append(rows, totalRow("  "+cause, func(t result.Trial) int { return t.Causes[cause] }))
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
	return append(rows,
		totalRow("insert_failed", func(t result.Trial) uint64 { return t.Conntrack.InsertFailed }),
		totalRow("drop", func(t result.Trial) uint64 { return t.Conntrack.Drop }),
		triedRow("latency p50, median", func(a result.Arm) string { return format.Micros(a.LatencyP50.Median) }),
		triedRow("latency p99, median", func(a result.Arm) string { return format.Micros(a.LatencyP99.Median) }),
	)
}

// triedRow is a figure of arms that have a trial.
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

// comparisonRows are what each arm makes of the baseline's figures.
func comparisonRows(r *result.Result) []row {
	return []row{
		{"against the baseline", func(result.Arm) string { return "" }},
		comparedRow(r, "reduction", func(c *result.Compare) string { return format.Optional(shownReduction(c).Estimate, format.Percent) }),
		comparedRow(r, "  95 % interval", func(c *result.Compare) string {
			return format.FromTo(shownReduction(c).Low, shownReduction(c).High, format.Percent)
		}),
		comparedRow(r, "  p (Holm)", func(c *result.Compare) string { return format.Optional(c.PHolm, format.PValue) }),
		comparedRow(r, "latency p50, change", func(c *result.Compare) string { return changeCell(c, result.P50) }),
		comparedRow(r, "  95 % interval", func(c *result.Compare) string { return changeIntervalCell(c, result.P50) }),
		comparedRow(r, "latency p99, change", func(c *result.Compare) string { return changeCell(c, result.P99) }),
		comparedRow(r, "  95 % interval", func(c *result.Compare) string { return changeIntervalCell(c, result.P99) }),
		{"verdict", func(a result.Arm) string {
			if a.Name == r.Arms[0].Name {
				return "baseline"
			}
			return comparedRow(r, "", func(c *result.Compare) string { return string(c.Verdict) }).cell(a)
		}},
	}
}

// comparedRow is a figure of every arm but the baseline.
func comparedRow(r *result.Result, label string, of func(*result.Compare) string) row {
	return row{label, func(a result.Arm) string {
		if a.Name == r.Arms[0].Name {
			return ""
		}
		i := slices.IndexFunc(r.Comparisons, func(c result.Compare) bool { return c.Arm == a.Name })
		if i < 0 {
			return format.None
		}
		return of(&r.Comparisons[i])
	}}
}

// shownReduction is the reduction, where that means anything: without the race in the
// baseline it does not.
func shownReduction(c *result.Compare) result.Reduction {
	if c.Verdict == result.ArmInconclusive {
		return result.Reduction{}
	}
	return c.Reduction
}

func changeCell(c *result.Compare, percentile string) string {
	l := latencyChange(c, percentile)
	if !isSignificant(l) && l.Estimate != nil {
		return noDifference
	}
	return format.Optional(l.Estimate, format.Signed)
}

// changeIntervalCell is the interval, whether the change is significant or not: it
// says how much may be hidden.
func changeIntervalCell(c *result.Compare, percentile string) string {
	l := latencyChange(c, percentile)
	return format.FromTo(l.Low, l.High, format.Signed)
}

func latencyChange(c *result.Compare, percentile string) result.LatencyChange {
	i := slices.IndexFunc(c.Latency, func(l result.LatencyChange) bool { return l.Percentile == percentile })
	if i < 0 {
		return result.LatencyChange{}
	}
	return c.Latency[i]
}

func isSignificant(l result.LatencyChange) bool { return l.PHolm != nil && *l.PHolm < result.Alpha }
