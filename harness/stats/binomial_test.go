package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// p is twice the smaller tail, by SciPy 1.10 (binom.cdf and binom.sf).
func TestBinomialTest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		k, n        int
		share, want float64
	}{
		{0, 0, 0.5, 1},
		{11, 11, 0.5, 0.0009765625}, // 2/2^11: the fewest hits that decide at 0.001
		{10, 10, 0.5, 0.001953125},
		{0, 764, 1. / 101, 0.0009988503490772223},
		{5, 10, 0.5, 1},
		{480, 1000, 0.5, 0.2174482932041409},
		{520, 1000, 0.5, 0.2174482932041409},
		{7, 50, 0.3, 0.014528406135208373},
		{3, 1_000_000, 1e-5, 0.02067157168980771},
		{25, 1_000_000, 1e-5, 9.388851907569548e-05},
		{2_002_000, 6_000_000, 1. / 3, 0.08335875511230806},
		{9_990, 10_000_000, 1e-3, 0.9255872790716739},
		{4_992_000, 10_000_000, 0.5, 4.2073424666305134e-07},
		{10_000_000, 10_000_000, 0.5, 0},
		{0, 10, 0, 1},
		{1, 10, 0, 0},
		{10, 10, 1, 1},
	} {
		if got := BinomialTest(c.k, c.n, c.share); math.Abs(got-c.want) > 1e-10*c.want {
			t.Errorf("BinomialTest(%d, %d, %v) = %v, want %v", c.k, c.n, c.share, got, c.want)
		}
	}
}

// p agrees with exact arithmetic (math/big), for every count and many shares.
func TestBinomialTestExact(t *testing.T) {
	t.Parallel()
	draw := rand.New(rand.NewPCG(9, 0))
	for n := 1; n <= 40; n++ {
		share := draw.Float64()
		for k := 0; k <= n; k++ {
			above := 1.0
			if k > 0 {
				above = 1 - binomialShare(k-1, n, share)
			}
			want := min(1, 2*min(binomialShare(k, n, share), above))
			if got := BinomialTest(k, n, share); math.Abs(got-want) > 1e-9*want+1e-15 {
				t.Errorf("BinomialTest(%d, %d, %v) = %v, want %v", k, n, share, got, want)
			}
		}
	}
}

// A test rejects a share exactly where the interval does not hold it.
func TestBinomialTestAgrees(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]int{{0, 20}, {3, 20}, {20, 20}, {480, 1000}, {1, 2001}, {300_000, 1_000_000}} {
		low, high := ProportionInterval(c[0], c[1], 0.999)
		for share, held := range map[float64]bool{low * 1.0001: true, low * 0.9999: false, 1 - (1-high)*1.0001: true, 1 - (1-high)*0.9999: false} {
			if share > 0 && share < 1 && held != (BinomialTest(c[0], c[1], share) > 0.001) {
				t.Errorf("%d of %d: %v to %v, and p = %v of %v", c[0], c[1], low, high, BinomialTest(c[0], c[1], share), share)
			}
		}
	}
}

// The interval at 99.9 % is that of SciPy 1.10 (beta.ppf), up to a million.
func TestProportionIntervalDecisive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		k, n       int
		confidence float64
		low, high  float64
	}{
		{0, 10, 0.999, 0, 0.5323757760886945},
		{1, 10, 0.999, 5.001125356379196e-05, 0.6531303330947354},
		{5, 11, 0.95, 0.16748809406370715, 0.7662064023406548},
		{5, 11, 0.999, 0.06878420704730658, 0.8899992126767833},
		{10, 1000, 0.999, 0.0027075755991650143, 0.02506343314163289},
		{1, 2001, 0.999, 2.499375208307293e-07, 0.004985620235074273},
		{500, 1000, 0.999, 0.44762941985860405, 0.5523705801413963},
		{1000, 1_000_000, 0.95, 0.0009390012079500708, 0.001063918107315228},
		{1000, 1_000_000, 0.999, 0.0008992535625076619, 0.0011083339367529894},
		{3, 1_000_000, 0.999, 1.4970398842157257e-07, 1.393394702444881e-05},
		{500_000, 1_000_000, 0.999, 0.4983542415028789, 0.5016457584971211},
		{999_999, 1_000_000, 0.999, 0.9999900013674897, 0.999999999499875},
	} {
		low, high := ProportionInterval(c.k, c.n, c.confidence)
		if math.Abs(low-c.low) > 1e-9*c.low+1e-15 || math.Abs(high-c.high) > 1e-9*c.high {
			t.Errorf("%d of %d at %v: got %v to %v, want %v to %v", c.k, c.n, c.confidence, low, high, c.low, c.high)
		}
	}
}

// Quantiles are those of Student's table, to more digits by SciPy 1.10 (t.ppf).
func TestStudentQuantile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ freedom, confidence, want float64 }{
		{1, 0.95, 12.706204736432095}, {1, 0.999, 636.6192494318557},
		{2, 0.95, 4.302652729911275}, {2, 0.999, 31.599054577041514},
		{4, 0.95, 2.7764451051977987}, {4, 0.999, 8.610301581379899},
		{7, 0.999, 5.407882520977668}, {11.5, 0.95, 2.189365893798658}, {11.5, 0.999, 4.37416003529977},
		{30, 0.999, 3.6459586349971502}, {59, 0.95, 2.00099537704821}, {1000, 0.999, 3.300282648423858},
		{1e12, 0.95, 1.96}, {1e12, 0.999, 3.2905},
	} {
		tolerance := 1e-8
		if c.freedom > mostFreedom {
			tolerance = 5e-4
		}
		if got := StudentQuantile(c.confidence, c.freedom); math.Abs(got-c.want) > tolerance*c.want {
			t.Errorf("StudentQuantile(%v, %v) = %v, want %v", c.confidence, c.freedom, got, c.want)
		}
	}
	for _, freedom := range []float64{0, -1, math.NaN()} {
		if got := StudentQuantile(0.95, freedom); !math.IsInf(got, 1) {
			t.Errorf("StudentQuantile(0.95, %v) = %v", freedom, got)
		}
	}
}
