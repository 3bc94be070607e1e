package stats

import (
	"math"
	"testing"
)

// The p of samples of two sizes is exact.
func TestRankSum(t *testing.T) {
	t.Parallel()
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
		if got := *RankSum(c.a, c.b); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: p = %v, want %v", c.name, got, c.want)
		}
	}
	if RankSum(nil, []float64{1}) != nil {
		t.Error("nothing differs from something")
	}
}

// The p is hardly another where it is no longer exact.
func TestRankSumManyValues(t *testing.T) {
	t.Parallel()
	var many, more []float64
	for i := range 60 {
		many, more = append(many, float64(i)), append(more, float64(i)+7.5)
	}
	exact := *RankSum(many, more)
	if near := *RankSum(append(many, 30.2), append(more, 37.7)); math.Abs(exact-near) > 0.01 {
		t.Errorf("p jumps from %v to %v where it is no longer exact", exact, near)
	}
}

// Too few values cannot differ.
func TestCanDiffer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b, comparisons int
		want              bool
	}{{4, 4, 1, false}, {5, 5, 1, true}, {5, 5, 2, false}, {5, 6, 2, true}, {1, 199, 1, false}, {1, 200, 1, true}} {
		if got := CanDiffer(c.a, c.b, c.comparisons, 0.01); got != c.want {
			t.Errorf("CanDiffer(%d, %d, %d) = %v", c.a, c.b, c.comparisons, got)
		}
	}
}
