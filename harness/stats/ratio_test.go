package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The interval of the counts is that of Clopper and Pearson as odds.
func TestRatioIntervalCounts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		pairs     []Pair
		sent      [2]int // requests of A and B
		estimate  float64
		low, high float64 // of the share of A, at 99.9 %, by SciPy 1.10
	}{
		{"equal numbers", []Pair{{5, 6}}, [2]int{100, 100}, 5. / 6, 0.06878420704730658, 0.8899992126767833},
		{"twice as many of the arm", []Pair{{5, 6}}, [2]int{200, 100}, 5. / 12, 0.06878420704730658, 0.8899992126767833},
		{"one trial alone, whatever it has", []Pair{{500, 500}}, [2]int{1000, 1000}, 1, 0.44762941985860405, 0.5523705801413963},
		{"few hits of the arm, in several trials", []Pair{{1, 1000}, {0, 1000}, {0, 0}}, [2]int{9000, 9000}, 1. / 2000, 2.499375208307293e-07, 0.004985620235074273},
	} {
		r := RatioInterval(c.pairs, c.sent[0], c.sent[1], 0.999)
		scale := float64(c.sent[1]) / float64(c.sent[0])
		odds := func(share float64) float64 { return share / (1 - share) * scale }
		if !isClose(*r.Estimate, c.estimate) || !isClose(r.Low, odds(c.low)) || !isClose(*r.High, odds(c.high)) || r.Scattered {
			t.Errorf("%s: %v, %v to %v, scattered: %v; want %v, %v to %v", c.name, *r.Estimate, r.Low, *r.High, r.Scattered, c.estimate, odds(c.low), odds(c.high))
		}
	}
}

// Without a hit of the control there is no estimate and no upper end, but a lower one.
func TestRatioIntervalNoControl(t *testing.T) {
	t.Parallel()
	if r := RatioInterval(nil, 0, 0, 0.999); r != (Ratio{}) {
		t.Errorf("nothing: %+v", r)
	}
	if r := RatioInterval([]Pair{{0, 0}}, 100, 100, 0.999); r != (Ratio{}) {
		t.Errorf("no hit: %+v", r)
	}
	low, _ := ProportionInterval(20, 20, 0.999)
	if r := RatioInterval([]Pair{{20, 0}}, 100, 100, 0.999); r.Estimate != nil || r.High != nil || !isClose(r.Low, low/(1-low)) {
		t.Errorf("20 against 0: %+v", r)
	}
}

// The interval of the scatter is the one computed by hand.
//
// Of 40, 60 and 20 against 50, 50 and 50 the ratio is 0.8, and the residuals are 0, 20 and
// -20. The variance is 3/2 times 800/120², so the standard error of the logarithm is
// 0.28868; Student's quantile for 2 degrees of freedom is 4.302653 at 95 %.
func TestRatioIntervalScatter(t *testing.T) {
	t.Parallel()
	pairs := []Pair{{40, 50}, {60, 50}, {0, 0}, {20, 50}} // a trial without a hit does not count
	r := RatioInterval(pairs, 4000, 4000, 0.95)
	distance := math.Sqrt(1.5*800/(120*120)) * 4.302652729911275
	if !r.Scattered || !isClose(*r.Estimate, 0.8) || !isClose(r.Low, 0.8*math.Exp(-distance)) || !isClose(*r.High, 0.8*math.Exp(distance)) {
		t.Errorf("%v, %v to %v, scattered: %v", *r.Estimate, r.Low, *r.High, r.Scattered)
	}
	scaled := RatioInterval(pairs, 8000, 4000, 0.95)
	if !isClose(*scaled.Estimate, 0.4) || !isClose(scaled.Low, r.Low/2) || !isClose(*scaled.High, *r.High/2) {
		t.Errorf("of twice the requests: %v, %v to %v", *scaled.Estimate, scaled.Low, *scaled.High)
	}
}

