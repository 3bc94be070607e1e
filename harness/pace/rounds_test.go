package pace

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// roundsOf returns rounds that wait for the hits of so many arms.
func roundsOf(arms, least int, until scenario.Until) *Rounds {
	return &Rounds{
		until: until, least: least, most: until.RoundsMax, requests: 100, largest: 1000,
		waited: slices.Repeat([]bool{true}, arms), hits: make([]int, arms), gained: make([]int, arms),
	}
}

// trialLosing returns a trial whose control lost so many requests, and whose arm lost all.
func trialLosing(control int) *result.Trial {
	return &result.Trial{Requests: 100, Failed: 100, Control: &result.Control{Failed: control}}
}

// follow makes rounds until they are over. Each arm's control loses what lost returns for
// the round, from 0, and each round takes so long. It returns the requests of each
// client in each round.
func (r *Rounds) follow(round time.Duration, lost func(round, arm, requests int) int) (requests []int) {
	for !r.AreOver() {
		requests = append(requests, r.requests)
		for arm := range r.hits {
			r.Add(arm, trialLosing(lost(r.done, arm, r.requests)))
		}
		r.End(r.elapsed + round)
	}
	return requests
}

func TestRounds(t *testing.T) {
	t.Parallel()
	until := scenario.Until{Hits: 1000, RoundsMax: 20, TimeMax: time.Minute}
	for _, test := range []struct {
		name  string
		least int
		took  time.Duration
		lost  func(round, arm, requests int) int
		want  []int // requests of each round
	}{
		{"the least number, where hits are plenty", 5, time.Second, func(_, _, n int) int { return 3 * n }, []int{100, 100, 100, 100, 100}},
		{"exactly enough in the least number", 5, time.Second, func(_, _, n int) int { return 2 * n }, []int{100, 100, 100, 100, 100}},
		{"larger trials, where they are few", 5, time.Second, func(_, _, n int) int { return n / 2 }, []int{100, 200, 400, 800, 800}},
		{"until the arm with the fewest has them", 2, time.Second, func(_, arm, n int) int { return n / (1 + arm) }, []int{100, 200, 400, 800, 800}},
		{"no larger than a trial may be", 1, time.Second, func(_, _, n int) int { return n / 10 }, []int{100, 200, 400, 800, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000}},
		{"no more than the most", 5, time.Second, func(round, _, _ int) int { return 1 }, append([]int{100, 200, 400, 800}, slices.Repeat([]int{1000}, 16)...)},
		{"the least number, even if it takes too long", 5, time.Minute, func(_, _, n int) int { return 0 }, []int{100, 100, 100, 100, 100}},
		{"no round that would take too long", 2, 11 * time.Second, func(_, _, n int) int { return 10 }, []int{100, 200, 400, 800, 800}},
		{"a control that is never hit", 3, time.Second, func(_, _, n int) int { return 0 }, []int{100, 200, 400, 800, 1000, 1000}},
		{"hits that come late", 3, time.Second, func(round, _, n int) int { return 500 * max(0, round-4) }, []int{100, 200, 400, 800, 1000, 1000, 1000}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if d := cmp.Diff(test.want, roundsOf(2, test.least, until).follow(test.took, test.lost)); d != "" {
				t.Errorf("requests in each round (-want +got):\n%s", d)
			}
		})
	}
}

// What an arm lost does not matter.
func TestRoundsBlindToArms(t *testing.T) {
	t.Parallel()
	one, other := roundsOf(1, 5, scenario.Until{Hits: 100, RoundsMax: 20, TimeMax: time.Minute}), roundsOf(1, 5, scenario.Until{Hits: 100, RoundsMax: 20, TimeMax: time.Minute})
	for i := range 10 {
		a, b := trialLosing(7), trialLosing(7)
		a.Failed, b.Failed = 0, 100*i
		one.Add(0, a)
		other.Add(0, b)
		one.End(time.Duration(i))
		other.End(time.Duration(i))
		if d := cmp.Diff(one, other, cmp.AllowUnexported(Rounds{})); d != "" {
			t.Fatal(d)
		}
	}
}

// A run is as far as its least rounds and the control that lacks most hits, or as its most
// rounds.
func TestShare(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		trials int
		hits   []int
		want   float64
	}{
		{"nothing is done", 0, []int{0, 0}, 0},
		{"rounds are missing", 2, []int{900, 1000}, 0.25},
		{"hits are missing", 8, []int{1000, 500}, 0.5},
		{"no hits come", 30, []int{0, 0}, 0.75},
		{"it is over", 40, []int{1000, 1000}, 1},
	} {
		r := roundsOf(2, 4, scenario.Until{Hits: 1000, RoundsMax: 20})
		r.trials, r.hits = tc.trials, tc.hits
		if got := r.share(); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}
