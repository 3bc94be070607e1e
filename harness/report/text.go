package report

import (
	"fmt"
	"io"

	"snatlab/harness/format"
	"snatlab/harness/report/layout"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// samplesMax is the number of samples printed for an arm; result.json holds them all.
const samplesMax = 3

// WriteFull writes everything about a run: the answer, scenario and machine, the rules,
// the arms side by side, the warnings, and the expectations.
func WriteFull(w io.Writer, r *result.Result, on layout.Screen) error {
	p := newPage(on)
	notes := r.Warnings[:min(len(r.Warnings), layout.NotesMax)]
	about := warningArms(r)[:len(notes)]
	p.writeAnswer(wording.Answer(r), verdictMarks(about, r.Arms))
	p.writeHead(r)
	p.writeRules(r)
	p.writeArms(r, about)
	p.writeInstrument(r)
	p.writeLookups(r)
	p.writeEvidence(r.Arms)
	p.WriteFootnotes(notes, len(r.Warnings)-len(notes), "result.json")
	if isJudgedByMedians(r) {
		p.WriteHanging("", wording.JudgedByMedians)
		p.WriteLine("")
	}
	p.writeExpected(r)
	p.WriteField("summary", r.Summary)
	_, err := io.WriteString(w, p.String())
	return err
}

// page is text for a screen, with the parts that reports have in common.
type page struct{ layout.Page }

func newPage(on layout.Screen) *page { return &page{layout.NewPage(on)} }

func (p *page) writeHead(r *result.Result) {
	p.WriteField("scenario", r.Scenario.Name)
	p.WriteField("load", loadText(r.Scenario, r.Arms))
	p.WriteField("machine", fullMachine(r.Environment, p.On.Columns()-layout.LabelWidth))
	p.WriteField("lab", labText(r.Environment))
	if text := sharedText(r.Environment); text != "" {
		p.WriteField("shared", text)
	}
	if text := windowText(r.Environment); text != "" {
		p.WriteField("window", text)
	}
	p.WriteField("run", fmt.Sprintf("%s, %s, %s", wording.RunName(r), startTime(r), format.Seconds(r.Seconds)))
	p.WriteLine("")
}

// writeRules writes the masquerade rule of every arm, and its other settings below. The
// rule of the control, which is the same in all arms, comes last.
func (p *page) writeRules(r *result.Result) {
	longest := longestRule(r)
	for _, a := range r.Arms {
		p.WriteHanging(layout.PadRight(a.Name, longest+2), format.OrNone(a.Rule))
		for _, line := range armLines(a) {
			p.WriteHanging(layout.PadRight("", longest+2), line)
		}
	}
	if rule := r.Environment.ControlRule; rule != "" && len(r.Arms) > 0 {
		p.WriteHanging(layout.PadRight(controlLabel, longest+2), rule)
	}
	if len(r.Arms) > 0 {
		p.WriteLine("")
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

// writeArms writes the table. Each part of it begins with the baseline.
func (p *page) writeArms(r *result.Result, about []string) {
	if len(r.Arms) > 0 {
		p.WriteTable(compareArms(r, about, true))
	}
}

// writeInstrument writes how well the control stands for the baseline.
func (p *page) writeInstrument(r *result.Result) {
	if text := wording.DescribeInstrument(r); text != "" {
		p.WriteHanging(layout.PadRight("instrument", layout.LabelWidth+2), text)
		p.WriteLine("")
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
		p.WriteField(label, e.String())
		for _, s := range e.firstSamples(samplesMax) {
			p.WriteField("", fmt.Sprintf("client %d, source port %d: %s", s.Client, s.Port, entryState(s)))
		}
	}
	if len(all) > 0 {
		p.WriteLine("")
	}
}

// writeExpected writes the expectations. PASS and FAIL are words for them alone.
func (p *page) writeExpected(r *result.Result) {
	longest := 0
	for _, e := range r.Expected {
		longest = max(longest, len(wording.ExpectationWord(r, e)))
	}
	label := "expected"
	for _, e := range r.Expected {
		p.WriteHanging(layout.PadRight(label, layout.LabelWidth)+layout.PadRight(wording.ExpectationWord(r, e), longest+2),
			fmt.Sprintf("%s: %s (%s)", e.Arm, wording.Claim(e), e.Found))
		label = ""
	}
	if len(r.Expected) > 0 {
		p.WriteLine("")
	}
}
