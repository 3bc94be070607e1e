package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"snatlab/harness/figure"
	"snatlab/harness/result"
)

const (
	gutter   = 10 // columns before the text of a field
	notesMax = 8  // warnings printed; result.json holds them all
)

// Text writes what stands at the end of a run: what was done, the arms side by
// side, what is to be known about the figures, and the answer last.
func Text(w io.Writer, r *result.Result) error {
	var p page
	p.head(r)
	p.rules(r.Arms)
	p.arms(r)
	p.warnings(r.Warnings)
	p.expected(r)
	p.hang("", strings.ToUpper(string(r.Verdict))+": "+r.Summary)
	_, err := io.WriteString(w, p.String())
	return err
}

func (p *page) head(r *result.Result) {
	p.field("scenario", r.Scenario.Name)
	p.field("load", load(r.Scenario))
	p.field("machine", machine(r.Environment))
	p.field("lab", lab(r.Environment))
	p.field("run", fmt.Sprintf("%s, %s, %s", r.ID, started(r), seconds(r.Seconds)))
	p.line("")
}

// rules shows the masquerade rule of every arm.
func (p *page) rules(arms []result.Arm) {
	longest := longestName(arms)
	for _, a := range arms {
		p.hang(pad(a.Name, longest+2), orNone(a.Rule))
	}
	if len(arms) > 0 {
		p.line("")
	}
}

// arms shows the table, in as many parts as it takes to fit the page. Each
// part begins with the baseline.
func (p *page) arms(r *result.Result) {
	if len(r.Arms) == 0 {
		return
	}
	for first, after := 1, 0; after < len(r.Arms); first = after {
		var lines []string
		lines, after = fit(r, first)
		for _, line := range lines {
			p.line(line)
		}
		p.line("")
	}
}

// fit draws as many arms from first on as the page has room for, at least one.
func fit(r *result.Result, first int) (lines []string, after int) {
	for after = len(r.Arms); ; after-- {
		lines = align(compareArms(r, first, after))
		if after <= first+1 || utf8.RuneCountInString(lines[0]) <= width {
			return lines, after
		}
	}
}

func (p *page) warnings(warnings []string) {
	for _, text := range warnings[:min(len(warnings), notesMax)] {
		p.field("warning", text)
	}
	if rest := len(warnings) - notesMax; rest > 0 {
		p.field("", fmt.Sprintf("and %s, in result.json", figure.Plural(rest, "more warning", "more warnings")))
	}
	if len(warnings) > 0 {
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
			fmt.Sprintf("%s: %s (%s)", e.Arm, claim(e), e.Found))
		label = ""
	}
	if len(r.Expected) > 0 {
		p.line("")
	}
}
