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
	d.WriteBlock("# Night: %s", markdown.Escape(wording.NightSummary(n)))
	d.WriteBlock("%s", markdown.EscapeParagraph(wording.NightKernel(n)))
	t := layout.Table{Head: []string{"outcome", "scenario", "found"}}
	for _, j := range n.Runs {
		t.Rows = append(t.Rows, []string{wording.OutcomeWord(j.Outcome), wording.NightRunName(j), wording.NightRunFigures(j)})
	}
	if len(t.Rows) > 0 {
		d.WriteTable(t, len(t.Head))
	}
	for _, j := range n.Runs {
		if notes := wording.NightRunNotes(j); len(notes) > 0 {
			d.WriteBlock("**%s**", markdown.Escape(wording.NightRunName(j)))
			d.WriteList(notes...)
		}
	}
	for _, text := range n.Warnings {
		d.WriteBlock("%s", markdown.EscapeParagraph("warning: "+text))
	}
	d.WriteBlock("%s", markdown.EscapeParagraph("store "+wording.StoreLine(n.Store)))
	_, err := io.WriteString(w, strings.TrimSuffix(d.String(), "\n"))
	return err
}
