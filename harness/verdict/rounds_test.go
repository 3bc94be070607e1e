package verdict

import (
	"math"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"testing"

	"snatlab/harness/result"
)

// A difference of two equal arms is found no more often than Alpha allows.
// Every division of the same trials into two arms is as likely as any other
// then, so all of them are looked at.
func TestFalseDifferences(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		claim  string
		trials []int // of both arms
	}{
		{"7 rounds", []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3000, 4000}},
		{"7 rounds, some trials equal", []int{101, 101, 101, 104, 105, 106, 106, 800, 809, 809, 809, 900, 900, 990}},
		{"7 rounds, most trials without a failure", []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 600, 700, 800, 900}},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			found, all, n := 0, 0, len(tc.trials)/2
			eachDivision(len(tc.trials), n, func(first []int, second []int) {
				a, b := armOf("masquerade", pickIndices(tc.trials, first)...), armOf("again", pickIndices(tc.trials, second)...)
				all++
				if v := compareAll([]result.Arm{a, b}, nil)[0].Verdict; v.IsDecided() && v != result.Equal {
					found++
				}
			})
			if want := new(big.Int).Binomial(int64(2*n), int64(n)).Int64(); int64(all) != want {
				t.Errorf("%d divisions, want %d", all, want)
			}
			if share := float64(found) / float64(all); share > result.Alpha {
				t.Errorf("a difference is found in %d of %d divisions, %.4f", found, all, share)
			}
		})
	}
}

// The least number of rounds shows a difference, and one less does not.
func TestMinRounds(t *testing.T) {
	t.Parallel()
	for arms := 2; arms <= 32; arms++ {
		least := MinRounds(arms - 1)
		for _, rounds := range []int{least - 1, least} {
			all := []result.Arm{armOf("masquerade", repeatTrial(rounds, 700)...)}
			for i := 1; i < arms; i++ {
				all = append(all, armOf("random-fully", repeatTrial(rounds, 0)...))
			}
			want := result.Undecided
			if rounds == least {
				want = result.Mitigated
			}
			for _, c := range compareAll(all, nil) {
				if c.Verdict != want {
					t.Errorf("%d arms, %d rounds: %s, want %s", arms, rounds, c.Verdict, want)
				}
			}
		}
	}
	if MinRounds(0) != 1 {
		t.Errorf("no comparison takes %d rounds", MinRounds(0))
	}
}

// A reduction lies in its interval.
func TestReductionInterval(t *testing.T) {
	t.Parallel()
	draw := rand.New(rand.NewPCG(5, 0))
	for range 300 {
		a, b := drawFailures(draw, 1+draw.IntN(30)), drawFailures(draw, 1+draw.IntN(30))
		if r := compareArm(armOf("a", a...), armOf("b", b...), nil).Reduction; r.Low != nil && (*r.Low > *r.Estimate || *r.High < *r.Estimate) {
			t.Errorf("%v and %v: reduction %v in %v to %v", a, b, *r.Estimate, *r.Low, *r.High)
		}
	}
}

// The arms of a comparison of runs are one family.
func TestCompareRates(t *testing.T) {
	t.Parallel()
	low, high := []float64{1, 2, 3, 4, 5, 6, 7, 8}, []float64{11, 12, 13, 14, 15, 16, 17, 18}
	changes := CompareRates([][]float64{low, low}, [][]float64{high, low})
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

// eachDivision calls f with every choice of k out of n indices, and the other indices.
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

func pickIndices[T any](all []T, indices []int) []T {
	var some []T
	for _, i := range indices {
		some = append(some, all[i])
	}
	return some
}
