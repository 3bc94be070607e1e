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
	gutter     = 10 // columns before the text of a field
	notesMax   = 8  // warnings printed; result.json holds them all
	samplesMax = 3  // of an arm's evidence; likewise
)

// Text writes what stands at the end of a run: what was done, the arms side by
// side, what is to be known about the figures, and the answer last.
func Text(w io.Writer, r *result.Result) error {
	var p page
	notes := r.Warnings[:min(len(r.Warnings), notesMax)]
	p.head(r)
	p.rules(r.Arms)
	p.arms(r, notes)
	p.evidence(r.Arms)
	p.footnotes(notes, len(r.Warnings)-len(notes))
	p.expected(r)
	p.hang("", strings.ToUpper(answerWord(r))+verdictMarks(notes, r.Arms)+": "+r.Summary)
	_, err := io.WriteString(w, p.String())
	return err
}

// answerWord opens the answer. Pass is a word about expectations: a run without
// any has a result and passes nothing.
func answerWord(r *result.Result) string {
	if r.Verdict == result.Pass && len(r.Expected) == 0 {
		return "result"
	}
	return string(r.Verdict)
}

func (p *page) head(r *result.Result) {
	p.field("scenario", r.Scenario.Name)
	p.field("load", load(r.Scenario))
	p.field("machine", fullMachine(r.Environment, width-gutter))
	p.field("lab", lab(r.Environment))
	if text := shared(r.Environment); text != "" {
		p.field("shared", text)
	}
	p.field("run", fmt.Sprintf("%s, %s, %s", r.ID, started(r), format.Seconds(r.Seconds)))
	p.line("")
}

// rules shows the masquerade rule of every arm, and below it what else it sets.
func (p *page) rules(arms []result.Arm) {
	longest := longestName(arms)
	for _, a := range arms {
		p.hang(pad(a.Name, longest+2), format.OrNone(a.Rule))
		for _, line := range armLines(a) {
			p.hang(pad("", longest+2), line)
		}
	}
	if len(arms) > 0 {
		p.line("")
	}
}

// arms shows the table, in as many parts as it takes to fit the page. Each
// part begins with the baseline.
func (p *page) arms(r *result.Result, notes []string) {
	if len(r.Arms) == 0 {
		return
	}
	all := compareArms(r, notes, false)
	for first, after := 1, 0; after < len(r.Arms); first = after {
		var lines []string
		lines, after = fit(all, first)
		for _, line := range lines {
			p.line(line)
		}
		p.line("")
	}
}

// fit draws as many arms from first on as the page has room for, at least one.
func fit(all table, first int) (lines []string, after int) {
	arms := len(all.head) - 1 // the first column has the labels
	for after = arms; ; after-- {
		lines = align(all.columns(first, after))
		if after <= first+1 || utf8.RuneCountInString(lines[0]) <= width {
			return lines, after
		}
	}
}

// evidence says what --explain found out.
func (p *page) evidence(arms []result.Arm) {
	all := explained(arms)
	for i, e := range all {
		label := "evidence"
		if i > 0 {
			label = ""
		}
		p.field(label, e.String())
		for _, s := range e.samples(samplesMax) {
			p.field("", fmt.Sprintf("client %d, source port %d: %s", s.Client, s.Port, entry(s)))
		}
	}
	if len(all) > 0 {
		p.line("")
	}
}

func (p *page) footnotes(notes []string, more int) {
	for i, text := range notes {
		p.hang(pad(superscript(i+1), 2), text)
	}
	if more > 0 {
		p.hang("  ", fmt.Sprintf("and %s, in result.json", format.Plural(more, "more warning", "more warnings")))
	}
	if len(notes) > 0 {
		p.line("")
	}
}

func (p *page) expected(r *result.Result) {
	longest := 0
	for _, e := range r.Expected {
		longest = max(longest, len(outcome(r, e)))
	}
	label := "expected"
	for _, e := range r.Expected {
		p.hang(pad(label, gutter)+pad(outcome(r, e), longest+2),
			fmt.Sprintf("%s: %s (%s)", e.Arm, wording.Claim(e), e.Found))
		label = ""
	}
	if len(r.Expected) > 0 {
		p.line("")
	}
}
