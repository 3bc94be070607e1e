package stats

import (
	"math"

	moremath "github.com/aclements/go-moremath/stats"
)

// mostFreedom is the number of degrees of freedom above which Student's distribution is
// taken to have just that many. It is wider than the true one by less than one part in
// a thousand.
const mostFreedom = 10_000

// StudentQuantile returns the value that Student's distribution with that many degrees of
// freedom, which need not be whole, stays within, on either side of 0, with that
// probability: 12.706 for 1 and 95 %. Without a degree of freedom it is infinite.
func StudentQuantile(confidence, freedom float64) float64 {
	if !(freedom > 0) {
		return math.Inf(1)
	}
	t := moremath.TDist{V: min(freedom, mostFreedom)}
	beyond := func(x float64) float64 { return 2 * t.CDF(-x) }
	low, high := 0.0, 1.0
	for beyond(high) > 1-confidence {
		low, high = high, 2*high
	}
	for {
		x := (low + high) / 2
		switch {
		case x <= low || x >= high: // nothing lies in between
			return x
		case beyond(x) > 1-confidence:
			low = x
		default:
			high = x
		}
	}
}
