package report

import (
	"fmt"
	"io"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/printable"
	"snatlab/harness/report/layout"
	"snatlab/harness/report/markdown"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// evidenceMax is the number of samples printed for an arm.
const evidenceMax = 10

// WriteMarkdown writes report.md: the contents of [WriteText], the answer first, and
// below them every trial and the environment.
func WriteMarkdown(w io.Writer, r *result.Result) error {
	var d document
	d.writeAnswer(r)
	d.writeExpected(r)
	facts := []string{loadText(r.Scenario, r.Arms), machineText(r.Environment), labText(r.Environment)}
	if text := sharedText(r.Environment); text != "" {
		facts = append(facts, "shared "+text)
	}
	if text := windowText(r.Environment); text != "" {
		facts = append(facts, "window "+text)
	}
	d.WriteList(facts...)
	if len(r.Arms) > 0 {
		d.WriteTable(compareArms(r, warningArms(r), true), 1)
		d.writeLegend(r)
		d.writeControlLegend(r.Arms)
	}
	if text := wording.DescribeLookups(r); text != "" {
		d.WriteBlock("Queries: %s.", markdown.Escape(text))
	}
	d.WriteFootnotes(r.Warnings)
	d.writeRules(r)
	d.writeEvidence(r.Arms)
	d.writeTrials(r)
	d.writeEnvironment(r)
	_, err := io.WriteString(w, strings.TrimSuffix(d.String(), "\n"))
	return err
}

// A document is report.md while it is written.
type document struct{ markdown.Document }

// writeAnswer writes the same answer as the first screen.
func (d *document) writeAnswer(r *result.Result) {
	a := wording.Answer(r)
	d.WriteBlock("# %s: %s%s", markdown.Escape(r.Scenario.Name), a.Headline, verdictMarks(warningArms(r), r.Arms))
	d.WriteBlock("%s", markdown.EscapeParagraph(a.Sentence))
	var arms []string
	for _, arm := range a.Arms {
		arms = append(arms, arm.Label+" "+arm.Text())
	}
	if len(arms) > 0 {
		d.WriteList(arms...)
	}
	if a.Caveat != "" {
		d.WriteBlock("Caveat: %s", markdown.Escape(a.Caveat))
	}
}

// writeLegend explains the statistics of the comparison.
func (d *document) writeLegend(r *result.Result) {
	switch {
	case len(r.Arms) < 2:
		return
	case isJudgedByMedians(r):
		d.WriteBlock("%s", wording.JudgedByMedians)
		return
	}
	d.WriteBlock("%s", wording.Method)
	if text := wording.DescribeInstrument(r); text != "" {
		d.WriteBlock("Instrument: %s.", markdown.Escape(text))
	}
}

// writeControlLegend explains the control.
func (d *document) writeControlLegend(arms []result.Arm) {
	if result.HasControl(arms) {
		d.WriteBlock("The control's requests are drawn among the arm's and pass plain MASQUERADE, whatever the arm is. " +
			"An arm that lost nothing shows something where its control lost requests. insert_failed and drop count both.")
	}
}

// writeRules writes the rules in an indented block, which no text of a rule can
// end.
func (d *document) writeRules(r *result.Result) {
	if len(r.Arms) == 0 {
		return
	}
	d.WriteBlock("The rule of each arm:")
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
	d.WriteBlock("## Evidence")
	d.WriteBlock("The conntrack entries of the requests that got no answer:")
	d.WriteTable(sums, 1)
	if len(samples.Rows) > 0 {
		d.WriteBlock("Some of them:")
		d.WriteTable(samples, len(samples.Head))
	}
}

func (d *document) writeExpected(r *result.Result) {
	if len(r.Expected) == 0 {
		return
	}
	t := layout.Table{Head: []string{"arm", "expected", "outcome", "found"}}
	for _, e := range r.Expected {
		t.Rows = append(t.Rows, []string{e.Arm, wording.Claim(e), wording.ExpectationWord(r, e), e.Found})
	}
	d.WriteBlock("## Expectations")
	d.WriteTable(t, len(t.Head))
}

// writeTrials lists every trial, by round.
func (d *document) writeTrials(r *result.Result) {
	control := result.HasControl(r.Arms)
	t := layout.Table{Head: trialHead(control)}
	for _, trial := range result.TrialsByRound(r.Arms) {
		t.Rows = append(t.Rows, trialCells(trial, control))
	}
	if len(t.Rows) > 0 {
		d.WriteBlock("## Trials")
		d.WriteTable(t, 2)
	}
}

func (d *document) writeEnvironment(r *result.Result) {
	d.WriteBlock("## Environment")
	d.WriteTable(layout.Table{Head: []string{"", ""}, Rows: environmentRows(r)}, 2)
	if rows := sysctlRows(r.Environment); len(rows) > 0 {
		d.WriteTable(layout.Table{Head: []string{"sysctl of the router", "value"}, Rows: rows}, 2)
	}
}
