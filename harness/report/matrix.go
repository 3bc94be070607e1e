package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/printable"
	"snatlab/harness/report/layout"
	"snatlab/harness/report/markdown"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// WriteMatrixText writes a table with a kernel in each row and an arm in each column,
// notes about the kernels, and the answer last.
func WriteMatrixText(w io.Writer, m *result.Matrix, on layout.Screen) error {
	p := newPage(on)
	p.WriteField("scenario", m.Scenario.Name)
	p.WriteField("load", loadText(m.Scenario, nil))
	p.WriteField("matrix", matrixRun(m))
	p.WriteLine("")
	t, notes := matrixTable(m)
	p.WriteTable(t)
	for i, text := range notes {
		p.WriteHanging(layout.PadRight(layout.Superscript(i+1), 2), text)
	}
	if len(notes) > 0 {
		p.WriteLine("")
	}
	for _, text := range wording.MatrixDifferences(m) {
		p.WriteHanging("", text)
		p.WriteLine("")
	}
	p.WriteHanging("", wording.MatrixAnswer(m))
	_, err := io.WriteString(w, p.String())
	return err
}

// WriteMatrixMarkdown writes matrix.md: the contents of [WriteMatrixText], the answer
// first, and below them the last console lines of the kernels that could not be
// tested.
func WriteMatrixMarkdown(w io.Writer, m *result.Matrix) error {
	var d document
	d.WriteBlock("# %s on %s", markdown.Escape(m.Scenario.Name), format.Plural(len(m.Rows), "kernel", "kernels"))
	d.WriteBlock("%s", markdown.EscapeParagraph(wording.MatrixAnswer(m)))
	if texts := wording.MatrixDifferences(m); len(texts) > 0 {
		d.WriteList(texts...)
	}
	t, notes := matrixTable(m)
	d.WriteTable(t, 1)
	d.WriteFootnotes(notes)
	d.WriteList(loadText(m.Scenario, nil), matrixRun(m))
	for _, r := range m.Rows {
		if len(r.Console) == 0 {
			continue
		}
		d.WriteBlock("## The console of %s", markdown.Escape(r.Kernel))
		for _, line := range r.Console {
			fmt.Fprintf(&d, "    %s\n", printable.Line(line))
		}
		d.WriteString("\n")
	}
	_, err := io.WriteString(w, strings.TrimSuffix(d.String(), "\n"))
	return err
}

func matrixRun(m *result.Matrix) string {
	text := fmt.Sprintf("%s, %s", format.Plural(len(m.Rows), "kernel", "kernels"), m.Started.UTC().Format("2006-01-02 15:04 UTC"))
	return text + ", " + format.Seconds(m.Seconds)
}

// matrixTable returns a table with a row for each kernel, its outcome first, and the notes
// that do not fit into a cell.
func matrixTable(m *result.Matrix) (t layout.Table, notes []string) {
	arms := wording.MatrixArms(m)
	t.Head = append(append([]string{"kernel", wording.MatrixHead(m)}, arms...), "guest")
	for _, r := range m.Rows {
		about := wording.RowNotes(r)
		mark := ""
		for _, text := range about {
			notes = append(notes, r.Kernel+": "+text)
			mark += " " + layout.Superscript(len(notes))
		}
		cells := []string{r.Kernel, wording.RowVerdict(r) + mark}
		for i, arm := range arms {
			cells = append(cells, matrixCell(r, arm, i == 0))
		}
		t.Rows = append(t.Rows, append(cells, guestCell(r)))
	}
	return t, notes
}

// matrixCell prints the failure rate of the baseline, and of another arm the share of the
// failures that remains, the hits that it is a share of, and the verdict.
func matrixCell(r result.Row, arm string, baseline bool) string {
	if r.Status != result.RowOK || r.Result == nil {
		return format.None
	}
	i := slices.IndexFunc(r.Result.Arms, func(a result.Arm) bool { return a.Name == arm })
	if i < 0 || len(r.Result.Arms[i].Trials) == 0 {
		return format.None
	}
	text := format.Percent(r.Result.Arms[i].FailureRate.Median)
	c := wording.RowComparison(r, arm)
	if share := c.Remaining; share != nil {
		text = fmt.Sprintf("%s of %s", format.Optional(share.Estimate, format.Percent), format.Plural(share.ControlFailed, "hit", "hits"))
	}
	if c.Verdict != "" && !baseline {
		text += " " + string(c.Verdict)
	}
	return text
}

// guestCell prints what ran the guest, and for how long.
func guestCell(r result.Row) string {
	if r.Accel == "" {
		return format.None
	}
	return r.Accel + ", " + format.Seconds(r.Seconds)
}
