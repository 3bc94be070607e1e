package stats

import (
	"cmp"
	"math"
	"math/big"
)

// ExactTrend is the number of values up to which the p of a trend is exact.
const ExactTrend = 50

// MannKendall returns the result of Mann and Kendall's test for values that rise or fall
// in the order they have. Its s is the number of pairs that rise minus that of
// pairs that fall, so the sign is the direction. Its p is two-sided and allows for
// equal values: the share of all orders of the values with at least as strong a
// trend. Beyond [ExactTrend] values, p is the normal approximation.
func MannKendall(values []float64) (s int, p float64) {
	ties := map[float64]int{}
	for i, v := range values {
		ties[v]++
		for _, before := range values[:i] {
			s += cmp.Compare(v, before)
		}
	}
	if s == 0 {
		return 0, 1
	}
	if len(values) > ExactTrend {
		return s, normalTrend(s, len(values), ties)
	}
	pairs := countPairs(len(values))
	for _, t := range ties {
		pairs -= countPairs(t)
	}
	return s, min(1, 2*fewInversions((pairs-max(s, -s))/2, len(values), ties))
}

// fewInversions returns the share of the orders of n values in which at most that
// many pairs fall. The number of orders for each number of pairs is a q-multinomial
// coefficient: the coefficients of the powers of q in (1-q)(1-q²)...(1-qⁿ), divided
// by the same product for each group of t equal values. Powers above most are left
// out, as they do not act upon lower ones.
func fewInversions(most, n int, ties map[float64]int) float64 {
	orders := make([]*big.Int, most+1)
	for i := range orders {
		orders[i] = new(big.Int)
	}
	orders[0].SetInt64(1)
	for k := 1; k <= n; k++ {
		for i := most; i >= k; i-- { // times 1-q^k
			orders[i].Sub(orders[i], orders[i-k])
		}
	}
	all := new(big.Int).MulRange(1, int64(n))
	for _, t := range ties {
		for k := 1; k <= t; k++ {
			for i := k; i <= most; i++ { // divided by 1-q^k
				orders[i].Add(orders[i], orders[i-k])
			}
		}
		all.Quo(all, new(big.Int).MulRange(1, int64(t)))
	}
	few := new(big.Int)
	for _, n := range orders {
		few.Add(few, n)
	}
	share, _ := new(big.Rat).SetFrac(few, all).Float64()
	return share
}

// normalTrend returns the approximate p, corrected for ties and for continuity.
func normalTrend(s, n int, ties map[float64]int) float64 {
	variance := func(n int) float64 { return float64(n) * float64(n-1) * float64(2*n+5) / 18 }
	v := variance(n)
	for _, t := range ties {
		v -= variance(t)
	}
	return math.Erfc(math.Abs(float64(max(s, -s)-1)) / math.Sqrt(2*v))
}

func countPairs(n int) int { return n * (n - 1) / 2 }