// The interval never lies within that of the counts, and holds the estimate. Exchanging
// the sides turns it round.
func TestRatioIntervalBounds(t *testing.T) {
	t.Parallel()
	draw := rand.New(rand.NewPCG(12, 0))
	for range 500 {
		var pairs, turned []Pair
		var a, b int
		for range 1 + draw.IntN(8) {
			p := Pair{draw.IntN(60), draw.IntN(40)}
			pairs, turned = append(pairs, p), append(turned, Pair{p.B, p.A})
			a, b = a+p.A, b+p.B
		}
		if a == 0 || b == 0 {
			continue
		}
		r, back := RatioInterval(pairs, 3000, 2000, 0.999), RatioInterval(turned, 2000, 3000, 0.999)
		counts := RatioInterval([]Pair{{a, b}}, 3000, 2000, 0.999)
		if r.High == nil || back.High == nil { // two trials that contradict each other
			if r.Low > 1e-300 || back.Low > 1e-300 {
				t.Errorf("%v: no upper end, and from %v", pairs, r.Low)
			}
			continue
		}
		if r.Low > counts.Low || *r.High < *counts.High || r.Low > *r.Estimate || *r.Estimate > *r.High {
			t.Errorf("%v: %v to %v, of the counts %v to %v", pairs, r.Low, *r.High, counts.Low, *counts.High)
		}
		if !isClose(r.Low**back.High, 1) || !isClose(*r.High*back.Low, 1) {
			t.Errorf("%v: %v to %v, the other way round %v to %v", pairs, r.Low, *r.High, back.Low, *back.High)
		}
	}
}

// The distances of the ends are added as squares.
func TestDivideRatio(t *testing.T) {
	t.Parallel()
	interval := func(low, estimate, high float64) Ratio { return Ratio{Low: low, Estimate: &estimate, High: &high} }
	arm, instrument := interval(0.4, 0.5, 0.625), interval(0.95, 1.05, 1.05*1.05/0.95)
	distance := math.Hypot(math.Log(1.25), math.Log(1.05/0.95))
	r := DivideRatio(arm, instrument)
	if !isClose(*r.Estimate, 0.5/1.05) || !isClose(r.Low, 0.5/1.05*math.Exp(-distance)) || !isClose(*r.High, 0.5/1.05*math.Exp(distance)) {
		t.Errorf("%v, %v to %v", *r.Estimate, r.Low, *r.High)
	}
	if r := DivideRatio(interval(0, 0, 0.01), instrument); *r.Estimate != 0 || r.Low != 0 || !isClose(*r.High, 0.01/0.95) {
		t.Errorf("none: %v, %v to %v", *r.Estimate, r.Low, *r.High)
	}
	if r := DivideRatio(Ratio{Low: 2}, instrument); r.Estimate != nil || r.High != nil || !isClose(r.Low, 2 / *instrument.High) {
		t.Errorf("without a hit of the control: %+v", r)
	}
	for _, unknown := range []Ratio{{}, {Low: 1}, interval(0, 0, 2), interval(0, 1, 2)} {
		if r := DivideRatio(arm, unknown); r.Estimate != nil || r.Low != 0 || r.High != nil {
			t.Errorf("by %+v: %+v", unknown, r)
		}
	}
}

// The interval says that at most a share remains from the hits on that the published table
// of the method has, and not with one hit fewer.
func TestHitsOfRatioInterval(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		remaining, confidence float64
		hits                  [3]int // with 0, 1 and 2 failed requests of the arm
	}{
		{0.01, 0.999, [3]int{764, 1005, 1211}}, {0.01, 0.99, [3]int{533, 747, 932}}, {0.01, 0.95, [3]int{371, 560, 726}},
		{0.05, 0.999, [3]int{156, 205, 247}}, {0.1, 0.999, [3]int{80, 105, 126}}, {0.2, 0.999, [3]int{42, 55, 66}},
	} {
		for failed, hits := range c.hits {
			enough, fewer := RatioInterval([]Pair{{failed, hits}}, 1, 1, c.confidence), RatioInterval([]Pair{{failed, hits - 1}}, 1, 1, c.confidence)
			if *enough.High > c.remaining || *fewer.High <= c.remaining {
				t.Errorf("%v at %v: %d and %d hits end at %v, and with one hit fewer at %v", c.remaining, c.confidence, failed, hits, *enough.High, *fewer.High)
			}
		}
	}
}
