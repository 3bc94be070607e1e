package stats

import (
	"math"
	"slices"
)

// Measured is a figure of one trial, measured in two places that share its conditions: a
// percentile of an arm's latency, and the same one of its control's. Where there is no
// control, Control is 1. Both are above 0.
type Measured struct{ Value, Control float64 }

// ChangeByControl returns how much higher a figure is in some trials than in others, as a
// share, once each is divided by that of its control. The state of the machine during a
// trial is in both, so it cancels. p is that of [RankSum] of these ratios. The estimate
// is nil where a side has no trial, and the interval where the sides have too few, which
// is 4 of each at a confidence of 95 %.
//
// The estimate is the median of all ratios of a trial of to with one of from (Hodges and
// Lehmann, Annals of Mathematical Statistics 34, 1963). The interval reaches from one of
// these ratios to another: it holds each change that the rank-sum test does not reject.
// Up to 120 trials of both sides together it is exact, where the ratios of both sides are
// distributed alike but for the change.
//
// Values are multiples of unit. A change of less than one unit is not visible where they
// scatter by less, so each end lies a unit further out, as a share of the median of the
// values.
func ChangeByControl(from, to []Measured, unit, confidence float64) (c Change, p *float64) {
	if len(from) == 0 || len(to) == 0 {
		return Change{}, nil
	}
	before, after := logRatios(from), logRatios(to)
	var shifts []float64
	for _, b := range before {
		for _, a := range after {
			shifts = append(shifts, a-b)
		}
	}
	slices.Sort(shifts)
	share := func(shift float64) *float64 { return new(math.Expm1(shift)) }
	c.Estimate = share(Median(shifts))
	if left := countLeftOut(len(from), len(to), confidence); left >= 0 {
		coarse := unit / Median(append(listValues(from), listValues(to)...))
		c.Low, c.High = share(shifts[left]-coarse), share(shifts[len(shifts)-1-left]+coarse)
	}
	return c, RankSum(after, before)
}

// MinForChangeByControl returns the least number of trials of each side with which
// [ChangeByControl] returns an interval: 4 at a confidence of 95 %.
func MinForChangeByControl(confidence float64) int {
	n := 1
	for countLeftOut(n, n, confidence) < 0 {
		n++
	}
	return n
}

// countLeftOut returns the number of differences between two samples of these sizes that
// lie outside the interval of the shift, on either side. It is -1 where there are too few
// values for an interval.
//
// As many differences are below 0 as Mann and Whitney's U is, which is the sum of the
// ranks of one sample less the least that it can be. The differences that are left out
// are those by which U would have a probability of half of what the interval may miss. As
// in [RankSum], that is exact up to 120 values in both samples together.
func countLeftOut(a, b int, confidence float64) int {
	if a+b > exactRankSum {
		return approximateLeftOut(a, b, confidence)
	}
	a, b = min(a, b), max(a, b)
	var ranks []int
	for rank := range a + b {
		ranks = append(ranks, 1+rank)
	}
	ways := countSums(ranks, a)
	most, few := binomialCoefficient(a+b, a)*(1-confidence)/2*(1+1e-12), 0.0 // 1 - 0.9 is less than 0.1
	for u, n := range ways[a*(a+1)/2:] {
		if few += n; few > most {
			return u - 1
		}
	}
	return -1
}

// approximateLeftOut is countLeftOut by the normal approximation of U, corrected for
// continuity.
func approximateLeftOut(a, b int, confidence float64) int {
	pairs := float64(a) * float64(b)
	deviation := math.Sqrt(pairs * float64(a+b+1) / 12)
	return max(-1, int(math.Floor(pairs/2-math.Sqrt2*math.Erfinv(confidence)*deviation-0.5)))
}

func logRatios(all []Measured) (logs []float64) {
	for _, m := range all {
		logs = append(logs, math.Log(m.Value/m.Control))
	}
	return logs
}

func listValues(all []Measured) (values []float64) {
	for _, m := range all {
		values = append(values, m.Value)
	}
	return values
}
