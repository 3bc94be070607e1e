package stats

import (
	"cmp"
	"math"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

// p is the share of all divisions that separate two samples as far.
func TestRankSumEnumerated(t *testing.T) {
	t.Parallel()
	draw := rand.New(rand.NewPCG(1, 0))
	for range 400 {
		n := 1 + draw.IntN(6)
		a, b := drawValues(draw, n), drawValues(draw, n)
		if got, want := *RankSum(a, b), enumerateP(a, b); !isClose(got, want) {
			t.Errorf("%v and %v: p = %v, want %v", a, b, got, want)
		}
	}
}

// p depends neither on the order of two samples nor on the scale.
func TestRankSumInvariant(t *testing.T) {
	t.Parallel()
	draw := rand.New(rand.NewPCG(3, 0))
	for range 400 {
		a, b := drawValues(draw, 1+draw.IntN(30)), drawValues(draw, 1+draw.IntN(30))
		p := *RankSum(a, b)
		if back := *RankSum(b, a); !isClose(back, p) {
			t.Errorf("%v and %v: p = %v, the other way round %v", a, b, p, back)
		}
		for name, f := range map[string]func(float64) float64{"exp": math.Exp, "cube": func(x float64) float64 { return x*x*x - 5 }, "minus": func(x float64) float64 { return -x }} {
			if scaled := *RankSum(mapValues(a, f), mapValues(b, f)); !isClose(scaled, p) {
				t.Errorf("%v and %v: p = %v, after %s %v", a, b, p, name, scaled)
			}
		}
	}
}

// An adjusted p is that of Holm's method.
func TestAdjustHolm(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ raw, want []*float64 }{
		{nil, []*float64{}},
		{pointersTo(.03), pointersTo(.03)},
		{pointersTo(.01, .04, .03, .005), pointersTo(.03, .06, .06, .02)},
		{pointersTo(.5, .6), pointersTo(1, 1)},
		{pointersTo(.02, .02), pointersTo(.04, .04)},
		{[]*float64{nil, new(.01), nil, new(.02)}, []*float64{nil, new(.02), nil, new(.02)}},
	} {
		got := AdjustHolm(tc.raw)
		same := func(a, b *float64) bool { return a == nil && b == nil || a != nil && b != nil && isClose(*a, *b) }
		if !slices.EqualFunc(got, tc.want, same) {
			t.Errorf("%v: got %v, want %v", pointedValues(tc.raw), pointedValues(got), pointedValues(tc.want))
		}
	}
}

// An adjusted p is never below the raw one and keeps its order.
func TestAdjustHolmOrder(t *testing.T) {
	t.Parallel()
	draw := rand.New(rand.NewPCG(4, 0))
	for range 300 {
		var raw []*float64
		for range 1 + draw.IntN(12) {
			raw = append(raw, new(math.Pow(draw.Float64(), 3)))
		}
		adjusted := AdjustHolm(raw)
		for i, p := range adjusted {
			if *p < *raw[i] || *p > 1 || *p > *raw[i]*float64(len(raw)) {
				t.Errorf("%v of %d became %v", *raw[i], len(raw), *p)
			}
			for j, q := range adjusted {
				if *raw[i] < *raw[j] && *p > *q {
					t.Errorf("%v and %v changed places: %v, %v", *raw[i], *raw[j], *p, *q)
				}
			}
		}
	}
}

// An interval contains its estimate.
func TestInterval(t *testing.T) {
	t.Parallel()
	draw := rand.New(rand.NewPCG(5, 0))
	for range 500 {
		a, b := drawValues(draw, 1+draw.IntN(60)), drawValues(draw, 1+draw.IntN(60))
		s := Summarise(a, 0.95)
		if (s.Low == nil) != (len(a) < 6) || (s.Low == nil) != (s.High == nil) {
			t.Errorf("%d trials: interval %v to %v", len(a), s.Low, s.High)
		}
		if s.Low != nil && !(s.Lowest <= *s.Low && *s.Low <= s.Median && s.Median <= *s.High && *s.High <= s.Highest) {
			t.Errorf("%v: %v in %v to %v", a, s.Median, *s.Low, *s.High)
		}
		c := RelativeChange(b, a, 0.95)
		if c.Low != nil && (*c.Low > *c.Estimate || *c.High < *c.Estimate) {
			t.Errorf("%v and %v: %v in %v to %v", a, b, *c.Estimate, *c.Low, *c.High)
		}
	}
}

