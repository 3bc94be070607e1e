package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

const (
	labelWidth = 10 // columns before the text of a field
	notesMax   = 8  // warnings printed; result.json holds them all
	samplesMax = 3  // samples printed for an arm; likewise
)

// WriteText writes the report at the end of a run: scenario and machine, the arms
// side by side, the warnings, and the answer last.
func WriteText(w io.Writer, r *result.Result) error {
	var p page
	notes := r.Warnings[:min(len(r.Warnings), notesMax)]
	about := warningArms(r)[:len(notes)]
	p.writeHead(r)
	p.writeRules(r)
	p.writeArms(r, about)
	p.writeInstrument(r)
	p.writeEvidence(r.Arms)
	p.writeFootnotes(notes, len(r.Warnings)-len(notes))
	if isJudgedByMedians(r) {
		p.writeHanging("", wording.JudgedByMedians)
		p.writeLine("")
	}
	p.writeExpected(r)
	p.writeHanging("", strings.ToUpper(answerWord(r))+verdictMarks(about, r.Arms)+": "+r.Summary)
	_, err := io.WriteString(w, p.String())
	return err
}

// answerWord returns the first word of the answer. Only a run with expectations can
// pass; any other run has a result.
func answerWord(r *result.Result) string {
	if r.Verdict == result.Pass && len(r.Expected) == 0 {
		return "result"
	}
	return string(r.Verdict)
}

func (p *page) writeHead(r *result.Result) {
	p.writeField("scenario", r.Scenario.Name)
	p.writeField("load", loadText(r.Scenario, r.Arms))
	p.writeField("machine", fullMachine(r.Environment, pageWidth-labelWidth))
	p.writeField("lab", labText(r.Environment))
	if text := sharedText(r.Environment); text != "" {
		p.writeField("shared", text)
	}
	if text := windowText(r.Environment); text != "" {
		p.writeField("window", text)
	}
	p.writeField("run", fmt.Sprintf("%s, %s, %s", r.ID, startTime(r), format.Seconds(r.Seconds)))
	p.writeLine("")
}

// writeRules writes the masquerade rule of every arm, and its other settings below. The
// rule of the control, which is the same in all arms, comes last.
func (p *page) writeRules(r *result.Result) {
	longest := longestRule(r)
	for _, a := range r.Arms {
		p.writeHanging(padRight(a.Name, longest+2), format.OrNone(a.Rule))
		for _, line := range armLines(a) {
			p.writeHanging(padRight("", longest+2), line)
		}
	}
	if rule := r.Environment.ControlRule; rule != "" && len(r.Arms) > 0 {
		p.writeHanging(padRight(controlLabel, longest+2), rule)
	}
	if len(r.Arms) > 0 {
		p.writeLine("")
	}
}

// controlLabel stands before the rule of the control.
const controlLabel = "(control)"

// longestRule returns the length of the longest label of a rule.
func longestRule(r *result.Result) int {
	longest := longestName(r.Arms)
	if r.Environment.ControlRule != "" {
		longest = max(longest, len(controlLabel))
	}
	return longest
}

// writeArms writes the table, in parts that fit the page. Each part begins with the
// baseline.
func (p *page) writeArms(r *result.Result, about []string) {
	if len(r.Arms) == 0 {
		return
	}
	all := compareArms(r, about, false)
	for first, after := 1, 0; after < len(r.Arms); first = after {
		var lines []string
		lines, after = fitArms(all, first)
		for _, line := range lines {
			p.writeLine(line)
		}
		p.writeLine("")
	}
}

// writeInstrument writes how well the control stands for the baseline.
func (p *page) writeInstrument(r *result.Result) {
	if text := wording.DescribeInstrument(r); text != "" {
		p.writeHanging(padRight("instrument", labelWidth+2), text)
		p.writeLine("")
	}
}

// fitArms draws the arms from first on that fit the page, at least one.
func fitArms(all table, first int) (lines []string, after int) {
	arms := len(all.head) - 1 // the first column holds the labels
	for after = arms; ; after-- {
		lines = alignColumns(all.pickArms(first, after))
		if after <= first+1 || utf8.RuneCountInString(lines[0]) <= pageWidth {
			return lines, after
		}
	}
}

// writeEvidence writes the evidence of --explain.
func (p *page) writeEvidence(arms []result.Arm) {
	all := sumEvidence(arms)
	for i, e := range all {
		label := "evidence"
		if i > 0 {
			label = ""
		}
		p.writeField(label, e.String())
		for _, s := range e.firstSamples(samplesMax) {
			p.writeField("", fmt.Sprintf("client %d, source port %d: %s", s.Client, s.Port, entryState(s)))
		}
	}
	if len(all) > 0 {
		p.writeLine("")
	}
}

func (p *page) writeFootnotes(notes []string, more int) {
	for i, text := range notes {
		p.writeHanging(padRight(superscript(i+1), 2), text)
	}
	if more > 0 {
		p.writeHanging("  ", fmt.Sprintf("and %s, in result.json", format.Plural(more, "more warning", "more warnings")))
	}
	if len(notes) > 0 {
		p.writeLine("")
	}
}

func (p *page) writeExpected(r *result.Result) {
	longest := 0
	for _, e := range r.Expected {
		longest = max(longest, len(heldWord(r, e)))
	}
	label := "expected"
	for _, e := range r.Expected {
		p.writeHanging(padRight(label, labelWidth)+padRight(heldWord(r, e), longest+2),
			fmt.Sprintf("%s: %s (%s)", e.Arm, wording.Claim(e), e.Found))
		label = ""
	}
	if len(r.Expected) > 0 {
		p.writeLine("")
	}
}
