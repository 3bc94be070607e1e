package report

import (
	"fmt"
	"io"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/report/layout"
	"snatlab/harness/report/markdown"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// WriteFleetText writes a table with a node in each row, what they have in common, and the
// answer last.
func WriteFleetText(w io.Writer, f *result.Fleet, on layout.Screen) error {
	p := newPage(on)
	p.WriteField("scenario", f.Scenario.Name)
	p.WriteField("load", loadText(f.Scenario, nil))
	p.WriteField("fleet", fleetRun(f))
	p.WriteLine("")
	t, notes := fleetTable(f)
	p.WriteTable(t)
	for i, text := range notes {
		p.WriteHanging(layout.PadRight(layout.Superscript(i+1), 2), text)
	}
	if len(notes) > 0 {
		p.WriteLine("")
	}
	for _, text := range wording.FleetGroups(f) {
		p.WriteHanging("", text)
	}
	p.WriteLine("")
	p.WriteHanging("", wording.FleetAnswer(f))
	_, err := io.WriteString(w, p.String())
	return err
}

// WriteFleetMarkdown writes the contents of [WriteFleetText], the answer first.
func WriteFleetMarkdown(w io.Writer, f *result.Fleet) error {
	var d document
	d.WriteBlock("# %s on %s", markdown.Escape(f.Scenario.Name), format.Plural(len(f.Nodes), "node", "nodes"))
	d.WriteBlock("%s", markdown.EscapeParagraph(wording.FleetAnswer(f)))
	d.WriteList(wording.FleetGroups(f)...)
	t, notes := fleetTable(f)
	d.WriteTable(t, 1)
	d.WriteFootnotes(notes)
	d.WriteList(loadText(f.Scenario, nil), fleetRun(f))
	_, err := io.WriteString(w, strings.TrimSuffix(d.String(), "\n"))
	return err
}

func fleetRun(f *result.Fleet) string {
	text := fmt.Sprintf("%s, %s", format.Plural(len(f.Nodes), "node", "nodes"), f.Started.UTC().Format("2006-01-02 15:04 UTC"))
	return text + ", " + format.Seconds(f.Seconds)
}

// fleetTable returns a table with a row for each node, and the notes that do not fit into a
// cell.
func fleetTable(f *result.Fleet) (t layout.Table, notes []string) {
	m := f.AsMatrix()
	arms := wording.MatrixArms(m)
	t.Head = append(append([]string{"node", wording.MatrixHead(m), "kernel", "CPUs"}, arms...), "hits", "rules")
	rules := map[string]int{} // the note about them
	for i, r := range m.Rows {
		mark := ""
		for _, text := range wording.RowNotes(r) {
			notes = append(notes, r.Kernel+": "+text)
			mark += " " + layout.Superscript(len(notes))
		}
		kernel, cpus, hits, rule := format.None, format.None, format.None, format.None
		if run := f.Nodes[i].Result; run != nil {
			kernel, cpus, hits = run.Environment.Kernel, format.Thousands(run.Environment.CPUs), format.Thousands(countHits(run))
			if k := run.Environment.Kubernetes; k != nil && len(k.Rules) > 0 {
				text := describeRules(k)
				if rules[text] == 0 {
					notes = append(notes, text)
					rules[text] = len(notes)
				}
				rule = layout.Superscript(rules[text])
			}
		}
		cells := []string{r.Kernel, wording.RowVerdict(r) + mark, kernel, cpus}
		for i, arm := range arms {
			cells = append(cells, matrixCell(r, arm, i == 0))
		}
		t.Rows = append(t.Rows, append(cells, hits, rule))
	}
	return t, notes
}

// countHits returns the requests that the control lost to the race in all trials.
func countHits(r *result.Result) (n int) {
	for _, a := range r.Arms {
		n += result.SumTrials(a.Trials, func(t result.Trial) int {
			if t.Control == nil {
				return 0
			}
			return t.Control.Causes[result.SNATRace]
		})
	}
	return n
}

// describeRules returns the first rule of a node, and how many there are.
func describeRules(k *result.Kubernetes) string {
	text := k.Rules[0]
	if more := len(k.Rules) - 1; more > 0 {
		text += fmt.Sprintf(", and %s like it", format.Plural(more, "more", "more"))
	}
	if k.DrawsPorts {
		text += " (draws ports already)"
	}
	return text
}
