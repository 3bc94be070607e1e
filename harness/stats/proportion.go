package stats

import "math"

// ProportionInterval returns the interval of a share of which k of n were seen, k from 0
// to n: that of Clopper and Pearson (Biometrika 26, 1934), which is exact and never too
// narrow. Each of the n has to be independent of the others, as runs are and requests
// are not. With n = 0 it is 0 to 1.
func ProportionInterval(k, n int, confidence float64) (low, high float64) {
	// The share that was not seen has the same interval, upside down.
	return 1 - upperEnd(n-k, n, confidence), upperEnd(k, n, confidence)
}

// upperEnd returns the share at which k of n or fewer are seen with a probability
// of half of what an interval may miss.
//
// It is found by Newton's method. The logarithm of the probability falls with the share,
// more and more steeply, so from above the share that is looked for each step ends above
// it again, and closer.
func upperEnd(k, n int, confidence float64) float64 {
	missed := math.Log((1 - confidence) / 2)
	switch k {
	case n:
		return 1
	case 0:
		return -math.Expm1(missed / float64(n))
	}
	share := wilsonEnd(k, n, 3)
	for range 100 {
		likely := atMost(k, n, share)
		slope := -float64(n-k) / (1 - share) * binomialTerm(k, n, share) / likely
		next := share - (math.Log(likely)-missed)/slope
		if next >= 1 {
			next = (share + 1) / 2
		}
		if math.Abs(next-share) <= 1e-15*share {
			break
		}
		share = next
	}
	return share
}

// wilsonEnd returns the upper end of Wilson's approximate interval, which is above k/n and
// below 1, for that many standard errors.
func wilsonEnd(k, n int, errors float64) float64 {
	x, all := float64(k), float64(n)
	return (x + errors*errors/2 + errors*math.Sqrt(x*(1-x/all)+errors*errors/4)) / (all + errors*errors)
}