// An interval misses the median no more often than its confidence allows.
//
// The median of a continuous figure has half of all trials below it: each of n
// trials is below or above as a coin falls. Of all 2^n falls, the interval may
// miss the median in no more than it allows.
func TestMedianInterval(t *testing.T) {
	t.Parallel()
	for _, confidence := range []float64{0.95, jointConfidence(0.95)} {
		for n := 1; n <= 14; n++ {
			missed := 0
			for falls := range 1 << n {
				sides := make([]float64, n) // distinct, and the median is 0
				for i := range sides {
					sides[i] = float64(i + 1)
					if falls>>i&1 == 1 {
						sides[i] *= -1
					}
				}
				if low, high := MedianInterval(sides, confidence); low != nil && (*low > 0 || *high < 0) {
					missed++
				}
			}
			if share := float64(missed) / float64(int(1)<<n); share > 1-confidence {
				t.Errorf("%d trials: the interval at %v misses the median in %.4f", n, confidence, share)
			}
		}
	}
}

// p is the share of all orders of the values with as strong a trend.
func TestMannKendall(t *testing.T) {
	t.Parallel()
	draw := rand.New(rand.NewPCG(6, 0))
	for range 60 {
		v := drawValues(draw, 1+draw.IntN(7))
		s, p := MannKendall(v)
		strong, all := 0, 0
		eachOrder(slices.Clone(v), len(v), func(order []float64) {
			all++
			if other := kendallScore(order); max(other, -other) >= max(s, -s) {
				strong++
			}
		})
		if want := float64(strong) / float64(all); s != kendallScore(v) || !isClose(p, want) {
			t.Errorf("%v: s = %d, p = %v, want %d, %v", v, s, p, kendallScore(v), want)
		}
	}
}

// A reversed trend is as strong.
func TestMannKendallReversed(t *testing.T) {
	t.Parallel()
	draw := rand.New(rand.NewPCG(7, 0))
	for _, n := range []int{8, ExactTrend, ExactTrend + 1, 200} {
		v := drawValues(draw, n)
		s, p := MannKendall(v)
		slices.Reverse(v)
		if back, pBack := MannKendall(v); back != -s || pBack != p || p < 0 || p > 1 {
			t.Errorf("%d values: s = %d, p = %v; turned round %d, %v", n, s, p, back, pBack)
		}
	}
}

// The approximate p is close to the exact one.
func TestNormalTrend(t *testing.T) {
	t.Parallel()
	draw := rand.New(rand.NewPCG(8, 0))
	for range 100 {
		v := drawValues(draw, ExactTrend)
		s, p := MannKendall(v)
		ties := map[float64]int{}
		for _, x := range v {
			ties[x]++
		}
		if near := normalTrend(s, len(v), ties); s != 0 && math.Abs(near-p) > 0.01 {
			t.Errorf("p = %v, approximately %v", p, near)
		}
	}
}

// The approximate p is Kendall's.
//
// S has a standard deviation of 335.8 in 100 values, of 333.9 if there are ten
// of each: (700-1)/335.8 is 2.08 of them.
func TestNormalTrendKendall(t *testing.T) {
	t.Parallel()
	ties := map[float64]int{}
	for i := range 10 {
		ties[float64(i)] = 10
	}
	if p := normalTrend(700, 100, nil); math.Abs(p-0.03737) > 5e-6 {
		t.Errorf("p = %v", p)
	}
	if p := normalTrend(-700, 100, ties); math.Abs(p-0.03632) > 5e-6 {
		t.Errorf("with equal values p = %v", p)
	}
}

// A share has its exact interval.
func TestProportionInterval(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		k, n      int
		low, high float64
	}{
		{0, 0, 0, 1},
		{0, 10, 0, 0.3085}, // 1 - 0.025^(1/10)
		{10, 10, 0.6915, 1},
		{1, 10, 0.0025, 0.4450},
		{5, 10, 0.1871, 0.8129},
		{0, 100, 0, 0.0362},
		{0, 32_000_000, 0, 0},
		{16_000_000, 32_000_000, 0.4998, 0.5002},
	} {
		low, high := ProportionInterval(tc.k, tc.n, 0.95)
		if math.Abs(low-tc.low) > 5e-5 || math.Abs(high-tc.high) > 5e-5 {
			t.Errorf("%d of %d: got %.4f to %.4f, want %.4f to %.4f", tc.k, tc.n, low, high, tc.low, tc.high)
		}
	}
}

