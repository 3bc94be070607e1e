package verdict

import (
	"math"
	"testing"
)

func TestADifferenceOfSamplesOfTwoSizesIsExact(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b []float64
		want float64
	}{
		{"entirely apart: 2 of C(7,2) ways", []float64{8, 9}, []float64{1, 2, 3, 4, 5}, 2. / 21},
		{"whichever comes first", []float64{1, 2, 3, 4, 5}, []float64{8, 9}, 2. / 21},
		{"all equal", []float64{0, 0, 0}, []float64{0, 0}, 1},
		{"in the middle", []float64{3}, []float64{1, 2, 4, 5}, 1},
		// Of the 10 ways to take 2 of 0 0 0 1 1 one takes both ones, and three
		// both of the noughts: only the first is as far from the mean.
		{"equal values", []float64{1, 1}, []float64{0, 0, 0}, 1. / 10},
	} {
		if got := *Differ(c.a, c.b); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: p = %v, want %v", c.name, got, c.want)
		}
	}
	if Differ(nil, []float64{1}) != nil {
		t.Error("nothing differs from something")
	}
}

func TestADifferenceIsThatOfMannAndWhitneyWhereSizesAreEqual(t *testing.T) {
	a, b := []float64{.1, .2, .35, .4, .4, .6}, []float64{.2, .5, .55, .7, .8, .9}
	if got, want := *Differ(a, b), *mannWhitney(a, b); math.Abs(got-want) > 1e-9 {
		t.Errorf("p = %v, and by benchmath %v", got, want)
	}
	var many, more []float64
	for i := range 60 {
		many, more = append(many, float64(i)), append(more, float64(i)+7.5)
	}
	exact := *Differ(many, more)
	if near := *Differ(append(many, 30.2), append(more, 37.7)); math.Abs(exact-near) > 0.01 {
		t.Errorf("p jumps from %v to %v where it is no longer exact", exact, near)
	}
}

func TestArmsAcrossRunsAreOneFamily(t *testing.T) {
	low, high := []float64{1, 2, 3, 4, 5, 6, 7, 8}, []float64{11, 12, 13, 14, 15, 16, 17, 18}
	changes := Across([][]float64{low, low}, [][]float64{high, low})
	if p, adjusted := *changes[0].P, *changes[0].PHolm; adjusted != 2*p {
		t.Errorf("p = %v of two arms is adjusted to %v", p, adjusted)
	}
	if e := *changes[0].Estimate; math.Abs(e-10/4.5) > 1e-12 {
		t.Errorf("from 4.5 to 14.5 is a change of %v", e)
	}
	if changes[0].Low == nil || *changes[0].Low > 10/4.5 || *changes[0].High < 10/4.5 {
		t.Errorf("the interval %v to %v does not hold the change", changes[0].Low, changes[0].High)
	}
	if *changes[1].Estimate != 0 || *changes[1].P != 1 {
		t.Errorf("no change is %v", changes[1])
	}
}

func TestTooFewValuesCannotDiffer(t *testing.T) {
	for _, c := range []struct {
		a, b, comparisons int
		want              bool
	}{{4, 4, 1, false}, {5, 5, 1, true}, {5, 5, 2, false}, {5, 6, 2, true}, {1, 199, 1, false}, {1, 200, 1, true}} {
		if got := CanDiffer(c.a, c.b, c.comparisons); got != c.want {
			t.Errorf("CanDiffer(%d, %d, %d) = %v", c.a, c.b, c.comparisons, got)
		}
	}
}
