package report

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"snatlab/harness/format"
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
func (d *document) writeTable(t table, left int) {
	marks := make([]string, len(t.head))
	for i := range marks {
		marks[i] = "--:"
		if i < left {
			marks[i] = ":--"
		}
	}
	heads := slices.Clone(t.head)
	for i := range heads {
		heads[i] += t.headMarks(i)
	}
	d.writeRow(heads)
	d.WriteString("|" + strings.Join(marks, "|") + "|\n")
	for _, row := range t.rows {
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
		fmt.Fprintf(d, "    %s%s\n", padRight(printableLine(a.Name), longest+2), printableLine(format.OrNone(a.Rule)))
		for _, line := range armLines(a) {
			fmt.Fprintf(d, "    %s%s\n", padRight("", longest+2), printableLine(line))
		}
	}
	if rule := r.Environment.ControlRule; rule != "" {
		fmt.Fprintf(d, "    %s%s\n", padRight(controlLabel, longest+2), printableLine(rule))
	}
	d.WriteString("\n")
}

// writeEvidence writes the evidence of --explain.
func (d *document) writeEvidence(arms []result.Arm) {
	sums := table{head: []string{"arm", "without an answer", "no entry: dropped at insertion", "SYN_SENT: passed NAT, lost later", "in another state"}}
	samples := table{head: []string{"arm", "client", "source port", "conntrack entry"}}
	for _, e := range sumEvidence(arms) {
		sums.rows = append(sums.rows, e.sumCells())
		for _, s := range e.firstSamples(evidenceMax) {
			samples.rows = append(samples.rows, e.sampleCells(s))
		}
	}
	if len(sums.rows) == 0 {
		return
	}
	d.writeBlock("## Evidence")
	d.writeBlock("The conntrack entries of the requests that got no answer:")
	d.writeTable(sums, 1)
	if len(samples.rows) > 0 {
		d.writeBlock("Some of them:")
		d.writeTable(samples, len(samples.head))
	}
}

func (d *document) writeExpected(r *result.Result) {
	if len(r.Expected) == 0 {
		return
	}
	t := table{head: []string{"arm", "expected", "outcome", "found"}}
	for _, e := range r.Expected {
		t.rows = append(t.rows, []string{e.Arm, wording.Claim(e), heldWord(r, e), e.Found})
	}
	d.writeBlock("## Expectations")
	d.writeTable(t, len(t.head))
}

// writeTrials lists every trial, by round.
func (d *document) writeTrials(r *result.Result) {
	control := result.HasControl(r.Arms)
	t := table{head: trialHead(control)}
	for _, trial := range result.TrialsByRound(r.Arms) {
		t.rows = append(t.rows, trialCells(trial, control))
	}
	if len(t.rows) > 0 {
		d.writeBlock("## Trials")
		d.writeTable(t, 2)
	}
}

func (d *document) writeEnvironment(r *result.Result) {
	d.writeBlock("## Environment")
	d.writeTable(table{head: []string{"", ""}, rows: environmentRows(r)}, 2)
	if rows := sysctlRows(r.Environment); len(rows) > 0 {
		d.writeTable(table{head: []string{"sysctl of the router", "value"}, rows: rows}, 2)
	}
}

// escapeMarkdown escapes text from outside, also for a cell of a table.
func escapeMarkdown(s string) string {
	return markdownEscapes.Replace(printableLine(s))
}

// escapeParagraph also escapes the beginning of text, which could start a heading, a
// list, a quotation or a horizontal line instead of a paragraph.
func escapeParagraph(s string) string {
	return paragraphOpening.ReplaceAllString(escapeMarkdown(strings.TrimSpace(s)), `$1\$2`)
}

var paragraphOpening = regexp.MustCompile(`^([0-9]*)([-#>+=~_.)])`)

var markdownEscapes = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "[", `\[`, "]", `\]`, "<", `\<`, "|", `\|`, "&", `\&`)
