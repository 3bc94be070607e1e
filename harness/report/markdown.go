package report

import (
	"fmt"
	"io"
	"strings"

	"snatlab/harness/result"
)

// Markdown writes report.md: what Text says, the answer first, and below it
// every trial and the environment.
func Markdown(w io.Writer, r *result.Result) error {
	var d document
	d.block("# %s: %s", escape(r.Scenario.Name), r.Verdict)
	d.block("%s", escape(r.Summary))
	d.list(load(r.Scenario), machine(r.Environment), lab(r.Environment))
	if len(r.Arms) > 0 {
		d.table(compareArms(r, 1, len(r.Arms)), 1)
		d.rules(r.Arms)
	}
	d.warnings(r.Warnings)
	d.expected(r)
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
		fmt.Fprintf(d, "- %s\n", escape(item))
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
	d.row(t.head)
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

// rules stand in an indented block: nothing in a rule can end that.
func (d *document) rules(arms []result.Arm) {
	d.block("The rule of each arm:")
	longest := longestName(arms)
	for _, a := range arms {
		fmt.Fprintf(d, "    %s%s\n", pad(plain(a.Name), longest+2), plain(orNone(a.Rule)))
	}
	d.WriteString("\n")
}

func (d *document) warnings(warnings []string) {
	if len(warnings) == 0 {
		return
	}
	d.block("## Warnings")
	d.list(warnings...)
}

func (d *document) expected(r *result.Result) {
	if len(r.Expected) == 0 {
		return
	}
	t := table{head: []string{"arm", "expected", "outcome", "found"}}
	for _, e := range r.Expected {
		t.rows = append(t.rows, []string{e.Arm, claim(e), outcome(r, e), e.Found})
	}
	d.block("## Expectations")
	d.table(t, len(t.head))
}

// trials lists every trial, by round.
func (d *document) trials(r *result.Result) {
	t := table{head: []string{"round", "arm", "requests", "failed", "rate", "insert_failed", "drop",
		"rule packets", "p50", "p99", "time"}}
	for _, trial := range byRound(r.Arms) {
		t.rows = append(t.rows, trial.cells())
	}
	if len(t.rows) > 0 {
		d.block("## Trials")
		d.table(t, 2)
	}
}

func (d *document) environment(r *result.Result) {
	d.block("## Environment")
	d.table(table{head: []string{"", ""}, rows: environment(r)}, 2)
}

// escape makes text from outside mean itself, in a table too.
func escape(s string) string {
	return escapes.Replace(plain(s))
}

var escapes = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "[", `\[`, "]", `\]`, "<", `\<`, "|", `\|`, "&", `\&`)
