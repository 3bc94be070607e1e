package report

import (
	"slices"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// same stands where no difference was shown.
const same = "~"

// A table has a line of headings. Its first column is aligned to the left, the
// others to the right.
type table struct {
	head  []string
	marks []string // behind each heading: the numbers of its footnotes; may be nil
	rows  [][]string
}

func (t table) mark(column int) string {
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

// columns gives the labels, the first arm, and those from first up to, not
// including, after. An arm's column is the one after its index.
func (t table) columns(first, after int) table {
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
// rates lie, too. The warnings are those that are printed.
func compareArms(r *result.Result, warnings []string, full bool) table {
	t := table{head: []string{""}, marks: []string{""}}
	for _, a := range r.Arms {
		t.head, t.marks = append(t.head, a.Name), append(t.marks, armMarks(warnings, a))
	}
	all := figures(r.Arms, full)
	if len(r.Arms) > 1 {
		all = append(all, comparisons(r)...)
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

// figures are those of each arm by itself.
func figures(arms []result.Arm, full bool) []row {
	rows := []row{
		total("requests", func(t result.Trial) int { return t.Requests }),
		total("failed", func(t result.Trial) int { return t.Failed }),
	}
	for _, cause := range result.CausesOf(arms) {
		rows = append(rows, total("  "+cause, func(t result.Trial) int { return t.Causes[cause] }))
	}
	rows = append(rows,
		tried("failure rate, median", func(a result.Arm) string { return format.Percent(a.FailureRate.Median) }),
		tried("  95 % interval", func(a result.Arm) string {
			return format.Interval(a.FailureRate.Low, a.FailureRate.High, format.Percent)
		}))
	if full {
		rows = append(rows, tried("  lowest to highest", func(a result.Arm) string {
			return format.Interval(&a.FailureRate.Lowest, &a.FailureRate.Highest, format.Percent)
		}))
	}
	return append(rows,
		total("insert_failed", func(t result.Trial) uint64 { return t.Conntrack.InsertFailed }),
		total("drop", func(t result.Trial) uint64 { return t.Conntrack.Drop }),
		tried("latency p50, median", func(a result.Arm) string { return format.Micros(a.LatencyP50.Median) }),
		tried("latency p99, median", func(a result.Arm) string { return format.Micros(a.LatencyP99.Median) }),
	)
}

// tried is a figure of arms that have a trial.
func tried(label string, of func(result.Arm) string) row {
	return row{label, func(a result.Arm) string {
		if len(a.Trials) == 0 {
			return format.None
		}
		return of(a)
	}}
}

func total[N int | uint64](label string, of func(result.Trial) N) row {
	return tried(label, func(a result.Arm) string { return format.Thousands(result.SumTrials(a.Trials, of)) })
}

// comparisons are what each arm makes of the baseline's figures.
func comparisons(r *result.Result) []row {
	return []row{
		{"against the baseline", func(result.Arm) string { return "" }},
		compared(r, "reduction", func(c *result.Compare) string { return format.Optional(shown(c).Estimate, format.Percent) }),
		compared(r, "  95 % interval", func(c *result.Compare) string { return format.Interval(shown(c).Low, shown(c).High, format.Percent) }),
		compared(r, "  p (Holm)", func(c *result.Compare) string { return format.Optional(c.PHolm, format.PValue) }),
		compared(r, "latency p50, change", func(c *result.Compare) string { return changed(c, result.P50) }),
		compared(r, "  95 % interval", func(c *result.Compare) string { return changedWithin(c, result.P50) }),
		compared(r, "latency p99, change", func(c *result.Compare) string { return changed(c, result.P99) }),
		compared(r, "  95 % interval", func(c *result.Compare) string { return changedWithin(c, result.P99) }),
		{"verdict", func(a result.Arm) string {
			if a.Name == r.Arms[0].Name {
				return "baseline"
			}
			return compared(r, "", func(c *result.Compare) string { return string(c.Verdict) }).cell(a)
		}},
	}
}

// compared is a figure of every arm but the baseline.
func compared(r *result.Result, label string, of func(*result.Compare) string) row {
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

// shown is the reduction, where that means anything: without the race in the
// baseline it does not.
func shown(c *result.Compare) result.Reduction {
	if c.Verdict == result.ArmInconclusive {
		return result.Reduction{}
	}
	return c.Reduction
}

func changed(c *result.Compare, percentile string) string {
	l := change(c, percentile)
	if !significant(l) && l.Estimate != nil {
		return same
	}
	return format.Optional(l.Estimate, format.Signed)
}

// changedWithin is the interval, whether the change is significant or not: it
// says how much may be hidden.
func changedWithin(c *result.Compare, percentile string) string {
	l := change(c, percentile)
	return format.Interval(l.Low, l.High, format.Signed)
}

func change(c *result.Compare, percentile string) result.LatencyChange {
	i := slices.IndexFunc(c.Latency, func(l result.LatencyChange) bool { return l.Percentile == percentile })
	if i < 0 {
		return result.LatencyChange{}
	}
	return c.Latency[i]
}

func significant(l result.LatencyChange) bool { return l.PHolm != nil && *l.PHolm < result.Alpha }
