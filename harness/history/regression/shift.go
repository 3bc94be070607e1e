package regression

import (
	"fmt"
	"math"

	"snatlab/harness/format"
	"snatlab/harness/history/store"
	"snatlab/harness/result"
	"snatlab/harness/stats"
)

// A shift is a difference between the recent runs and those before them.
const (
	recentRuns   = 7
	previousRuns = 20
	leastShift   = 0.2 // of the rate before: a smaller change needs no attention
)

// isShift reports whether a median rate has changed by enough, and not by chance. A
// nil p is no proof.
func isShift(before, now float64, p *float64) bool {
	return p != nil && *p < result.Alpha && math.Abs(now-before) >= leastShift*before
}

// askShift asks whether the baseline's rate has changed over the last runs.
func (n *night) askShift(about subject) {
	all := append(n.before[:len(n.before):len(n.before)], n.tonight...)
	start := findRecent(all)
	before, now := store.MedianRates(about.arm, all[max(0, start-previousRuns):start]), store.MedianRates(about.arm, all[start:])
	p := stats.RankSum(before, now)
	if p == nil || !isShift(stats.Median(before), stats.Median(now), p) {
		return
	}
	text := fmt.Sprintf("%s lost %s in the last %s (median), and %s in the %d before", about.arm,
		format.Percent(stats.Median(now)), format.Plural(len(now), "run", "runs"), format.Percent(stats.Median(before)), len(before))
	if old := all[start-1].Kernel; old != all[start].Kernel {
		text += fmt.Sprintf(", since kernel %s (%s before it)", all[start].Kernel, old)
	}
	n.Findings = append(n.Findings, result.Finding{Kind: about.kind, Arm: about.arm, Text: text, P: p})
}

// findRecent returns the index of the first recent run. Recent runs have the kernel
// of the last one.
func findRecent(runs []result.RunSummary) int {
	last := len(runs) - 1
	start := last
	for start > 0 && runs[start-1].Kernel == runs[last].Kernel && last-start+1 < recentRuns {
		start--
	}
	return start
}

// askShift asks whether the baseline's rate differs between the groups.
func (c *comparison) askShift(about subject) {
	rate := c.findArm(about.arm).Rate
	if isShift(rate.Old.Median, rate.New.Median, rate.PHolm) {
		c.addFinding(about, rate.PHolm, "%s lost %s (median), and %s before",
			about.arm, format.Percent(rate.New.Median), format.Percent(rate.Old.Median))
	}
}
