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

const (
	// leastRise is how far a share has to lie above what is allowed. Two server ports
	// under the same rule may differ by as much for good: see package verdict.
	leastRise = 1.11

	// leastFailures is the number of failed requests of an arm below which a lasting share
	// cannot be told from a burst in one trial.
	leastFailures = 10
)

// allowedShare returns the largest share of the failures that nights like the earlier ones
// leave under an arm, in the sums over some further nights. It is the upper end of the
// interval of the sums over the earlier nights, with the night as unit, or, if that is
// higher and [store.LeastNights] of them lost [leastFailures] requests or more of the arm
// and of its control, the upper end of the prediction interval for the mean of the further
// nights: the logarithms of the nights' own shares, with Student's distribution (Hahn and
// Meeker, Statistical Intervals, 4.7). Both are at [result.DecisiveConfidence]. It returns nil
// if the earlier nights allow any share.
func allowedShare(arm string, earlier [][]result.RunSummary, further int) *float64 {
	pooled := store.PoolDecisive(arm, slices.Concat(earlier...), result.UnitNight)
	if pooled == nil || pooled.DecisiveHigh == nil {
		return nil
	}
	most := *pooled.DecisiveHigh
	if logs := listLogShares(arm, earlier); len(logs) >= store.LeastNights {
		if pooled.Divided != nil {
			for i := range logs {
				logs[i] -= math.Log(*pooled.Divided)
			}
		}
		mean, deviation := meanAndDeviation(logs)
		n := float64(len(logs))
		most = max(most, math.Exp(mean+stats.StudentQuantile(result.DecisiveConfidence, n-1)*deviation*math.Sqrt(1/float64(further)+1/n)))
	}
	return &most
}

// listLogShares returns the logarithm of the share of each night that lost enough.
func listLogShares(arm string, nights [][]result.RunSummary) (logs []float64) {
	for _, night := range nights {
		if sum := store.SumCounts(arm, night); sum.Failed >= leastFailures && sum.ControlFailed >= leastFailures {
			logs = append(logs, math.Log(sum.Share()))
		}
	}
	return logs
}

func meanAndDeviation(values []float64) (mean, deviation float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		deviation += (v - mean) * (v - mean) / float64(len(values)-1)
	}
	return mean, math.Sqrt(deviation)
}

// A rise is a share that lies above what earlier nights allow.
type rise struct {
	earlier [][]result.RunSummary // nights before the rise
	nights  [][]result.RunSummary // nights of the rise, up to tonight
	share   *result.Remaining     // of their sums, by the scatter of their trials
	allowed float64
}

// factor returns how many times as high as allowed the share is at least.
func (r rise) factor() float64 { return r.share.DecisiveLow / r.allowed }

// isProven reports whether the share lies entirely above what is allowed.
func (r rise) isProven() bool {
	return r.share.Failed >= leastFailures && r.share.DecisiveLow > leastRise*r.allowed
}

// includes reports whether the share of tonight alone does not lie entirely below the
// rise. Otherwise the nights before it make the rise, and not tonight.
func (r rise) includes(tonight *result.Remaining) bool {
	return tonight.DecisiveHigh == nil || *tonight.DecisiveHigh >= r.share.DecisiveLow
}

// findRise returns the rise that is the clearest: of tonight alone, or of the last nights
// together. Tonight has to be a part of it, and in more than half of these nights, tonight
// included, the night's own share has to be above what is allowed, and in more than half of
// tonight's attempts the attempt's own. So neither one bad night nor one bad attempt is
// enough. ok
// is false if none is proven; then the rise is that of tonight, nil if that is not above
// what is allowed either.
func findRise(arm string, earlier [][]result.RunSummary, tonight []result.RunSummary) (best *rise, ok bool) {
	all := append(earlier[:len(earlier):len(earlier)], tonight)
	sums := make([]result.Counts, len(all))
	for i, night := range all {
		sums[i] = store.SumCounts(arm, night)
	}
	own := store.PoolDecisive(arm, tonight, result.UnitTrial)
	var attempts []result.Counts
	for _, r := range tonight {
		attempts = append(attempts, store.SumCounts(arm, []result.RunSummary{r}))
	}
	for start := len(earlier); start >= store.LeastNights; start-- {
		before, after := sumOf(sums[:start]), sumOf(sums[start:])
		if after.Failed < leastFailures || before.ControlFailed > 0 && after.ControlFailed > 0 && after.Share() <= leastRise*before.Share() {
			continue
		}
		allowed := allowedShare(arm, all[:start], len(all)-start)
		if allowed == nil || !isAbove(sums[len(sums)-1], *allowed) || !isMostlyAbove(sums[start:], *allowed) {
			continue
		}
		r := &rise{earlier: all[:start], nights: all[start:], allowed: *allowed,
			share: store.PoolDecisive(arm, slices.Concat(all[start:]...), result.UnitTrial)}
		switch {
		case !r.includes(own):
		case r.isProven() && isMostlyAbove(attempts, *allowed) && (!ok || r.factor() > best.factor()):
			best, ok = r, true
		case start == len(earlier):
			best = r
		}
	}
	return best, ok
}

