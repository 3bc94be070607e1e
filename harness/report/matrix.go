package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// WriteMatrixText writes a table with a kernel in each row and an arm in each column,
// notes about the kernels, and the answer last.
func WriteMatrixText(w io.Writer, m *result.Matrix) error {
	var p page
	p.writeField("scenario", m.Scenario.Name)
	p.writeField("load", loadText(m.Scenario, nil))
	p.writeField("matrix", matrixRun(m))
	p.writeLine("")
	t, notes := matrixTable(m)
	for first, after := 1, 0; after < len(t.head)-1; first = after {
		var lines []string
		lines, after = fitArms(t, first)
		for _, line := range lines {
			p.writeLine(line)
		}
		p.writeLine("")
	}
	for i, text := range notes {
		p.writeHanging(padRight(superscript(i+1), 2), text)
	}
	if len(notes) > 0 {
		p.writeLine("")
	}
	for _, text := range verdictDifferences(m) {
		p.writeHanging("", text)
		p.writeLine("")
	}
	p.writeHanging("", matrixAnswer(m))
	_, err := io.WriteString(w, p.String())
	return err
}

// WriteMatrixMarkdown writes matrix.md: the contents of [WriteMatrixText], the answer
// first, and below them the last console lines of the kernels that could not be
// tested.
func WriteMatrixMarkdown(w io.Writer, m *result.Matrix) error {
	var d document
	d.writeBlock("# %s on %s", escapeMarkdown(m.Scenario.Name), format.Plural(len(m.Rows), "kernel", "kernels"))
	d.writeBlock("%s", escapeParagraph(matrixAnswer(m)))
	if texts := verdictDifferences(m); len(texts) > 0 {
		d.writeList(texts...)
	}
	t, notes := matrixTable(m)
	d.writeTable(t, 1)
	d.writeFootnotes(notes)
	d.writeList(loadText(m.Scenario, nil), matrixRun(m))
	for _, r := range m.Rows {
		if len(r.Console) == 0 {
			continue
		}
		d.writeBlock("## The console of %s", escapeMarkdown(r.Kernel))
		for _, line := range r.Console {
			fmt.Fprintf(&d, "    %s\n", printableLine(line))
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

// matrixTable returns a table with a row for each kernel, and the notes that do not
// fit into a cell.
func matrixTable(m *result.Matrix) (t table, notes []string) {
	t.head = []string{"kernel"}
	arms := armsOf(m)
	t.head = append(append(t.head, arms...), "verdict", "guest")
	t.marks = make([]string, len(t.head))
	for _, r := range m.Rows {
		cells := []string{r.Kernel}
		for i, arm := range arms {
			cells = append(cells, matrixCell(r, arm, i == 0))
		}
		about := rowNotes(r)
		mark := ""
		for _, text := range about {
			notes = append(notes, r.Kernel+": "+text)
			mark += " " + superscript(len(notes))
		}
		t.rows = append(t.rows, append(cells, rowVerdict(r)+mark, guestCell(r)))
	}
	return t, notes
}

// armsOf returns the names of the arms of all rows.
func armsOf(m *result.Matrix) (names []string) {
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
	c := findComparison(r, arm)
	if share := c.Remaining; share != nil {
		text = fmt.Sprintf("%s of %s", format.Optional(share.Estimate, format.Percent), format.Plural(share.ControlFailed, "hit", "hits"))
	}
	if c.Verdict != "" && !baseline {
		text += " " + string(c.Verdict)
	}
	return text
}

// armVerdict returns the verdict of an arm; empty for the baseline.
func armVerdict(r result.Row, arm string) result.ArmVerdict { return findComparison(r, arm).Verdict }

// findComparison returns the comparison of an arm; an empty one for the baseline.
func findComparison(r result.Row, arm string) result.Comparison {
	i := slices.IndexFunc(r.Result.Comparisons, func(c result.Comparison) bool { return c.Arm == arm })
	if i < 0 {
		return result.Comparison{}
	}
	return r.Result.Comparisons[i]
}

func rowVerdict(r result.Row) string {
	if r.Status != result.RowOK || r.Result == nil {
		return string(result.RowError)
	}
	return verdictWord(r.Result.Verdict, len(r.Result.Expected) > 0)
}

// measuredWord is printed instead of "pass" for a run without expectations.
const measuredWord = "measured"

// verdictWord prints a verdict in a table. Only a run with expectations can pass.
func verdictWord(v result.Verdict, expected bool) string {
	if v == result.Pass && !expected {
		return measuredWord
	}
	return string(v)
}

// guestCell prints what ran the guest, and for how long.
func guestCell(r result.Row) string {
	if r.Accel == "" {
		return format.None
	}
	return r.Accel + ", " + format.Seconds(r.Seconds)
}

// rowNotes returns the notes about a kernel.
func rowNotes(r result.Row) (notes []string) {
	if r.Status != result.RowOK || r.Result == nil {
		return []string{r.Reason}
	}
	if r.Attempts > 1 {
		notes = append(notes, fmt.Sprintf("%d guests, the last with %s for each client and trial: the others lost too little to the race",
			r.Attempts, format.Plural(r.Result.Scenario.Requests, "request", "requests")))
	}
	for _, a := range r.Result.Arms {
		if n := result.SumTrials(a.Trials, func(t result.Trial) int { return t.Causes[result.Unexplained] }); n > 0 {
			notes = append(notes, fmt.Sprintf("%s: %s failed for no known cause", a.Name, format.Plural(n, "request", "requests")))
		}
	}
	if i := slices.IndexFunc(r.Result.Expected, func(e result.Expectation) bool { return e.Held == nil }); i >= 0 {
		e := r.Result.Expected[i] // the same reason may hold for others
		notes = append(notes, fmt.Sprintf("undecided: %s: %s (%s)", e.Arm, wording.Claim(e), e.Found))
	}
	for _, e := range r.Result.Expected {
		if e.Held != nil && !*e.Held {
			notes = append(notes, fmt.Sprintf("not held: %s: %s (%s)", e.Arm, wording.Claim(e), e.Found))
		}
	}
	return notes
}

// verdictDifferences lists the changes of a verdict from one tested kernel to the
// next. Kernels that could not be tested are skipped.
func verdictDifferences(m *result.Matrix) (texts []string) {
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
	for _, arm := range armsOf(&result.Matrix{Rows: []result.Row{a, b}}) {
		if from, to := armVerdict(a, arm), armVerdict(b, arm); from != to {
			texts = append(texts, fmt.Sprintf("From %s to %s, %s changes from %s to %s.", a.Kernel, b.Kernel, arm, format.OrNone(string(from)), format.OrNone(string(to))))
		}
	}
	if from, to := rowVerdict(a), rowVerdict(b); from != to {
		texts = append(texts, fmt.Sprintf("From %s to %s, the verdict changes from %s to %s.", a.Kernel, b.Kernel, from, to))
	}
	return texts
}

// matrixAnswer counts the verdicts, the worst first.
func matrixAnswer(m *result.Matrix) string {
	n := map[string]int{}
	for _, r := range m.Rows {
		n[rowVerdict(r)]++
	}
	var parts []string
	for _, v := range []string{string(result.Fail), string(result.RowError), string(result.Inconclusive), measuredWord, string(result.Pass)} {
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
