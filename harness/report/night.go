package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// outcomeWidth is that of the column of outcomes.
const outcomeWidth = 14

// outcomes are those of a night's runs, the worst first.
var outcomes = []result.Outcome{result.OutcomeRegression, result.OutcomeFail, result.OutcomeError,
	result.OutcomeInconclusive, result.OutcomeKnown, result.OutcomeOK}

// Night writes a night on one screen: a new kernel first, then a line for each
// scenario with what is to be said of it below, and the answer last.
func Night(w io.Writer, n *result.Night) error {
	var p page
	p.line(kernelLine(n))
	p.line("")
	for _, j := range n.Runs {
		p.judged(j)
	}
	if len(n.Runs) > 0 {
		p.line("")
	}
	for _, text := range n.Warnings {
		p.hang("warning: ", text)
	}
	p.hang("store ", store(n.Store))
	p.hang("", nightSummary(n))
	_, err := io.WriteString(w, p.String())
	return err
}

// kernelLine says whether the machine was booted into another kernel:
// "kernel 6.12.107 -> 6.18.15 since the last run (2026-11-20)".
func kernelLine(n *result.Night) string {
	if n.KernelBefore == "" || n.LastRun == nil {
		return fmt.Sprintf("kernel %s, the first run in this store", n.Kernel)
	}
	last := n.LastRun.UTC().Format(time.DateOnly)
	if n.KernelBefore != n.Kernel {
		return fmt.Sprintf("kernel %s -> %s since the last run (%s)", n.KernelBefore, n.Kernel, last)
	}
	return fmt.Sprintf("kernel %s, as in the last run (%s)", n.Kernel, last)
}

// judged is one scenario.
func (p *page) judged(j result.Judged) {
	word := string(j.Outcome)
	if isBad(j.Outcome) {
		word = strings.ToUpper(word)
	}
	p.hang(pad(word, outcomeWidth), label(j)+": "+figuresOf(j))
	if j.Reason != "" {
		p.hang(pad("", outcomeWidth), j.Reason)
	}
	if j.Anew != "" {
		p.hang(pad("", outcomeWidth), "history began anew: "+j.Anew)
	}
	for _, f := range j.Findings {
		p.hang(pad("", outcomeWidth)+"- ", finding(f))
	}
	for _, text := range j.Doubts {
		p.hang(pad("", outcomeWidth)+"- ", "doubt: "+text)
	}
}

// isBad tells the outcomes that ask for somebody to look.
func isBad(o result.Outcome) bool {
	return o == result.OutcomeRegression || o == result.OutcomeFail || o == result.OutcomeError
}

// label names a scenario, its driver, and how often it took to be run.
func label(j result.Judged) string {
	text := j.Scenario
	if j.Driver != "" {
		text += fmt.Sprintf(" (%s)", j.Driver)
	}
	if j.Attempts > 1 {
		text += fmt.Sprintf(", %d attempts", j.Attempts)
	}
	return text
}

// figuresOf sets the baseline against its history and names the verdicts of the
// other arms: "masquerade 25.0 % (14.1 to 31.2 % in 20 runs); mitigated:
// random-fully; no change on 6.18.15".
func figuresOf(j result.Judged) string {
	if j.Result == nil || len(j.Result.Arms) == 0 || len(j.Result.Arms[0].Trials) == 0 {
		return "no result"
	}
	parts := []string{baseline(j)}
	for _, v := range []result.ArmVerdict{result.Worse, result.Undecided, result.NoDifference, result.Reduced, result.Mitigated, result.ArmInconclusive} {
		var arms []string
		for _, c := range j.Result.Comparisons {
			if c.Verdict == v {
				arms = append(arms, c.Arm)
			}
		}
		if len(arms) > 0 {
			parts = append(parts, fmt.Sprintf("%s: %s", v, strings.Join(arms, ", ")))
		}
	}
	if isUnchanged(j) {
		parts = append(parts, "no change on "+j.Result.Environment.Kernel)
	}
	return strings.Join(parts, "; ")
}

func baseline(j result.Judged) string {
	arm := j.Result.Arms[0]
	text := fmt.Sprintf("%s %s", arm.Name, format.Percent(arm.FailureRate.Median))
	i := slices.IndexFunc(j.Before, func(b result.ArmBefore) bool { return b.Arm == arm.Name })
	if i < 0 || j.Before[i].Runs == 0 {
		return text + " (first run)"
	}
	before := j.Before[i]
	return fmt.Sprintf("%s (%s in %s)", text, format.Interval(&before.Lowest, &before.Highest, format.Percent),
		format.Plural(before.Runs, "run", "runs"))
}

// isUnchanged tells a kernel that is new and makes no difference: where there is a
// doubt, it may make one.
func isUnchanged(j result.Judged) bool {
	return j.Outcome == result.OutcomeOK && len(j.Findings) == 0 && len(j.Doubts) == 0 &&
		j.KernelBefore != "" && j.KernelBefore != j.Result.Environment.Kernel
}

func finding(f result.Finding) string {
	kind := "regression"
	switch {
	case f.Kind == result.Shift:
		kind = "shift"
	case f.Known != "":
		return fmt.Sprintf("known: %s (%s)", f.Text, f.Known)
	}
	return kind + ": " + f.Text
}

func store(s result.StoreState) string {
	size := fmt.Sprintf("%.1f MiB", float64(s.Bytes)/(1<<20))
	if s.Bytes < 1<<20 {
		size = fmt.Sprintf("%d KiB", s.Bytes>>10)
	}
	text := fmt.Sprintf("%s: %s, %s", s.Path, format.Plural(s.Runs, "run", "runs"), size)
	if s.Error != "" {
		text += "; " + s.Error
	}
	return text
}

// nightSummary says how many scenarios came to what, the worst first, and names
// those that somebody has to look at.
func nightSummary(n *result.Night) string {
	var counts, bad []string
	for _, o := range outcomes {
		count := 0
		for _, j := range n.Runs {
			if j.Outcome != o {
				continue
			}
			if count++; isBad(o) {
				bad = append(bad, j.Scenario)
			}
		}
		if count > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", count, o))
		}
	}
	text := cmp.Or(strings.Join(counts, ", "), "nothing was run")
	if len(bad) > 0 {
		text += " (" + strings.Join(bad, ", ") + ")"
	}
	if n.Incomplete != "" {
		text += "; not all of it: " + n.Incomplete
	}
	return text
}
