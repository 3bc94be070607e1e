package lockstep

import (
	"fmt"
	"slices"
	"testing"
)

// Each client fires in exactly as many slots as it has requests.
func TestScheduleIsComplete(t *testing.T) {
	t.Parallel()
	for clients := 1; clients <= 17; clients++ {
		for cpus := 1; cpus <= 9; cpus++ {
			for _, requests := range []int{1, 2, 63, 64, 65, 300} {
				fired := make([]int, clients)
				for _, turn := range MakeSchedule(clients, cpus, requests, TurnLength, 0) {
					if len(turn.Members) > cpus || turn.Slots < 1 || turn.Slots > TurnLength {
						t.Fatalf("%d clients, %d CPUs: turn %+v", clients, cpus, turn)
					}
					if len(slices.Compact(slices.Sorted(slices.Values(turn.Members)))) != len(turn.Members) {
						t.Fatalf("%d clients, %d CPUs: a client twice in %v", clients, cpus, turn.Members)
					}
					for _, c := range turn.Members {
						fired[c] += turn.Slots
					}
				}
				for c, n := range fired {
					if n != requests {
						t.Errorf("%d clients, %d CPUs, %d requests: client %d fires in %d", clients, cpus, requests, c, n)
					}
				}
			}
		}
	}
}

// In each block of slots one is the control's, and all others are the arm's.
func TestKindOf(t *testing.T) {
	t.Parallel()
	for every := range TurnLength + 1 {
		for seed := range uint64(50) {
			for _, turn := range MakeSchedule(2, 2, 150, TurnLength, every) {
				counted, inBlock := [SlotKinds]int{}, make([]int, turn.Control)
				for i := range turn.Slots + turn.Control {
					kind := turn.KindOf(i, every, seed)
					counted[kind]++
					if kind == ControlSlot {
						inBlock[i/(every+1)]++
					}
				}
				if want := [SlotKinds]int{turn.Slots, turn.Control}; counted != want {
					t.Errorf("every %d: %v slots in turn %+v", every, counted, turn)
				}
				if slices.ContainsFunc(inBlock, func(n int) bool { return n != 1 }) {
					t.Errorf("every %d, seed %d: %v slots of the control by block", every, seed, inBlock)
				}
			}
		}
	}
}

// The place of the control in a block is drawn: over many turns each place is as frequent
// as the others, and so is each change from one block to the next.
func TestKindOfBalance(t *testing.T) {
	t.Parallel()
	const turns, every = 1000, 1
	var first, same int
	whole := Turn{Slots: TurnLength / 2, Control: TurnLength / 2}
	for n := range uint64(turns) {
		kinds := DrawNumber(7, KindDraw, 3<<32|n)
		before := SlotKinds
		for block := range whole.Control {
			kind := whole.KindOf(block*2, every, kinds)
			if kind == ControlSlot {
				first++
			}
			if kind == before {
				same++
			}
			before = kind
		}
	}
	blocks := turns * whole.Control
	if first < blocks*48/100 || first > blocks*52/100 {
		t.Errorf("the control comes first in %d of %d blocks", first, blocks)
	}
	if pairs := blocks - turns; same < pairs*48/100 || same > pairs*52/100 {
		t.Errorf("in %d of %d blocks the control has the place that it had in the block before", same, pairs)
	}
}

func TestCountSlots(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ clients, cpus, requests, want int }{
		{1, 1, 300, 300}, {2, 2, 300, 300}, {2, 1, 300, 600}, {4, 2, 300, 600}, {64, 64, 500, 500},
	} {
		if got := CountSlots(test.clients, test.cpus, test.requests); got != test.want {
			t.Errorf("%d clients on %d CPUs with %d requests: %d slots, want %d", test.clients, test.cpus, test.requests, got, test.want)
		}
	}
}

// No client fires alone while a partner has slots left, except in the last turns.
func TestScheduleLeavesNoneAlone(t *testing.T) {
	t.Parallel()
	for clients := 2; clients <= 17; clients++ {
		alone, slots := 0, 0
		for _, turn := range MakeSchedule(clients, 2, 300, TurnLength, 0) {
			slots += turn.Slots
			if len(turn.Members) == 1 {
				alone += turn.Slots
			}
		}
		if alone > TurnLength {
			t.Errorf("%d clients: %d of %d slots have one client", clients, alone, slots)
		}
	}
}

func Example_rotation() {
	for _, t := range MakeSchedule(3, 2, 64, 32, 0) {
		fmt.Println(t.Members, t.Slots)
	}
	// Output:
	// [0 1] 32
	// [2 0] 32
	// [1 2] 32
}
