package stats

import (
	"cmp"
	"slices"
)

// AdjustHolm returns each p adjusted for their number, step-down: the smallest of m is
// multiplied by m, the next one by m-1, and none becomes less than the one before
// it. A p that is nil was not tested, and stays nil.
func AdjustHolm(ps []*float64) []*float64 {
	var order []int
	for i, p := range ps {
		if p != nil {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(*ps[a], *ps[b]) })
	adjusted, least := make([]*float64, len(ps)), 0.0
	for rank, i := range order {
		least = max(least, min(1, *ps[i]*float64(len(order)-rank)))
		adjusted[i] = new(least)
	}
	return adjusted
}
