package verdict

// Rounds is the least number of rounds in which a comparison of that many arms,
// the baseline included, can show a difference at all: with fewer, the p of arms
// that lie entirely apart is not below [Alpha] after Holm's adjustment. A single
// arm, which is compared with nothing, takes 1.
func Rounds(arms int) int {
	n := 1
	for arms > 1 && !canDiffer(n, arms-1) {
		n++
	}
	return n
}

// canDiffer reports whether two arms can be told apart in that many rounds, where
// there are that many comparisons. Of all ways to divide their trials, two set
// them entirely apart.
func canDiffer(rounds, comparisons int) bool {
	return 2*float64(comparisons) < Alpha*choose(2*rounds, rounds)
}

func choose(n, k int) float64 {
	c := 1.0
	for i := 1; i <= k; i++ {
		c *= float64(n-k+i) / float64(i)
	}
	return c
}

// RoundsForInterval is the least number of rounds with which a reduction or a
// change of latency has an interval, without which an expectation of one cannot
// be told.
func RoundsForInterval() int {
	values := []float64{0}
	for {
		if low, _ := interval(values, shared); low != nil {
			return len(values)
		}
		values = append(values, 0)
	}
}
