package stats

import "math"

// ProportionInterval returns the interval of a share of which k of n were seen, k from 0
// to n: Clopper and Pearson's, which is exact and never too narrow. Each of the n
// has to be independent of the others, as runs are and requests are not. With n = 0
// it is 0 to 1.
func ProportionInterval(k, n int, confidence float64) (low, high float64) {
	// The share that was not seen has the same interval, upside down.
	return 1 - upperEnd(n-k, n, confidence), upperEnd(k, n, confidence)
}

// upperEnd returns the share at which k of n or fewer are seen with a probability
// of half of what an interval may miss. It is found by halving.
func upperEnd(k, n int, confidence float64) float64 {
	if k == n {
		return 1
	}
	low, high := float64(k)/float64(n), 1.0
	for {
		share := (low + high) / 2
		switch {
		case share <= low || share >= high: // nothing lies in between
			return share
		case atMost(k, n, share) > (1-confidence)/2:
			low = share
		default:
			high = share
		}
	}
}

// atMost returns the probability of k of n or fewer, where k/n is at most the
// share. It sums the terms of the binomial distribution from k downwards, which get
// smaller.
func atMost(k, n int, share float64) float64 {
	term := math.Exp(logChoose(n, k) + float64(k)*math.Log(share) + float64(n-k)*math.Log1p(-share))
	sum := 0.0
	for ; term > sum*1e-17; k-- {
		sum += term
		term *= float64(k) / float64(n-k+1) * (1 - share) / share
	}
	return sum
}

func logChoose(n, k int) float64 {
	logFactorial := func(x int) float64 { l, _ := math.Lgamma(float64(x + 1)); return l }
	return logFactorial(n) - logFactorial(k) - logFactorial(n-k)
}
