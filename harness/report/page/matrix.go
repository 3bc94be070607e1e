package page

import (
	"fmt"
	"io"
	"slices"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// matrixPage is what matrix.html shows of kernels, and fleet.html of nodes.
type matrixPage struct {
	Command   string // "matrix" or "fleet"
	Rows      string // "Kernels" or "Nodes"
	Title     string
	Answer    string
	Changes   []string
	Ran       string
	Heat      heatTable
	Remaining []*stripChart // of each arm, a strip for each kernel
	Notes     []string
	Consoles  []rule
	Rules     []rule // of nodes
}

// A heatTable has a row for each kernel and a column for each arm. The stronger the
// ground of a cell, the larger its figure.
type heatTable struct {
	Caption string
	Head    []string
	Rows    []heatRow
}

type heatRow struct {
	Name    string
	Outcome string // may be empty
	Cells   []heatCell
	Text    []string // cells without a ground
}

type heatCell struct{ Text, Class string }

// heatOf returns the class of a share: h1 for the least that is not 0, h5 from a half on.
func heatOf(share float64) string {
	class := ""
	for i, from := range []float64{0, 0.01, 0.1, 0.25, 0.5} {
		if share > from {
			class = fmt.Sprintf("h%d", i+1)
		}
	}
	return class
}

// WriteMatrix writes matrix.html: the kernels as a heat table, and what remains of the
// failures on each.
func WriteMatrix(w io.Writer, m *result.Matrix) error {
	p := drawMatrix(m)
	p.Heat.Head[0] = "kernel"
	p.Heat.Head = append(p.Heat.Head, "guest")
	for i, r := range m.Rows {
		p.Heat.Rows[i].Text = []string{format.OrNone(r.Accel)}
	}
	return write(w, "matrix.html", p)
}

// drawMatrix returns the page of a matrix; its heat table has neither the heading of the
// first column nor what follows the arms.
func drawMatrix(m *result.Matrix) matrixPage {
	p := matrixPage{Command: "matrix", Rows: "Kernels", Title: m.Scenario.Name, Answer: wording.MatrixAnswer(m), Changes: wording.MatrixDifferences(m),
		Ran: fmt.Sprintf("%s, took %s", m.Started.UTC().Format("2006-01-02 15:04 UTC"), format.Seconds(m.Seconds))}
	arms := wording.MatrixArms(m)
	p.Heat = heatTable{Caption: "What failed, and what remains of it", Head: append([]string{"", wording.MatrixHead(m)}, arms...)}
	for _, r := range m.Rows {
		row := heatRow{Name: r.Kernel, Outcome: wording.RowVerdict(r)}
		for i, arm := range arms {
			row.Cells = append(row.Cells, matrixCell(r, arm, i == 0))
		}
		p.Heat.Rows = append(p.Heat.Rows, row)
		for _, text := range wording.RowNotes(r) {
			p.Notes = append(p.Notes, r.Kernel+": "+text)
		}
		if len(r.Console) > 0 {
			p.Consoles = append(p.Consoles, rule{Name: r.Kernel, Lines: r.Console})
		}
	}
	for i, arm := range arms {
		if chart := remainingByKernel(m, arm, i); chart != nil {
			if len(p.Remaining) > 0 {
				chart.About = "" // it is the same
			}
			p.Remaining = append(p.Remaining, chart)
		}
	}
	return p
}

// armOf returns an arm of a tested kernel that has a trial.
func armOf(r result.Row, name string) (a result.Arm, ok bool) {
	if r.Status != result.RowOK || r.Result == nil {
		return a, false
	}
	i := slices.IndexFunc(r.Result.Arms, func(a result.Arm) bool { return a.Name == name && len(a.Trials) > 0 })
	if i < 0 {
		return a, false
	}
	return r.Result.Arms[i], true
}

// matrixCell returns the failure rate of the baseline, and of another arm the share of
// the failures that remains, with the verdict.
func matrixCell(r result.Row, name string, baseline bool) heatCell {
	a, ok := armOf(r, name)
	if !ok {
		return heatCell{Text: format.None}
	}
	c := wording.RowComparison(r, name)
	switch {
	case baseline:
		return heatCell{Text: format.Percent(a.FailureRate.Median) + " failed", Class: heatOf(a.FailureRate.Median)}
	case c.Remaining == nil || c.Remaining.Estimate == nil:
		return heatCell{Text: format.Percent(a.FailureRate.Median) + " failed " + string(c.Verdict)}
	}
	return heatCell{Text: format.Percent(*c.Remaining.Estimate) + " remains, " + string(c.Verdict), Class: heatOf(*c.Remaining.Estimate)}
}

// rowsDrawn bounds the rows of a matrix that have a strip for each arm.
const rowsDrawn = 100

// remainingByKernel draws what remains under an arm on each kernel; nil for the baseline.
func remainingByKernel(m *result.Matrix, arm string, index int) *stripChart {
	var all []namedRemaining
	for _, r := range m.Rows[:min(len(m.Rows), rowsDrawn)] {
		if _, ok := armOf(r, arm); !ok {
			continue
		}
		if c := wording.RowComparison(r, arm); c.Remaining != nil {
			all = append(all, namedRemaining{r.Kernel, string(c.Verdict), c.Remaining})
		}
	}
	return drawShares(fmt.Sprintf("remaining-%d", index), "What remains under "+arm, all)
}
