package trend

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/report/layout"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// WriteRuns writes a line for each run of a store, the oldest first: a user looks for a
// late one more often, and a terminal shows the last lines.
func WriteRuns(w io.Writer, l *result.RunList, on layout.Screen) error {
	p := newPage(on)
	if lines := p.tabulateRuns(l.Runs); layout.Width(lines[0]) <= on.Columns() {
		p.WriteLines(lines)
	} else {
		p.writeRuns(l.Runs)
	}
	notes := l.Warnings[:min(len(l.Warnings), layout.NotesMax)]
	p.WriteFootnotes(notes, len(l.Warnings)-len(notes), "--json")
	p.WriteHanging("", fmt.Sprintf("%s in %s; an ID begins with the time in UTC.", format.Plural(len(l.Runs), "run", "runs"), l.Store))
	_, err := io.WriteString(w, p.String())
	return err
}

// tabulateRuns returns the lines of a table, all of one width, the headings first.
func (p *page) tabulateRuns(runs []result.RunSummary) (lines []string) {
	rows := [][]string{{"ID", "started (UTC)", "kernel", "scenario", "by", "label", "outcome"}}
	for _, r := range runs {
		rows = append(rows, []string{r.ID, r.Started.UTC().Format("2006-01-02 15:04"), r.Kernel, r.Key.Scenario,
			cmp.Or(r.Command, format.None), cmp.Or(r.Label, format.None), outcomeOf(r)})
	}
	widths := make([]int, len(rows[0]))
	for _, cells := range rows {
		for i, cell := range cells {
			cells[i] = p.On.Shorten(cell, longestName)
			widths[i] = max(widths[i], layout.Width(cells[i]))
		}
	}
	for _, cells := range rows {
		for i := range cells {
			cells[i] = layout.PadRight(cells[i], widths[i])
		}
		lines = append(lines, strings.Join(cells, "  "))
	}
	return lines
}

// longestName bounds the columns of a cell.
const longestName = 40

// writeRuns writes the runs for a screen on which there is no room for the table.
func (p *page) writeRuns(runs []result.RunSummary) {
	for _, r := range runs {
		more := slices.DeleteFunc([]string{outcomeOf(r), r.Label, r.Command}, func(text string) bool { return text == "" || text == result.CommandRun })
		p.WriteHanging(p.On.Line(r.ID)+"  ", fmt.Sprintf("%s on %s: %s", r.Key.Scenario, r.Kernel, strings.Join(more, ", ")))
	}
	p.WriteLine("")
}

// outcomeOf returns the outcome of a run in a word or two.
func outcomeOf(r result.RunSummary) string {
	if r.Incomplete != "" {
		return "ended early"
	}
	return wording.RunWord(r.Verdict, len(r.Expected) > 0)
}
