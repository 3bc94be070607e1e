package report

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/printable"
	"snatlab/harness/report/layout"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// evidenceMax is the number of samples printed for an arm.
const evidenceMax = 10

// WriteMarkdown writes report.md: the contents of [WriteText], the answer first, and
// below them every trial and the environment.
func WriteMarkdown(w io.Writer, r *result.Result) error {
	var d document
	d.writeBlock("# %s: %s%s", escapeMarkdown(r.Scenario.Name), escapeMarkdown(answerWord(r)), verdictMarks(warningArms(r), r.Arms))
	d.writeBlock("%s", escapeParagraph(r.Summary))
	facts := []string{loadText(r.Scenario, r.Arms), machineText(r.Environment), labText(r.Environment)}
	if text := sharedText(r.Environment); text != "" {
		facts = append(facts, "shared "+text)
	}
	if text := windowText(r.Environment); text != "" {
		facts = append(facts, "window "+text)
	}
	d.writeList(facts...)
	if len(r.Arms) > 0 {
		d.writeTable(compareArms(r, warningArms(r), true), 1)
		d.writeLegend(r)
		d.writeControlLegend(r.Arms)
	}
	d.writeFootnotes(r.Warnings)
	d.writeRules(r)
	d.writeExpected(r)
	d.writeEvidence(r.Arms)
	d.writeTrials(r)
	d.writeEnvironment(r)
	_, err := io.WriteString(w, strings.TrimSuffix(d.String(), "\n"))
	return err
}

// A document is Markdown in the dialect of GitHub and GitLab.
type document struct{ strings.Builder }

// writeBlock writes a heading or a paragraph, and the empty line after it.
func (d *document) writeBlock(format string, args ...any) {
	fmt.Fprintf(d, format+"\n\n", args...)
}

func (d *document) writeList(items ...string) {
	for _, item := range items {
		fmt.Fprintf(d, "- %s\n", escapeParagraph(item))
	}
	d.WriteString("\n")
}

// writeTable writes a table whose first left columns are aligned to the left.
func (d *document) writeTable(t layout.Table, left int) {
	marks := make([]string, len(t.Head))
	for i := range marks {
		marks[i] = "--:"
		if i < left {
			marks[i] = ":--"
		}
	}
	heads := slices.Clone(t.Head)
	for i := range heads {
		heads[i] += t.Mark(i)
	}
	d.writeRow(heads)
	d.WriteString("|" + strings.Join(marks, "|") + "|\n")
	for _, row := range t.Rows {
		d.writeRow(row)
	}
	d.WriteString("\n")
}

func (d *document) writeRow(cells []string) {
	d.WriteString("|")
	for _, cell := range cells {
		text := escapeMarkdown(strings.TrimLeft(cell, " "))
		if strings.HasPrefix(cell, " ") {
			text = "&emsp;" + text // a part of the row above
		}
		fmt.Fprintf(d, " %s |", text)
	}
	d.WriteString("\n")
}

// writeLegend explains the statistics of the comparison.
func (d *document) writeLegend(r *result.Result) {
	switch {
	case len(r.Arms) < 2:
		return
	case isJudgedByMedians(r):
		d.writeBlock("%s", wording.JudgedByMedians)
		return
	}
	d.writeBlock("%s", wording.Method)
	if text := wording.DescribeInstrument(r); text != "" {
		d.writeBlock("Instrument: %s.", escapeMarkdown(text))
	}
}

// writeControlLegend explains the control.
func (d *document) writeControlLegend(arms []result.Arm) {
	if result.HasControl(arms) {
		d.writeBlock("The control's requests are drawn among the arm's and pass plain MASQUERADE, whatever the arm is. " +
			"An arm that lost nothing shows something where its control lost requests. insert_failed and drop count both.")
	}
}

// writeFootnotes writes a paragraph for each footnote: a list would be renumbered by
// the renderer.
func (d *document) writeFootnotes(warnings []string) {
	for i, text := range warnings {
		d.writeBlock("%s %s", superscript(i+1), escapeMarkdown(text))
	}
}

