package store

import (
	"slices"
	"time"

	"snatlab/harness/result"
	"snatlab/harness/stats"
)

// LeastNights is the number of nights from which on their scatter is used. Fewer nights
// hardly show how much nights differ.
const LeastNights = 5

// nightLength is how long after its first run a night can begin another one.
const nightLength = 12 * time.Hour

// GroupNights groups runs, oldest first, into nights: all runs that began within half a
// day of the first of them.
func GroupNights(runs []result.RunSummary) (nights [][]result.RunSummary) {
	for _, r := range runs {
		last := len(nights) - 1
		if last < 0 || r.Started.Sub(nights[last][0].Started) >= nightLength {
			nights, last = append(nights, nil), last+1
		}
		nights[last] = append(nights[last], r)
	}
	return nights
}

// DropShareless leaves out the runs without a share of an arm that counts: those of
// versions before shares were recorded, and those whose instrument failed.
func DropShareless(arm string, runs []result.RunSummary) []result.RunSummary {
	return slices.DeleteFunc(slices.Clone(runs), func(r result.RunSummary) bool {
		a, ok := r.Arm(arm)
		return !ok || a.Remaining == nil || len(a.Counts) == 0 || a.Why == result.WhyInstrument
	})
}

// SumCounts returns the sums of an arm over runs.
func SumCounts(arm string, runs []result.RunSummary) (sum result.Counts) {
	for _, c := range listTrials(arm, runs) {
		sum = sum.Plus(c)
	}
	return sum
}

// PoolShares returns the share of the failures that remains under an arm, of the sums over
// runs that are sorted by time. Its intervals allow for the scatter of the units, trials
// or nights ([result.UnitTrial], [result.UnitNight]). As in a single run, it is divided by
// the share of the instrument, over the same runs, where the 95 % interval of that does
// not hold 1. Without a run that has a share that counts, it is nil.
func PoolShares(arm string, runs []result.RunSummary, unit string) *result.Remaining {
	r := PoolDecisive(arm, runs, unit)
	if r != nil {
		printed, _ := poolRatio(arm, DropShareless(arm, runs), unit, result.Confidence)
		r.Low, r.High = printed.Low, printed.High
		r.Scattered = r.Scattered || printed.Scattered
	}
	return r
}

// PoolDecisive is [PoolShares] without the interval at 95 %.
func PoolDecisive(arm string, runs []result.RunSummary, unit string) *result.Remaining {
	runs = DropShareless(arm, runs)
	if len(runs) == 0 {
		return nil
	}
	sum := SumCounts(arm, runs)
	ratio, divided := poolRatio(arm, runs, unit, result.DecisiveConfidence)
	return &result.Remaining{
		Failed: sum.Failed, Requests: sum.Requests, ControlFailed: sum.ControlFailed, ControlRequests: sum.ControlRequests,
		Trials: len(listUnits(arm, runs, unit)), Estimate: ratio.Estimate,
		DecisiveLow: ratio.Low, DecisiveHigh: ratio.High, Scattered: ratio.Scattered, Divided: divided,
	}
}

// poolRatio returns the ratio of an arm in runs that have it, and the share of the
// instrument by which it was divided.
func poolRatio(arm string, runs []result.RunSummary, unit string, confidence float64) (ratio stats.Ratio, divided *float64) {
	of, _ := runs[len(runs)-1].Arm(arm)
	ratio = ratioOf(listUnits(arm, runs, unit), of.Method, unit, confidence)
	baseline := runs[0].Arms[0].Name
	if runs = DropShareless(baseline, runs); arm == baseline || of.Method != result.ByControl || len(runs) == 0 {
		return ratio, nil
	}
	units := listUnits(baseline, runs, unit)
	if i := ratioOf(units, result.ByControl, unit, result.Confidence); i.Low <= 1 && (i.High == nil || *i.High >= 1) {
		return ratio, nil
	}
	instrument := ratioOf(units, result.ByControl, unit, confidence)
	return stats.DivideRatio(ratio, instrument), instrument.Estimate
}

// listUnits returns the counts of the trials of runs, or of their nights.
func listUnits(arm string, runs []result.RunSummary, unit string) (all []result.Counts) {
	if unit != result.UnitNight {
		return listTrials(arm, runs)
	}
	for _, night := range GroupNights(runs) {
		all = append(all, SumCounts(arm, night))
	}
	return all
}

func listTrials(arm string, runs []result.RunSummary) (all []result.Counts) {
	for _, r := range runs {
		a, _ := r.Arm(arm)
		all = append(all, a.Counts...)
	}
	return all
}

// ratioOf returns the ratio of the sums over units. Trials of an arm without a control
// are independent of those of the baseline; in one night they have much in common.
func ratioOf(units []result.Counts, m result.Method, unit string, confidence float64) stats.Ratio {
	if m == result.ByTrials && unit == result.UnitTrial {
		var own, other []stats.Trial
		for _, c := range units {
			own = append(own, stats.Trial{Failed: c.Failed, Requests: c.Requests})
			if c.ControlRequests > 0 {
				other = append(other, stats.Trial{Failed: c.ControlFailed, Requests: c.ControlRequests})
			}
		}
		return stats.TrialRatio(own, other, confidence)
	}
	var pairs []stats.Pair
	var sum result.Counts
	for _, c := range units {
		pairs, sum = append(pairs, stats.Pair{A: c.Failed, B: c.ControlFailed}), sum.Plus(c)
	}
	return stats.RatioInterval(pairs, sum.Requests, sum.ControlRequests, confidence)
}
