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

// evidenceMax is the number of samples of an arm's evidence that are printed.
const evidenceMax = 10

// Markdown writes report.md: what Text says, the answer first, and below it
// every trial and the environment.
func Markdown(w io.Writer, r *result.Result) error {
	var d document
	d.block("# %s: %s%s", escape(r.Scenario.Name), escape(answerWord(r)), verdictMarks(r.Warnings, r.Arms))
	d.block("%s", paragraph(r.Summary))
	facts := []string{load(r.Scenario), machine(r.Environment), lab(r.Environment)}
	if text := shared(r.Environment); text != "" {
		facts = append(facts, "shared "+text)
	}
	d.list(facts...)
	if len(r.Arms) > 0 {
		d.table(compareArms(r, r.Warnings, true), 1)
		d.legend(r)
	}
	d.footnotes(r.Warnings)
	d.rules(r.Arms)
	d.expected(r)
	d.evidence(r.Arms)
	d.trials(r)
	d.environment(r)
	_, err := io.WriteString(w, strings.TrimSuffix(d.String(), "\n"))
	return err
}

// A document is Markdown as GitHub and GitLab read it.
type document struct{ strings.Builder }

// block writes a heading or a paragraph, and the empty line after it.
func (d *document) block(format string, args ...any) {
	fmt.Fprintf(d, format+"\n\n", args...)
}

func (d *document) list(items ...string) {
	for _, item := range items {
		fmt.Fprintf(d, "- %s\n", paragraph(item))
	}
	d.WriteString("\n")
}

// table writes a table whose first columns, as many as left, are aligned to
// the left.
func (d *document) table(t table, left int) {
	marks := make([]string, len(t.head))
	for i := range marks {
		marks[i] = "--:"
		if i < left {
			marks[i] = ":--"
		}
	}
	heads := slices.Clone(t.head)
	for i := range heads {
		heads[i] += t.mark(i)
	}
	d.row(heads)
	d.WriteString("|" + strings.Join(marks, "|") + "|\n")
	for _, row := range t.rows {
		d.row(row)
	}
	d.WriteString("\n")
}

func (d *document) row(cells []string) {
	d.WriteString("|")
	for _, cell := range cells {
		text := escape(strings.TrimLeft(cell, " "))
		if strings.HasPrefix(cell, " ") {
			text = "&emsp;" + text // a part of the row above
		}
		fmt.Fprintf(d, " %s |", text)
	}
	d.WriteString("\n")
}

// legend says what the comparison is made by.
func (d *document) legend(r *result.Result) {
	if len(r.Arms) > 1 {
		d.block("Intervals are of medians over trials, and of their changes: these are wide, and may hold 0 where p is small. "+
			"p is that of the failure rates (Mann-Whitney U, exact up to 25 trials an arm), adjusted for the number of arms. "+
			"%s is a change of latency that chance may explain, p >= %v.", same, result.Alpha)
		if slices.ContainsFunc(r.Comparisons, func(c result.Compare) bool { return c.Verdict == result.Undecided }) {
			d.block("Undecided: no difference could have been seen in these trials, whatever the arm does.")
		}
	}
}

// footnotes are one line each, as renderers number lists by themselves.
func (d *document) footnotes(warnings []string) {
	for i, text := range warnings {
		d.block("%s %s", superscript(i+1), escape(text))
	}
}

// rules stand in an indented block: nothing in a rule can end that.
func (d *document) rules(arms []result.Arm) {
	if len(arms) == 0 {
		return
	}
	d.block("The rule of each arm:")
	longest := longestName(arms)
	for _, a := range arms {
		fmt.Fprintf(d, "    %s%s\n", pad(plain(a.Name), longest+2), plain(format.OrNone(a.Rule)))
		for _, line := range armLines(a) {
			fmt.Fprintf(d, "    %s%s\n", pad("", longest+2), plain(line))
		}
	}
	d.WriteString("\n")
}

// evidence says what --explain found out.
func (d *document) evidence(arms []result.Arm) {
	sums := table{head: []string{"arm", "without an answer", "no entry: dropped at insertion", "SYN_SENT: passed NAT, lost later", "in another state"}}
	samples := table{head: []string{"arm", "client", "source port", "conntrack entry"}}
	for _, e := range explained(arms) {
		sums.rows = append(sums.rows, e.cells())
		for _, s := range e.samples(evidenceMax) {
			samples.rows = append(samples.rows, e.sampleCells(s))
		}
	}
	if len(sums.rows) == 0 {
		return
	}
	d.block("## Evidence")
	d.block("What the conntrack table said of the requests that got no answer:")
	d.table(sums, 1)
	if len(samples.rows) > 0 {
		d.block("Some of them:")
		d.table(samples, len(samples.head))
	}
}

func (d *document) expected(r *result.Result) {
	if len(r.Expected) == 0 {
		return
	}
	t := table{head: []string{"arm", "expected", "outcome", "found"}}
	for _, e := range r.Expected {
		t.rows = append(t.rows, []string{e.Arm, wording.Claim(e), outcome(r, e), e.Found})
	}
	d.block("## Expectations")
	d.table(t, len(t.head))
}

// trials lists every trial, by round.
func (d *document) trials(r *result.Result) {
	t := table{head: []string{"round", "arm", "requests", "failed", "rate", "insert_failed", "drop",
		"rule packets", "p50", "p99", "time"}}
	for _, trial := range result.TrialsByRound(r.Arms) {
		t.rows = append(t.rows, trialCells(trial))
	}
	if len(t.rows) > 0 {
		d.block("## Trials")
		d.table(t, 2)
	}
}

func (d *document) environment(r *result.Result) {
	d.block("## Environment")
	d.table(table{head: []string{"", ""}, rows: environment(r)}, 2)
	if rows := sysctls(r.Environment); len(rows) > 0 {
		d.table(table{head: []string{"sysctl of the router", "value"}, rows: rows}, 2)
	}
}

// escape makes text from outside mean itself, in a table too.
func escape(s string) string {
	return escapes.Replace(plain(s))
}

// paragraph also keeps text from opening as anything else than a paragraph: a
// heading, a list, a quotation, a line across the page.
func paragraph(s string) string {
	return opening.ReplaceAllString(escape(strings.TrimSpace(s)), `$1\$2`)
}

var opening = regexp.MustCompile(`^([0-9]*)([-#>+=~_.)])`)

var escapes = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "[", `\[`, "]", `\]`, "<", `\<`, "|", `\|`, "&", `\&`)