func sumOf(counts []result.Counts) (sum result.Counts) {
	for _, c := range counts {
		sum = sum.Plus(c)
	}
	return sum
}

// isMostlyAbove reports whether more than half of the counts have a share above that.
func isMostlyAbove(counts []result.Counts, allowed float64) bool {
	n := 0
	for _, c := range counts {
		if isAbove(c, allowed) {
			n++
		}
	}
	return 2*n > len(counts)
}

// isAbove reports whether counts have a share above that. Where only the arm lost
// something, it is above any.
func isAbove(c result.Counts, allowed float64) bool {
	return c.Failed > 0 && (c.ControlFailed == 0 || c.Share() > allowed)
}

// askRemaining asks whether more of the failures remain under an arm than its history
// allows.
func (n *night) askRemaining(about subject) {
	tonight := store.DropShareless(about.arm, n.tonight)
	earlier := store.GroupNights(store.DropShareless(about.arm, n.before))
	share := result.NightShare{Arm: about.arm, Nights: len(earlier), Before: store.PoolShares(about.arm, slices.Concat(earlier...), result.UnitNight)}
	if len(earlier) >= store.LeastNights {
		share.Allowed = allowedShare(about.arm, earlier, 1)
	}
	n.Shares = append(n.Shares, share)
	if len(tonight) == 0 {
		return
	}
	if len(earlier) < store.LeastNights {
		n.doubtShortHistory(about, earlier, tonight)
		return
	}
	r, ok := findRise(about.arm, earlier, tonight)
	if r == nil {
		return
	}
	f := result.Finding{Kind: about.kind, Arm: about.arm, Text: r.describe(about.arm, len(tonight))}
	switch {
	case ok && len(tonight) >= leastAttempts:
		n.Findings = append(n.Findings, f)
	case len(tonight) < mostAttempts:
		n.askAgain(f.Text)
	default:
		n.chance = append(n.chance, f)
	}
}

// doubtShortHistory raises a doubt if the share of tonight lies entirely above what fewer
// than [store.LeastNights] nights allow.
func (n *night) doubtShortHistory(about subject, earlier [][]result.RunSummary, tonight []result.RunSummary) {
	if len(earlier) == 0 {
		return
	}
	before := store.PoolDecisive(about.arm, slices.Concat(earlier...), result.UnitTrial)
	if before.DecisiveHigh == nil {
		return
	}
	r := rise{earlier: earlier, nights: [][]result.RunSummary{tonight}, allowed: *before.DecisiveHigh, share: store.PoolDecisive(about.arm, tonight, result.UnitTrial)}
	if r.isProven() {
		n.chance = append(n.chance, result.Finding{Kind: about.kind, Arm: about.arm, Text: fmt.Sprintf("%s; a regression takes %d",
			r.describe(about.arm, len(tonight)), store.LeastNights)})
	}
}

// describe returns "random-fully: 4.98 % of the failures remain, at least 2.94 % (50 of
// 20,000 requests failed, and 1,003 of 20,000 of the control, in 2 attempts); 20 earlier
// nights allow at most 0.08 %".
func (r rise) describe(arm string, attempts int) string {
	remain := "failures remain"
	if r.share.Estimate != nil {
		remain = format.Percent(*r.share.Estimate) + " of the failures remain"
	}
	over := ""
	switch {
	case len(r.nights) > 1:
		over = fmt.Sprintf(", in %d nights", len(r.nights))
	case attempts > 1:
		over = fmt.Sprintf(", in %d attempts", attempts)
	}
	first, before := r.nights[0][0], lastRun(r.earlier)
	since := ""
	if first.Kernel != before.Kernel {
		since = fmt.Sprintf(", since kernel %s (%s before it)", first.Kernel, before.Kernel)
	}
	if len(r.nights) > 1 {
		since += ", since " + formatDay(first)
	}
	return fmt.Sprintf("%s: %s, at least %s (%s of %s requests failed, and %s of %s of %s%s); %s at most %s%s", arm, remain, format.AtLeast(r.share.DecisiveLow),
		format.Thousands(r.share.Failed), format.Thousands(r.share.Requests),
		format.Thousands(r.share.ControlFailed), format.Thousands(r.share.ControlRequests), opposite(arm, r.nights), over,
		format.Plural(len(r.earlier), "earlier night allows", "earlier nights allow"), format.AtMost(r.allowed), since)
}

// opposite names what an arm is compared with.
func opposite(arm string, nights [][]result.RunSummary) string {
	last := lastRun(nights)
	if a, _ := last.Arm(arm); a.Method == result.ByTrials {
		return last.Arms[0].Name
	}
	return "the control"
}

func lastRun(nights [][]result.RunSummary) result.RunSummary {
	last := nights[len(nights)-1]
	return last[len(last)-1]
}
