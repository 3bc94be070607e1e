package report

import (
	"cmp"
	"slices"

	"snatlab/harness/figure"
	"snatlab/harness/result"
)

// none stands where there is no figure, which is not the same as 0.
const none = "-"

// A table has a line of headings. Its first column is aligned to the left, the
// others to the right.
type table struct {
	head []string
	rows [][]string
}

// A row is one figure of every arm.
type row struct {
	label  string
	figure func(result.Arm) string // asked only of an arm with a trial
	change func(result.Arm) string // against the baseline; nil where sums would be compared
}

// compareArms sets the baseline and the arms from first up to, not including,
// after side by side. What an arm changes is a column of its own when r has
// two arms, and a row when it has more.
func compareArms(r *result.Result, first, after int) table {
	arms := append(r.Arms[:1:1], r.Arms[first:after]...)
	t := table{head: []string{""}}
	for _, a := range arms {
		t.head = append(t.head, a.Name)
	}
	for _, row := range rows(r) {
		cells := []string{row.label}
		for _, a := range arms {
			cells = append(cells, row.cell(a))
		}
		if len(r.Arms) == 2 {
			cells = append(cells, row.changeCell(arms[1]))
		}
		t.rows = append(t.rows, cells)
	}
	if len(r.Arms) == 2 {
		t.head = append(t.head, "change")
	}
	if len(r.Arms) > 1 {
		t.rows = append(t.rows, verdicts(r, arms))
	}
	return t
}

func (row row) cell(a result.Arm) string {
	if len(a.Trials) == 0 {
		return none
	}
	return row.figure(a)
}

func (row row) changeCell(a result.Arm) string {
	if row.change == nil {
		return ""
	}
	return row.change(a)
}

func rows(r *result.Result) []row {
	rows := []row{
		total("requests", func(t result.Trial) int { return t.Requests }),
		total("failed", func(t result.Trial) int { return t.Failed }),
	}
	for _, cause := range causes(r.Arms) {
		rows = append(rows, total("  "+cause, func(t result.Trial) int { return t.Causes[cause] }))
	}
	rows = append(rows, rates(r)...)
	return append(rows,
		total("insert_failed", func(t result.Trial) uint64 { return t.Conntrack.InsertFailed }),
		total("drop", func(t result.Trial) uint64 { return t.Conntrack.Drop }),
		latency("latency p50", r, func(t result.Trial) int64 { return t.Latency.P50 }),
		latency("latency p99", r, func(t result.Trial) int64 { return t.Latency.P99 }),
	)
}

func total[N int | uint64](label string, of func(result.Trial) N) row {
	return row{label: label, figure: func(a result.Arm) string { return figure.Thousands(sum(a.Trials, of)) }}
}

func rates(r *result.Result) []row {
	change := func(a result.Arm) string { return rateChange(r, a) }
	rows := []row{
		{"failure rate, median", func(a result.Arm) string { return figure.Percent(a.FailureRate.Median) }, change},
		{"  lowest-highest", func(a result.Arm) string { return spread(a.FailureRate) }, nil},
	}
	if len(r.Arms) > 2 {
		rows = append(rows, row{"  change", change, nil})
	}
	return rows
}

// rateChange is what an arm does to the baseline's failure rate, where that
// means anything.
func rateChange(r *result.Result, a result.Arm) string {
	c := comparison(r, a)
	if c == nil || c.Verdict == result.ArmInconclusive || c.Reduction.Estimate == nil {
		return none
	}
	change := figure.Percent(-*c.Reduction.Estimate)
	if *c.Reduction.Estimate < 0 {
		change = "+" + change
	}
	return change
}

func latency(label string, r *result.Result, figure func(result.Trial) int64) row {
	of := func(a result.Arm) int64 { return median(a.Trials, figure) }
	return row{
		label:  label,
		figure: func(a result.Arm) string { return micros(of(a)) },
		change: func(a result.Arm) string { return microsChange(of(r.Arms[0]), of(a)) },
	}
}

// verdicts is the last row: what each comparison says.
func verdicts(r *result.Result, arms []result.Arm) []string {
	cells := []string{"verdict", "baseline"}
	for _, a := range arms[1:] {
		cell := none
		if c := comparison(r, a); c != nil {
			cell = string(c.Verdict)
		}
		cells = append(cells, cell)
	}
	if len(r.Arms) == 2 {
		cells = append(cells, "")
	}
	return cells
}

func comparison(r *result.Result, a result.Arm) *result.Compare {
	i := slices.IndexFunc(r.Comparisons, func(c result.Compare) bool { return c.Arm == a.Name })
	if i < 0 {
		return nil
	}
	return &r.Comparisons[i]
}

// causes lists what made requests fail in any arm, the most frequent first.
// The unexplained ones stand last, and always.
func causes(arms []result.Arm) []string {
	n := map[string]int{}
	for _, a := range arms {
		for _, t := range a.Trials {
			for cause, failed := range t.Causes {
				n[cause] += failed
			}
		}
	}
	var names []string
	for cause, failed := range n {
		if failed > 0 && cause != result.Unexplained {
			names = append(names, cause)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(n[b], n[a]), cmp.Compare(a, b))
	})
	return append(names, result.Unexplained)
}
