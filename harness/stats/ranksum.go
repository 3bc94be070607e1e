package stats

import (
	"cmp"
	"math"
	"slices"

	"golang.org/x/perf/benchmath"
)

// exactRankSum is the number of values, of both samples together, up to which the
// p of [RankSum] is exact.
const exactRankSum = 120

// RankSum returns the two-sided p of the rank-sum test of two samples, which may be
// of different sizes. It returns nil if a sample is empty. Up to 120 values in both
// samples together p is exact, with equal values or without; above that, it is the
// normal approximation of Mann and Whitney's test.
//
// The exact p is a share of all ways to divide the values into two samples of these
// sizes: those whose rank sum is at least as far from its mean as that of a. Equal
// values share their ranks.
func RankSum(a, b []float64) *float64 {
	if len(a) > len(b) {
		a, b = b, a
	}
	switch n := len(a) + len(b); {
	case len(a) == 0:
		return nil
	case n > exactRankSum:
		return new(min(1, benchmath.AssumeNothing.Compare(newSample(a), newSample(b)).P))
	}
	ranks, sum := doubledRanks(a, b)
	mean := len(a) * (len(a) + len(b) + 1) // of the doubled sums
	ways := countSums(ranks, len(a))
	far, all := 0.0, 0.0
	for s, n := range ways {
		all += n
		if absDifference(s, mean) >= absDifference(sum, mean) {
			far += n
		}
	}
	return new(far / all)
}

// CanDiffer reports whether two samples of these sizes can have a p below alpha after
// that many comparisons. p is smallest if every value of one sample is below every
// value of the other: two of all ways to divide the values do that.
func CanDiffer(a, b, comparisons int, alpha float64) bool {
	return 2*float64(comparisons) < alpha*binomialCoefficient(a+b, min(a, b))
}

// MinToDiffer returns the least size of two samples with which they can differ.
func MinToDiffer(comparisons int, alpha float64) int {
	n := 1
	for !CanDiffer(n, n, comparisons, alpha) {
		n++
	}
	return n
}

// doubledRanks returns twice the rank of every value, which is whole where equal
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

// countSums returns the number of ways to take n of the ranks, by their sum.
func countSums(ranks []int, n int) []float64 {
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

func absDifference(a, b int) int { return int(math.Abs(float64(a - b))) }

func binomialCoefficient(n, k int) float64 {
	c := 1.0
	for i := 1; i <= k; i++ {
		c *= float64(n-k+i) / float64(i)
	}
	return c
}