// writeRules writes the rules in an indented block, which no text of a rule can
// end.
func (d *document) writeRules(r *result.Result) {
	if len(r.Arms) == 0 {
		return
	}
	d.writeBlock("The rule of each arm:")
	longest := longestRule(r)
	for _, a := range r.Arms {
		fmt.Fprintf(d, "    %s%s\n", layout.PadRight(printable.Line(a.Name), longest+2), printable.Line(format.OrNone(a.Rule)))
		for _, line := range armLines(a) {
			fmt.Fprintf(d, "    %s%s\n", layout.PadRight("", longest+2), printable.Line(line))
		}
	}
	if rule := r.Environment.ControlRule; rule != "" {
		fmt.Fprintf(d, "    %s%s\n", layout.PadRight(controlLabel, longest+2), printable.Line(rule))
	}
	d.WriteString("\n")
}

// writeEvidence writes the evidence of --explain.
func (d *document) writeEvidence(arms []result.Arm) {
	sums := layout.Table{Head: []string{"arm", "without an answer", "no entry: dropped at insertion", "SYN_SENT: passed NAT, lost later", "in another state"}}
	samples := layout.Table{Head: []string{"arm", "client", "source port", "conntrack entry"}}
	for _, e := range sumEvidence(arms) {
		sums.Rows = append(sums.Rows, e.sumCells())
		for _, s := range e.firstSamples(evidenceMax) {
			samples.Rows = append(samples.Rows, e.sampleCells(s))
		}
	}
	if len(sums.Rows) == 0 {
		return
	}
	d.writeBlock("## Evidence")
	d.writeBlock("The conntrack entries of the requests that got no answer:")
	d.writeTable(sums, 1)
	if len(samples.Rows) > 0 {
		d.writeBlock("Some of them:")
		d.writeTable(samples, len(samples.Head))
	}
}

func (d *document) writeExpected(r *result.Result) {
	if len(r.Expected) == 0 {
		return
	}
	t := layout.Table{Head: []string{"arm", "expected", "outcome", "found"}}
	for _, e := range r.Expected {
		t.Rows = append(t.Rows, []string{e.Arm, wording.Claim(e), heldWord(r, e), e.Found})
	}
	d.writeBlock("## Expectations")
	d.writeTable(t, len(t.Head))
}

// writeTrials lists every trial, by round.
func (d *document) writeTrials(r *result.Result) {
	control := result.HasControl(r.Arms)
	t := layout.Table{Head: trialHead(control)}
	for _, trial := range result.TrialsByRound(r.Arms) {
		t.Rows = append(t.Rows, trialCells(trial, control))
	}
	if len(t.Rows) > 0 {
		d.writeBlock("## Trials")
		d.writeTable(t, 2)
	}
}

func (d *document) writeEnvironment(r *result.Result) {
	d.writeBlock("## Environment")
	d.writeTable(layout.Table{Head: []string{"", ""}, Rows: environmentRows(r)}, 2)
	if rows := sysctlRows(r.Environment); len(rows) > 0 {
		d.writeTable(layout.Table{Head: []string{"sysctl of the router", "value"}, Rows: rows}, 2)
	}
}

// escapeMarkdown escapes text from outside, also for a cell of a table.
func escapeMarkdown(s string) string {
	return markdownEscapes.Replace(printable.Line(s))
}

// escapeParagraph also escapes the beginning of text, which could start a heading, a
// list, a quotation or a horizontal line instead of a paragraph.
func escapeParagraph(s string) string {
	return paragraphOpening.ReplaceAllString(escapeMarkdown(strings.TrimSpace(s)), `$1\$2`)
}

var paragraphOpening = regexp.MustCompile(`^([0-9]*)([-#>+=~_.)])`)

var markdownEscapes = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "[", `\[`, "]", `\]`, "<", `\<`, "|", `\|`, "&", `\&`)
