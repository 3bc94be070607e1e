package stats

// ProportionInterval returns the interval of a share of which k of n were seen, k from 0
// to n: that of Clopper and Pearson (Biometrika 26, 1934), which is exact and never too
// narrow. Each of the n has to be independent of the others, as runs are and requests
// are not. With n = 0 it is 0 to 1.
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
