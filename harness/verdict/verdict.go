// Package verdict judges the trials of a run: how often each arm fails, whether that
// differs from the baseline and by how much, what it costs in latency, and which
// expectations held.
//
// # The trial is the unit
//
// Failures cluster: a trial that is hit by a busy moment loses hundreds of
// requests, and the same arm swings by a factor of two to four between trials.
// 48,000 requests in 8 trials are therefore 8 observations, one figure a trial:
// its failure rate, the median of its latencies, their 99th percentile. A test
// that counted requests would call any two runs of the same arm different.
//
// # Figures
//
// An arm's figure is the median over its trials. Its 95 % interval runs from
// one order statistic to another: with 8 trials from the lowest to the second
// highest. If the run were repeated again and again, at least 95 of 100 such
// intervals would hold the median that the arm has in the long run, however its
// trials are distributed. It takes 6 trials to have one: those of 5 miss the
// median too often even from the lowest to the highest.
//
// # Comparisons
//
// Each arm is compared with the baseline by the Mann-Whitney U test of their
// failure rates: two-sided, by ranks. p is the share of all ways to divide the
// same trials into two arms that separate them at least as far. It is computed
// exactly, equal rates included, up to 25 trials an arm (50 where no two rates
// are equal), and beyond that by the normal approximation. Of a run that was
// interrupted, the rounds that both arms have are compared.
//
// The more arms, the more likely is a small p by chance. So p is raised by
// Holm's method: whatever number of arms is compared, the chance of calling any
// arm different that is not stays below [result.Alpha]. Verdicts rest on that p alone:
//
//   - mitigated: it is below Alpha, and the median rate at least 99 % lower
//   - reduced: it is below Alpha, and the rate lower
//   - worse: it is below Alpha, and the rate higher
//   - no-difference: it is not, though an arm without any failure would have been
//     found different from this baseline; there may still be a smaller difference
//   - undecided: it is not, and no arm would have been found different from this
//     baseline in so few trials, or with so many trials of the baseline without a
//     failure; or the ranks of the trials and their medians contradict each other
//   - inconclusive: the race did not occur in the baseline, so no arm can be shown
//     to reduce it. An arm that is worse is called worse even then
//
// Too few trials decide nothing, whatever they show: [MinRounds] returns how many it
// takes, and [CheckRounds] reports whether a run can decide what it is for.
//
// # The verdict of a run
//
// Pass and fail are about expectations. A run fails by an expectation that does
// not hold, whatever else it shows. It is inconclusive if it ended early, if one
// of its expectations could not be decided, or if no arm shows the race. Without
// expectations it is inconclusive if no comparison was decided (of a single arm:
// if the race did not occur in it), and else pass.
//
// Whether the race is absent from an arm can be decided by another arm that shows
// it: absent is less than [result.Floor] hits, and at most 1 % of that arm's share, since
// two ports that are drawn may be equal by chance.
//
// The reduction is 1 minus the ratio of the two medians. Its 95 % interval is
// the widest that the two medians' own intervals allow, at 97.5 % each: both
// hold in at least 95 runs of 100 (Bonferroni). It is wider than necessary, and
// assumes nothing. It takes 7 trials of each arm ([MinRoundsForInterval]), and a
// baseline whose interval does not reach down to 0.
//
// Latency is compared in the same way: p50 and p99 of all arms are one family
// for Holm's method, apart from that of the failure rates.
//
// # What is assumed
//
// Two things are assumed: trials do not influence each other, and an arm that changes
// nothing would have had the same trials as the baseline. Every trial sends the same
// requests on entries and ports of its own, and the order of the arms is drawn again
// in each round. Nothing is assumed about how figures are distributed. A machine that
// gets slower in the course of a run makes all arms drift together, since they are
// interleaved. That widens the intervals and hides differences, but creates none. A
// drift of the baseline is tested for (Mann-Kendall) and warned about.
//
// A small p means that the arms differ on this machine under this load. It means
// nothing for another machine. The interval, not p, is the size of the difference.
package verdict

import (
	"slices"

	"snatlab/harness/result"
)

// mitigatedFrom is the least reduction that is called mitigated.
const mitigatedFrom = 0.99

// Judge fills in, from the trials and the claims in r, each arm's FailureRate,
// LatencyP50 and LatencyP99, the Comparisons, the outcome of each expectation, and
// Verdict, and adds to WarningValues. It writes no sentence: package wording makes
// sentences of these values. r may be partial. Judging again changes only what new
// trials change; a warning that is already in r stays.
func Judge(r *result.Result) {
	for i := range r.Arms {
		a := &r.Arms[i]
		a.FailureRate, a.LatencyP50, a.LatencyP99 = summariseSpread(a.FailureRates()), summariseSpread(listP50(*a)), summariseSpread(listP99(*a))
	}
	r.Comparisons = compareAll(r.Arms)
	for i := range r.Expected {
		checkExpectation(r, r.Expected[i]).recordIn(&r.Expected[i])
	}
	r.Verdict = decideVerdict(r)
	addWarnings(r)
}

func decideVerdict(r *result.Result) result.Verdict {
	if r.Incomplete != "" {
		return result.Inconclusive
	}
	verdict := result.Pass
	if !hasAnswer(r) {
		verdict = result.Inconclusive
	}
	for _, e := range r.Expected {
		switch {
		case e.Held == nil:
			verdict = result.Inconclusive
		case !*e.Held:
			return result.Fail
		}
	}
	return verdict
}

// hasAnswer reports whether the trials show anything that a verdict can rest on.
func hasAnswer(r *result.Result) bool {
	compared := slices.ContainsFunc(r.Comparisons, func(c result.Comparison) bool { return c.Verdict.IsDecided() })
	return compared || r.ShowsRace() && (len(r.Expected) > 0 || len(r.Arms) == 1)
}
