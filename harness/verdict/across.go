package verdict

import (
	"cmp"
	"math"
	"slices"

	"golang.org/x/perf/benchmath"

	"snatlab/harness/result"
)

// exactDifference is the number of values, those of both samples, up to which
// the p of a difference is exact.
const exactDifference = 120

// Across sets the failure rates of each arm, a value a trial or a run, against
// those that it had before. The arms are one family for Holm's method.
func Across(before, after [][]float64) []result.RateChange {
	changes := make([]result.RateChange, len(before))
	ps := make([]*float64, len(before))
	for i := range changes {
		c := &changes[i]
		c.Old, c.New = Spread(before[i]), Spread(after[i])
		c.Estimate, c.Low, c.High = change(after[i], before[i])
		c.P = Differ(before[i], after[i])
		ps[i] = c.P
	}
	for i, p := range holm(ps) {
		changes[i].PHolm = p
	}
	return changes
}

// Spread is the median of values with its 95 % interval.
func Spread(values []float64) result.Spread { return spread(values) }

// Rates are those of the trials of an arm.
func Rates(arm result.Arm) []float64 { return rates(arm) }

// CanDiffer reports whether samples of two sizes that lie entirely apart have a p
// below [Alpha], where there are that many comparisons.
func CanDiffer(a, b, comparisons int) bool {
	return 2*float64(comparisons) < Alpha*choose(a+b, min(a, b))
}

// Differ is the two-sided p of two samples by ranks, which may be of different
// sizes: the share of all ways to divide their values into two of those sizes
// that put the sum of the ranks of one at least as far from its mean. Equal
// values share their ranks. Nil where one has no value. Of more than 120 values
// it is the normal approximation of Mann and Whitney's test.
func Differ(a, b []float64) *float64 {
	if len(a) > len(b) {
		a, b = b, a
	}
	switch n := len(a) + len(b); {
	case len(a) == 0:
		return nil
	case n > exactDifference:
		return new(min(1, benchmath.AssumeNothing.Compare(sample(a), sample(b)).P))
	}
	ranks, sum := doubledRanks(a, b)
	mean := len(a) * (len(a) + len(b) + 1) // of the doubled sums
	ways := sums(ranks, len(a))
	far, all := 0.0, 0.0
	for s, n := range ways {
		all += n
		if abs(s-mean) >= abs(sum-mean) {
			far += n
		}
	}
	return new(far / all)
}

// doubledRanks gives twice the rank of every value, which is whole where equal
// values share theirs, and the sum of those of a.
func doubledRanks(a, b []float64) (ranks []int, sum int) {
	all := slices.Concat(a, b)
	for i, v := range all {
		below, same := 0, 0
		for _, w := range all {
			switch cmp.Compare(w, v) {
			case -1:
				below++
			case 0:
				same++
			}
		}
		ranks = append(ranks, 2*below+same+1)
		if i < len(a) {
			sum += ranks[i]
		}
	}
	return ranks, sum
}

// sums counts the ways to take n of the ranks, by their sum.
func sums(ranks []int, n int) []float64 {
	most := 0
	for _, r := range ranks {
		most += r
	}
	ways := make([][]float64, n+1)
	for i := range ways {
		ways[i] = make([]float64, most+1)
	}
	ways[0][0] = 1
	for _, r := range ranks {
		for taken := n; taken > 0; taken-- {
			for s := r; s <= most; s++ {
				ways[taken][s] += ways[taken-1][s-r]
			}
		}
	}
	return ways[n]
}

func abs(n int) int { return int(math.Abs(float64(n))) }