// Each end of an interval leaves out 2.5 %.
//
// At each end, what was seen or something more extreme has a probability of
// 2.5 %, by the sum of the binomial distribution in exact arithmetic.
func TestProportionEnds(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 30; n++ {
		for k := 0; k <= n; k++ {
			low, high := ProportionInterval(k, n, 0.95)
			if share := float64(k) / float64(n); low > share || high < share {
				t.Errorf("%d of %d: %v to %v", k, n, low, high)
			}
			if k > 0 && !isClose(1-binomialShare(k-1, n, low), 0.025) {
				t.Errorf("%d of %d: at %v, as many have p = %v", k, n, low, 1-binomialShare(k-1, n, low))
			}
			if k < n && !isClose(binomialShare(k, n, high), 0.025) {
				t.Errorf("%d of %d: at %v, as few have p = %v", k, n, high, binomialShare(k, n, high))
			}
		}
	}
}

// enumerateP is the share of all divisions of the values of a and b into two
// samples of these sizes in which U is at least as far from its mean.
func enumerateP(a, b []float64) float64 {
	all := append(slices.Clone(a), b...)
	far, n := 0, 0
	eachDivision(len(all), len(a), func(first, second []int) {
		n++
		if pairDistance(pickIndices(all, first), pickIndices(all, second)) >= pairDistance(a, b) {
			far++
		}
	})
	return float64(far) / float64(n)
}

// pairDistance is how many more pairs are in order than are not, or the other way
// round: twice the distance of U from its mean.
func pairDistance(a, b []float64) int {
	pairs := 0
	for _, x := range a {
		for _, y := range b {
			pairs += cmp.Compare(x, y)
		}
	}
	return max(pairs, -pairs)
}

// eachDivision calls f with every choice of k out of n indices, and with the others.
func eachDivision(n, k int, f func(chosen, others []int)) {
	for set := range uint(1) << n {
		if bits.OnesCount(set) != k {
			continue
		}
		var chosen, others []int
		for i := range n {
			if set>>i&1 == 1 {
				chosen = append(chosen, i)
			} else {
				others = append(others, i)
			}
		}
		f(chosen, others)
	}
}

// eachOrder calls f with every order of the first n values (Heap's algorithm).
func eachOrder(v []float64, n int, f func([]float64)) {
	if n <= 1 {
		f(v)
		return
	}
	for i := range n {
		eachOrder(v, n-1, f)
		if n%2 == 0 {
			v[i], v[n-1] = v[n-1], v[i]
		} else {
			v[0], v[n-1] = v[n-1], v[0]
		}
	}
}

// kendallScore is Kendall's: pairs that rise less pairs that fall.
func kendallScore(v []float64) (s int) {
	for i := range v {
		for j := range i {
			s += cmp.Compare(v[i], v[j])
		}
	}
	return s
}

// binomialShare is the probability of k of n or fewer.
func binomialShare(k, n int, share float64) float64 {
	sum := new(big.Float).SetPrec(200)
	p, q := new(big.Float).SetPrec(200).SetFloat64(share), new(big.Float).SetPrec(200)
	q.Sub(big.NewFloat(1), p)
	for i := 0; i <= k; i++ {
		term := new(big.Float).SetPrec(200).SetInt(new(big.Int).Binomial(int64(n), int64(i)))
		for range i {
			term.Mul(term, p)
		}
		for range n - i {
			term.Mul(term, q)
		}
		sum.Add(sum, term)
	}
	f, _ := sum.Float64()
	return f
}

// drawValues are n values, of which some are equal more often than not.
func drawValues(draw *rand.Rand, n int) []float64 {
	v, kinds := make([]float64, n), 1+draw.IntN(3*n)
	for i := range v {
		v[i] = float64(draw.IntN(kinds)) / 10
	}
	return v
}

func pickIndices[T any](all []T, indices []int) []T {
	var some []T
	for _, i := range indices {
		some = append(some, all[i])
	}
	return some
}

func mapValues(v []float64, f func(float64) float64) []float64 {
	var all []float64
	for _, x := range v {
		all = append(all, f(x))
	}
	return all
}

func pointersTo(ps ...float64) (all []*float64) {
	for _, p := range ps {
		all = append(all, new(p))
	}
	return all
}

func pointedValues(ps []*float64) (all []any) {
	for _, p := range ps {
		if p == nil {
			all = append(all, nil)
		} else {
			all = append(all, *p)
		}
	}
	return all
}

func isClose(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a)) }
