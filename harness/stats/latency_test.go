package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The values left out are those of the printed tables of Mann and Whitney's U,
// two-sided: the greatest U that is significant.
func TestCountLeftOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b       int
		confidence float64
		want       int
	}{
		{3, 3, 0.95, -1}, {4, 4, 0.95, 0}, {5, 5, 0.95, 2}, {8, 8, 0.95, 13}, {12, 12, 0.95, 37}, {20, 20, 0.95, 127},
		{5, 8, 0.95, 6}, {8, 5, 0.95, 6}, {10, 14, 0.95, 36}, {5, 5, 0.99, 0}, {8, 8, 0.99, 7}, {15, 15, 0.99, 51}, {20, 20, 0.99, 105},
	} {
		if got := countLeftOut(c.a, c.b, c.confidence); got != c.want {
			t.Errorf("countLeftOut(%d, %d, %v) = %d, want %d", c.a, c.b, c.confidence, got, c.want)
		}
	}
}

// Where the approximation takes over, it leaves out hardly fewer than the exact number, and
// none more. It takes no table of the sums of ranks, which the longest runs have no memory for.
func TestApproximateLeftOut(t *testing.T) {
	t.Parallel()
	for _, confidence := range []float64{0.95, 0.999} {
		exact, approximate := countLeftOut(exactRankSum/2, exactRankSum/2, confidence), approximateLeftOut(exactRankSum/2, exactRankSum/2, confidence)
		if approximate > exact || approximate < exact-exact/100 {
			t.Errorf("at %v: %d, and %d by the normal approximation", confidence, exact, approximate)
		}
	}
	if got := countLeftOut(1000, 1000, 0.95); got != 474_690 { // 500,000 - 1.95996 * sqrt(1,000,000 * 2,001 / 12) - 0.5, rounded down
		t.Errorf("1,000 and 1,000 values: %d", got)
	}
	if got := countLeftOut(1, 200, 0.95); got != -1 {
		t.Errorf("1 and 200 values: %d, and there is no interval", got)
	}
}

// The interval holds a change exactly where the test does not reject it: where p is above
// 5 % once the change is taken out of the values.
func TestChangeByControlInverts(t *testing.T) {
	t.Parallel()
	draw := rand.New(rand.NewPCG(11, 0))
	for range 200 {
		from, to := drawMeasured(draw, 4+draw.IntN(6), 1), drawMeasured(draw, 4+draw.IntN(6), 1.1)
		c, _ := ChangeByControl(from, to, 0, 0.95)
		for _, end := range []struct{ at, inside float64 }{{*c.Low, 1}, {*c.High, -1}} {
			for _, step := range []float64{-1e-6, 1e-6} {
				_, p := ChangeByControl(from, scaleMeasured(to, 1/(1+end.at+step)), 0, 0.95)
				if inside := step*end.inside > 0; inside != (*p > 0.05) {
					t.Errorf("%v to %v: at %v, p = %v", *c.Low, *c.High, end.at+step, *p)
				}
			}
		}
	}
}

// A trial that is slow as a whole changes nothing, nor does a control that is slower in
// all trials.
func TestChangeByControlCancels(t *testing.T) {
	t.Parallel()
	from := []Measured{{100, 100}, {110, 105}, {1000, 1100}, {52, 50}, {90, 91}}
	to := []Measured{{120, 101}, {1300, 1000}, {60, 50}, {119, 100}, {95, 90}}
	c, p := ChangeByControl(from, to, 0, 0.95)
	slowed, pSlowed := ChangeByControl(scaleMeasured(from, 1), []Measured{{240, 202}, {130, 100}, {600, 500}, {11900, 10000}, {9.5, 9}}, 0, 0.95)
	for i, pair := range [][2]*float64{{c.Estimate, slowed.Estimate}, {c.Low, slowed.Low}, {c.High, slowed.High}, {p, pSlowed}} {
		if !isClose(*pair[0], *pair[1]) {
			t.Errorf("figure %d: %v and, with slow trials, %v", i, *pair[0], *pair[1])
		}
	}
	if *c.Low > *c.Estimate || *c.Estimate > *c.High || *c.Estimate < 0.1 || *c.Estimate > 0.3 {
		t.Errorf("%v, from %v to %v", *c.Estimate, *c.Low, *c.High)
	}
}

// Values that are all equal have an interval of one unit on either side.
func TestChangeByControlUnit(t *testing.T) {
	t.Parallel()
	same := []Measured{{20, 20}, {20, 20}, {20, 20}, {20, 20}}
	c, p := ChangeByControl(same, same, 1, 0.95)
	if *c.Estimate != 0 || !isClose(*c.Low, math.Exp(-0.05)-1) || !isClose(*c.High, math.Exp(0.05)-1) || *p != 1 {
		t.Errorf("%v, from %v to %v, p = %v", *c.Estimate, *c.Low, *c.High, *p)
	}
}

// Three trials of a side have an estimate and no interval; none has neither.
func TestChangeByControlFew(t *testing.T) {
	t.Parallel()
	some := []Measured{{20, 20}, {21, 20}, {22, 20}}
	if c, p := ChangeByControl(some, some, 1, 0.95); c.Estimate == nil || c.Low != nil || c.High != nil || p == nil {
		t.Errorf("3 trials: %+v", c)
	}
	if c, p := ChangeByControl(nil, some, 1, 0.95); c != (Change{}) || p != nil {
		t.Errorf("no trial: %+v", c)
	}
}

// As many trials as it takes have an interval, and one fewer has none.
func TestMinForChangeByControl(t *testing.T) {
	t.Parallel()
	for confidence, want := range map[float64]int{0.9: 3, 0.95: 4, 0.99: 5, 0.999: 7} {
		n := MinForChangeByControl(confidence)
		some := make([]Measured, n)
		for i := range some {
			some[i] = Measured{1, 1}
		}
		c, _ := ChangeByControl(some, some, 0, confidence)
		fewer, _ := ChangeByControl(some[1:], some[1:], 0, confidence)
		if n != want || c.Low == nil || fewer.Low != nil {
			t.Errorf("at %v: %d, want %d", confidence, n, want)
		}
	}
}

func drawMeasured(draw *rand.Rand, n int, ratio float64) (all []Measured) {
	for range n {
		state := math.Exp(draw.NormFloat64())
		all = append(all, Measured{Value: state * ratio * math.Exp(draw.NormFloat64()/10), Control: state})
	}
	return all
}

func scaleMeasured(all []Measured, by float64) (scaled []Measured) {
	for _, m := range all {
		scaled = append(scaled, Measured{Value: m.Value * by, Control: m.Control})
	}
	return scaled
}
