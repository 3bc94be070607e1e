package stats

// Change is the change from the median of one sample to that of another, as a
// share of the first, with its interval. A figure that does not exist is nil.
type Change struct {
	Estimate *float64
	Low      *float64
	High     *float64
}

// RelativeChange returns the change from the median of one sample to that of
// another. Its interval reaches from the least to the most that the intervals of
// both medians allow, which both hold at that confidence. It is wider than
// necessary, and assumes nothing. There is no change from a median of 0, and no
// interval of a change from a median whose interval reaches down to 0.
func RelativeChange(from, to []float64, confidence float64) Change {
	if len(to) == 0 || len(from) == 0 || Median(from) == 0 {
		return Change{}
	}
	share := func(to, from float64) *float64 { return new((to - from) / from) }
	c := Change{Estimate: share(Median(to), Median(from))}
	toLow, toHigh := MedianInterval(to, jointConfidence(confidence))
	fromLow, fromHigh := MedianInterval(from, jointConfidence(confidence))
	if toLow == nil || fromLow == nil || *fromLow == 0 {
		return c
	}
	c.Low, c.High = share(*toLow, *fromHigh), share(*toHigh, *fromLow)
	return c
}

// jointConfidence returns the confidence of each of two intervals that both hold with
// at least the given one.
func jointConfidence(confidence float64) float64 { return 1 - (1-confidence)/2 }
