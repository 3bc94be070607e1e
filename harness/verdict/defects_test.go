package verdict

import (
	"testing"

	"snatlab/harness/result"
)

// Each of these was judged wrongly when arms were compared by the medians of their trials.
func TestJudgedWronglyByMedians(t *testing.T) {
	t.Parallel()
	flips := []int{1377, 1480, 1428, 9, 8, 6, 1400, 5}
	fast := []int{1377, 1480, 1428, 1315, 1400, 1390, 1410, 1350}
	none := make([]int, 8)
	pair := func(arm, control []int) []result.Arm {
		return []result.Arm{withControl(armOf("masquerade", control...), control...), withControl(armOf("random-fully", arm...), control...)}
	}
	reduction, absent := result.Expectation{Arm: "random-fully", Reduction: new(0.99)}, result.Expectation{Arm: "random-fully", Race: result.Absent}
	for _, tc := range []struct {
		claim   string
		arms    []result.Arm
		expect  result.Expectation
		before  string // verdict of the arm, and of the expectation
		verdict result.ArmVerdict
		held    string
	}{
		{"five trials of eight without a failure mitigate nothing", pair([]int{0, 0, 0, 0, 0, 1300, 1310, 1290}, fast), reduction,
			"mitigated, undecided", result.Undecided, "not held"},
		{"the same without a control", []result.Arm{armOf("masquerade", fast...), armOf("random-fully", 0, 0, 0, 0, 0, 1300, 1310, 1290)}, reduction,
			"mitigated, undecided", result.Undecided, "not held"},
		{"few failures, of which the median trial has none", pair([]int{0, 0, 2, 0, 0, 1, 2, 0}, []int{8, 6, 6, 5, 9, 4, 11, 1}), reduction,
			"mitigated, undecided", result.Reduced, "not held"},
		{"twenty hits against none are no 100 %", pair(none, []int{3, 2, 3, 2, 3, 2, 3, 2}), reduction,
			"mitigated, held", result.Reduced, "undecided"},
		{"a baseline with one trial of 0 is judged by the others", pair(none, []int{1377, 1480, 1428, 1315, 1400, 1390, 1410, 0}), reduction,
			"mitigated, undecided", result.Mitigated, "held"},
		{"a chance hit on a machine that changes its speed", pair([]int{0, 0, 0, 1, 0, 0, 0, 0}, flips), reduction,
			"mitigated, not held", result.Mitigated, "held"},
		{"nineteen hits against none are a difference", pair(none, []int{3, 2, 3, 2, 3, 2, 2, 2}), reduction,
			"inconclusive, undecided", result.Reduced, "undecided"},
		{"exactly 99 % is decided by neither rounding nor luck", pair([]int{5, 5, 5, 5, 5, 5, 5, 5}, []int{500, 500, 500, 500, 500, 500, 500, 500}), reduction,
			"reduced, not held", result.Reduced, "undecided"},
		{"ports that are drawn may meet", pair([]int{1, 0, 0, 1, 0, 0, 0, 0}, fast), absent,
			"mitigated, held", result.Mitigated, "held"},
		{"a baseline whose median trial has none", pair(none, []int{0, 0, 0, 0, 0, 1390, 1410, 1400}), reduction,
			"reduced, undecided", result.Mitigated, "held"},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			r := runOf(8, tc.arms...)
			r.Expected = []result.Expectation{tc.expect}
			judgeAndDescribe(r)
			if v, held := r.Comparisons[0].Verdict, heldText(r.Expected[0].Held); v != tc.verdict || held != tc.held {
				t.Errorf("got %s, %s (by medians: %s)\n%s", v, held, tc.before, r.Summary)
			}
		})
	}
}

// What counts at a bound is on its right side, whatever its last digits are.
func TestIsAtMost(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		figure, bound float64
		want          bool
	}{
		{0.01, 1 - 0.99, true}, {1 - 0.99, 0.01, true}, {29, 0.29 * 100, true}, {30, 0.29 * 100, false}, {0.0101, 0.01, false}, {0, 0, true},
	} {
		if got := isAtMost(tc.figure, tc.bound); got != tc.want {
			t.Errorf("%v, at most %v: %v", tc.figure, tc.bound, got)
		}
	}
}
