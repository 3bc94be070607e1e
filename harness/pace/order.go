package pace

import (
	"math/rand/v2"
	"slices"
)

// Orders draws the order of the arms for each round. Over as many rounds as there are
// arms, each arm is once at each place (a Latin square). Over twice as many, each arm
// follows each other arm twice within a round (E. J. Williams, Experimental designs
// balanced for the estimation of residual effects of treatments, 1949). Which arm is
// which, and the order of the rounds of a square, are drawn.
type Orders struct {
	draw   *rand.Rand
	arms   int
	places []int   // distance of each place from the first one
	rounds [][]int // that are drawn and left
}

// NewOrders returns the orders of so many arms. They depend only on the seed and the
// number of arms.
func NewOrders(seed uint64, arms int) *Orders {
	o := &Orders{draw: rand.New(rand.NewPCG(seed, 0)), arms: arms}
	for i := range arms { // 0, 1, n-1, 2, n-2, ...: each distance between neighbours occurs once
		if i%2 == 1 {
			o.places = append(o.places, (i+1)/2)
		} else {
			o.places = append(o.places, (arms-i/2)%arms)
		}
	}
	return o
}

// Next returns the order of the next round: the arms, as indices.
func (o *Orders) Next() []int {
	if len(o.rounds) == 0 {
		arms := o.draw.Perm(o.arms)
		o.addSquare(arms)
		slices.Reverse(o.places)
		o.addSquare(arms)
	}
	order := o.rounds[0]
	o.rounds = o.rounds[1:]
	return order
}

// addSquare draws as many rounds as there are arms.
func (o *Orders) addSquare(arms []int) {
	for _, first := range o.draw.Perm(o.arms) {
		var order []int
		for _, place := range o.places {
			order = append(order, arms[(first+place)%o.arms])
		}
		o.rounds = append(o.rounds, order)
	}
}
