package regression

import (
	"fmt"
	"math"
	"slices"

	"snatlab/harness/format"
	"snatlab/harness/history/store"
	"snatlab/harness/result"
	"snatlab/harness/stats"
)

// A shift is a difference between the nights since the kernel changed and those before.
const (
	recentNights   = 7
	previousNights = 20
	leastShift     = 0.2 // of the rate before: a smaller change needs no attention
)

// slowShare is the share of the highest rate of the last nights below which a night is slow.
const slowShare = 0.1

// isShift reports whether a median rate has changed by enough, and not by chance. A
// nil p is no proof.
func isShift(before, now float64, p *float64) bool {
	return p != nil && *p < result.RunAlpha && math.Abs(now-before) >= leastShift*before
}

// allNights returns the nights up to tonight.
func (n *night) allNights() [][]result.RunSummary {
	return append(store.GroupNights(n.before), n.tonight)
}

// readMachine returns how many of the last nights were slow; nil if tonight is the first,
// or if the baseline lost nothing in any of them.
func (n *night) readMachine() *result.MachineState {
	if len(n.sum.Arms) == 0 {
		return nil
	}
	nights := n.allNights()
	rates := baselineRates(n.sum.Arms[0].Name, nights[max(0, len(nights)-recentNights):])
	if len(rates) < 2 || slices.Max(rates) == 0 {
		return nil
	}
	state := &result.MachineState{Nights: len(rates)}
	for _, rate := range rates {
		if rate < slowShare*slices.Max(rates) {
			state.Slow++
		}
	}
	return state
}

// baselineRates returns the share of the baseline's requests that failed in each night.
func baselineRates(baseline string, nights [][]result.RunSummary) (rates []float64) {
	for _, night := range nights {
		sum := store.SumArm(baseline, night)
		rates = append(rates, float64(sum.Failed)/float64(max(1, sum.Requests)))
	}
	return rates
}

// askShift asks whether the baseline's rate has changed with the kernel. It asks once: in
// the night that is the last of [recentNights] on the new kernel. Nights are compared, by
// ranks.
func (n *night) askShift(about subject) {
	nights := n.allNights()
	start := findKernelChange(nights)
	if start == 0 || len(nights)-start != recentNights {
		return
	}
	before := baselineRates(about.arm, nights[max(0, start-previousNights):start])
	now := baselineRates(about.arm, nights[start:])
	p := stats.RankSum(before, now)
	if !isShift(stats.Median(before), stats.Median(now), p) {
		return
	}
	text := fmt.Sprintf("%s lost %s in the %d nights (median) since kernel %s, and %s in the %s before it (%s)", about.arm,
		format.Percent(stats.Median(now)), len(now), n.sum.Kernel, format.Percent(stats.Median(before)),
		format.Plural(len(before), "night", "nights"), lastRun(nights[:start]).Kernel)
	n.Findings = append(n.Findings, result.Finding{Kind: about.kind, Arm: about.arm, Text: text, P: p})
}

// findKernelChange returns the index of the first night on the last night's kernel; 0 if
// all are.
func findKernelChange(nights [][]result.RunSummary) int {
	start := len(nights) - 1
	kernel := nights[start][len(nights[start])-1].Kernel
	for start > 0 && lastRun(nights[:start]).Kernel == kernel {
		start--
	}
	return start
}

// askShift asks whether the baseline's rate differs between the groups. Single runs do not
// show that: a run sees one or two states of the machine.
func (c *comparison) askShift(about subject) {
	rate := c.findArm(about.arm).Rate
	if c.Unit != result.UnitTrial && isShift(rate.Old.Median, rate.New.Median, rate.PHolm) {
		c.addFinding(about, rate.PHolm, "%s lost %s (median), and %s before",
			about.arm, format.Percent(rate.New.Median), format.Percent(rate.Old.Median))
	}
}
