package pace

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
)

// drawOrders returns the orders of the first rounds.
func drawOrders(seed uint64, arms, rounds int) (all [][]int) {
	o := NewOrders(seed, arms)
	for range rounds {
		all = append(all, o.Next())
	}
	return all
}

// The order depends on the seed, and not on the number of rounds.
func TestOrdersSeed(t *testing.T) {
	t.Parallel()
	if !reflect.DeepEqual(drawOrders(7, 4, 10), drawOrders(7, 4, 50)[:10]) {
		t.Error("the same seed gave two orders")
	}
	if reflect.DeepEqual(drawOrders(7, 4, 50), drawOrders(8, 4, 50)) {
		t.Error("two seeds gave the same orders over 50 rounds")
	}
}

// Over as many rounds as there are arms, each arm is once at each place, whatever the
// seed.
func TestOrdersBalanced(t *testing.T) {
	t.Parallel()
	for arms := 1; arms <= 7; arms++ {
		t.Run(fmt.Sprint(arms, " arms"), func(t *testing.T) {
			for seed := range uint64(20) {
				for block := range slices.Chunk(drawOrders(seed, arms, 4*arms), arms) {
					places := map[[2]int]int{}
					for _, order := range block {
						for place, arm := range order {
							places[[2]int{place, arm}]++
						}
					}
					if len(places) != arms*arms {
						t.Errorf("seed %d: rounds %v", seed, block)
					}
				}
			}
		})
	}
}

// In two such blocks, each arm follows each other arm equally often within a round.
func TestOrdersFollow(t *testing.T) {
	t.Parallel()
	for arms := 2; arms <= 7; arms++ {
		t.Run(fmt.Sprint(arms, " arms"), func(t *testing.T) {
			for seed := range uint64(20) {
				for blocks := range slices.Chunk(drawOrders(seed, arms, 4*arms), 2*arms) {
					follows := map[[2]int]int{}
					for _, order := range blocks {
						for i, arm := range order[1:] {
							follows[[2]int{order[i], arm}]++
						}
					}
					for pair, n := range follows {
						if n != 2 || len(follows) != arms*(arms-1) {
							t.Fatalf("seed %d: arm %d follows %d %d times in %v", seed, pair[1], pair[0], n, blocks)
						}
					}
				}
			}
		})
	}
}

// Over many seeds, no arm begins more often than another: with two arms, the first round
// begins with either.
func TestOrdersDrawn(t *testing.T) {
	t.Parallel()
	first := map[int]bool{}
	for seed := range uint64(64) {
		first[drawOrders(seed, 2, 1)[0][0]] = true
	}
	if len(first) != 2 {
		t.Errorf("64 seeds begin with %v", first)
	}
}
