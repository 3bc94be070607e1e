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
	recentRuns  = 7
	earlierRuns = 20
	leastShift  = 0.2 // of the rate before: less is nothing to look into
)

// shifted asks whether the baseline's rate has changed.
func (n *night) shifted() {
	if len(n.last.Arms) == 0 {
		return
	}
	baseline := n.last.Arms[0].Name
	all := append(n.before[:len(n.before):len(n.before)], n.tonight...)
	start := recent(all)
	before, now := store.MedianRates(baseline, all[max(0, start-earlierRuns):start]), store.MedianRates(baseline, all[start:])
	p := stats.RankSum(before, now)
	if p == nil || *p >= result.Alpha {
		return
	}
	was, is := stats.Median(before), stats.Median(now)
	if math.Abs(is-was) < leastShift*was {
		return
	}
	text := fmt.Sprintf("%s lost %s in the last %s (median), and %s in the %d before", baseline,
		format.Percent(is), format.Plural(len(now), "run", "runs"), format.Percent(was), len(before))
	if old := all[start-1].Kernel; old != all[start].Kernel {
		text += fmt.Sprintf(", since kernel %s (%s before it)", all[start].Kernel, old)
	}
	n.Findings = append(n.Findings, result.Finding{Kind: result.Shift, Arm: baseline, Text: text, P: p})
}

// recent is the index from which on runs are recent: they have the kernel of the
// last one.
func recent(runs []result.RunSummary) int {
	last := len(runs) - 1
	start := last
	for start > 0 && runs[start-1].Kernel == runs[last].Kernel && last-start+1 < recentRuns {
		start--
	}
	return start
}
