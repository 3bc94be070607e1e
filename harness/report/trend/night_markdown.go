package trend

import (
	"io"
	"strings"

	"snatlab/harness/report/layout"
	"snatlab/harness/report/markdown"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// WriteNightMarkdown writes the contents of [WriteNight] as Markdown, the answer first.
func WriteNightMarkdown(w io.Writer, n *result.Night) error {
	var d markdown.Document
	d.WriteBlock("# Night: %s", markdown.Escape(nightSummary(n)))
	d.WriteBlock("%s", markdown.EscapeParagraph(kernelLine(n)))
	t := layout.Table{Head: []string{"outcome", "scenario", "found"}}
	for _, j := range n.Runs {
		t.Rows = append(t.Rows, []string{outcomeWord(j.Outcome), wording.NightRunName(j), wording.NightRunFigures(j)})
	}
	if len(t.Rows) > 0 {
		d.WriteTable(t, len(t.Head))
	}
	for _, j := range n.Runs {
		if notes := judgedNotes(j); len(notes) > 0 {
			d.WriteBlock("**%s**", markdown.Escape(wording.NightRunName(j)))
			d.WriteList(notes...)
		}
	}
	for _, text := range n.Warnings {
		d.WriteBlock("%s", markdown.EscapeParagraph("warning: "+text))
	}
	d.WriteBlock("%s", markdown.EscapeParagraph("store "+storeLine(n.Store)))
	_, err := io.WriteString(w, strings.TrimSuffix(d.String(), "\n"))
	return err
}

// outcomeWord returns an outcome, in capitals if it has to be looked into.
func outcomeWord(o result.Outcome) string {
	if isBad(o) {
		return strings.ToUpper(string(o))
	}
	return string(o)
}

// judgedNotes returns what is to be said of a scenario beside its figures.
func judgedNotes(j result.NightRun) (notes []string) {
	if j.Reason != "" {
		notes = append(notes, j.Reason)
	}
	if j.KeyChange != "" {
		notes = append(notes, "history restarted: "+j.KeyChange)
	}
	for _, f := range j.Findings {
		notes = append(notes, findingText(f))
	}
	for _, text := range j.Doubts {
		notes = append(notes, "doubt: "+text)
	}
	return notes
}
