package wording

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// outcomeWords are the outcomes of a night's scenarios as they are printed: in capitals if
// they have to be looked into.
var outcomeWords = map[result.Outcome]string{
	result.OutcomeRegression: Regression, result.OutcomeFail: refuted, result.OutcomeError: "ERROR", result.OutcomeKnown: "known",
}

// OutcomeWord returns the outcome of a scenario of a night. FAIL is an expectation that
// failed.
func OutcomeWord(o result.Outcome) string { return cmp.Or(outcomeWords[o], string(o)) }

// countedOutcome returns an outcome as it is counted in a sentence: without capitals, but
// FAIL.
func countedOutcome(o result.Outcome) string {
	if o == result.OutcomeFail {
		return refuted
	}
	return strings.ToLower(OutcomeWord(o))
}

// IsBad reports whether an outcome has to be looked into.
func IsBad(o result.Outcome) bool {
	return o == result.OutcomeRegression || o == result.OutcomeFail || o == result.OutcomeError
}

// NightHeadline returns the answer of a night in a word or two: its worst outcome.
func NightHeadline(n *result.Night) string {
	for _, o := range result.Outcomes {
		for _, j := range n.Runs {
			if j.Outcome == o {
				return nightHeadlines[o]
			}
		}
	}
	return CannotTell
}

var nightHeadlines = map[result.Outcome]string{
	result.OutcomeRegression: Regression, result.OutcomeFail: "EXPECTATION FAILED", result.OutcomeError: "NOT ALL COULD BE RUN",
	result.OutcomeInconclusive: CannotTell, result.OutcomeKnown: "NO NEW REGRESSION", result.OutcomeOK: NoRegression,
}

// NightKernel prints whether the machine was booted into another kernel:
// "kernel 6.12.107 -> 6.18.15 since the last run (2026-11-20)". Of a night on nodes of a
// cluster it prints their kernels.
func NightKernel(n *result.Night) string {
	if text := nodeKernels(n); text != "" {
		return text
	}
	if n.KernelBefore == "" || n.LastRun == nil {
		return fmt.Sprintf("kernel %s, the first run in this store", n.Kernel)
	}
	last := n.LastRun.UTC().Format(time.DateOnly)
	if n.KernelBefore != n.Kernel {
		return fmt.Sprintf("kernel %s -> %s since the last run (%s)", n.KernelBefore, n.Kernel, last)
	}
	return fmt.Sprintf("kernel %s, as in the last run (%s)", n.Kernel, last)
}

// nodeKernels counts the kernels of the nodes of a night, and names the nodes with a new
// one: "3 nodes: kernel 6.12.107 (2), 6.18.15 (1); new: 6.12.107 -> 6.18.15 on worker-3". It
// is empty for a night that was also on this machine.
func nodeKernels(n *result.Night) string {
	seen, kernels, count := map[string]bool{}, []string{}, map[string]int{}
	var changed []string
	for _, j := range n.Runs {
		switch {
		case j.Node == "" && j.Result != nil:
			return ""
		case j.Node == "" || seen[j.Node] || j.Result == nil:
			continue // a node without any result has no kernel that is known
		}
		seen[j.Node] = true
		kernel := j.Result.Environment.Kernel
		if count[kernel]++; count[kernel] == 1 {
			kernels = append(kernels, kernel)
		}
		if j.KernelBefore != "" && j.KernelBefore != kernel {
			changed = append(changed, fmt.Sprintf("%s -> %s on %s", j.KernelBefore, kernel, j.Node))
		}
	}
	if len(seen) == 0 {
		return ""
	}
	for i, kernel := range kernels {
		kernels[i] = fmt.Sprintf("%s (%d)", kernel, count[kernel])
	}
	text := fmt.Sprintf("%s: kernel %s", format.Plural(len(seen), "node", "nodes"), strings.Join(kernels, ", "))
	if len(changed) > 0 {
		text += "; new: " + strings.Join(changed, ", ")
	}
	return text
}

// NightRunNotes returns what is to be said of a scenario beside its figures.
func NightRunNotes(j result.NightRun) (notes []string) {
	if j.Reason != "" {
		notes = append(notes, j.Reason)
	}
	if j.KeyChange != "" {
		notes = append(notes, "history restarted: "+j.KeyChange)
	}
	for _, f := range j.Findings {
		notes = append(notes, FindingText(f))
	}
	for _, text := range j.Doubts {
		notes = append(notes, "doubt: "+text)
	}
	return notes
}

// FindingText returns a finding with its kind.
func FindingText(f result.Finding) string {
	kind := "regression"
	switch {
	case f.Kind == result.Shift:
		kind = "shift"
	case f.Known != "":
		return fmt.Sprintf("known: %s (%s)", f.Text, f.Known)
	}
	return kind + ": " + f.Text
}

// StoreLine returns the size of a store, and why a result is not in it.
func StoreLine(s result.StoreState) string {
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

// NightSummary counts the outcomes, the worst first, and names the scenarios that
// have to be looked into.
func NightSummary(n *result.Night) string {
	var counts, bad []string
	for _, o := range result.Outcomes {
		count := 0
		for _, j := range n.Runs {
			if j.Outcome != o {
				continue
			}
			if count++; IsBad(o) {
				bad = append(bad, ScenarioOn(j.Scenario, j.Node))
			}
		}
		if count > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", count, countedOutcome(o)))
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
