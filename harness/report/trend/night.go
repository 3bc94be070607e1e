package trend

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"snatlab/harness/format"
	"snatlab/harness/report/layout"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// outcomeWidth is the width of the column of outcomes.
const outcomeWidth = 14

// WriteNight writes a night on one screen: the kernel first, then a line for each
// scenario with its findings below, and the answer last.
func WriteNight(w io.Writer, n *result.Night, on layout.Screen) error {
	p := newPage(on)
	p.WriteLine(kernelLine(n))
	p.WriteLine("")
	for _, j := range n.Runs {
		p.writeJudged(j)
	}
	if len(n.Runs) > 0 {
		p.WriteLine("")
	}
	for _, text := range n.Warnings {
		p.WriteHanging("warning: ", text)
	}
	p.WriteHanging("store ", storeLine(n.Store))
	p.WriteHanging("", nightSummary(n))
	_, err := io.WriteString(w, p.String())
	return err
}

// kernelLine prints whether the machine was booted into another kernel:
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

// writeJudged writes one scenario.
func (p *page) writeJudged(j result.NightRun) {
	word := string(j.Outcome)
	if isBad(j.Outcome) {
		word = strings.ToUpper(word)
	}
	p.WriteHanging(layout.PadRight(word, outcomeWidth), wording.NightRunName(j)+": "+wording.NightRunFigures(j))
	if j.Reason != "" {
		p.WriteHanging(layout.PadRight("", outcomeWidth), j.Reason)
	}
	if j.KeyChange != "" {
		p.WriteHanging(layout.PadRight("", outcomeWidth), "history restarted: "+j.KeyChange)
	}
	for _, f := range j.Findings {
		p.WriteHanging(layout.PadRight("", outcomeWidth)+"- ", findingText(f))
	}
	for _, text := range j.Doubts {
		p.WriteHanging(layout.PadRight("", outcomeWidth)+"- ", "doubt: "+text)
	}
}

// isBad reports whether an outcome has to be looked into.
func isBad(o result.Outcome) bool {
	return o == result.OutcomeRegression || o == result.OutcomeFail || o == result.OutcomeError
}

func findingText(f result.Finding) string {
	kind := "regression"
	switch {
	case f.Kind == result.Shift:
		kind = "shift"
	case f.Known != "":
		return fmt.Sprintf("known: %s (%s)", f.Text, f.Known)
	}
	return kind + ": " + f.Text
}

func storeLine(s result.StoreState) string {
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

// nightSummary counts the outcomes, the worst first, and names the scenarios that
// have to be looked into.
func nightSummary(n *result.Night) string {
	var counts, bad []string
	for _, o := range result.Outcomes {
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
		text += "; incomplete: " + n.Incomplete
	}
	return text
}
