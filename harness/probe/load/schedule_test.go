package load

import (
	"fmt"
	"slices"
	"testing"

	"snatlab/harness/scenario"
)

// Each client fires in exactly as many slots as it has requests.
func TestScheduleIsComplete(t *testing.T) {
	t.Parallel()
	for clients := 1; clients <= 17; clients++ {
		for cpus := 1; cpus <= 9; cpus++ {
			for _, requests := range []int{1, 2, 63, 64, 65, 300} {
				fired := make([]int, clients)
				for _, turn := range makeSchedule(clients, cpus, requests, turnLength, 0) {
					if len(turn.members) > cpus || turn.slots < 1 || turn.slots > turnLength {
						t.Fatalf("%d clients, %d CPUs: turn %+v", clients, cpus, turn)
					}
					if len(slices.Compact(slices.Sorted(slices.Values(turn.members)))) != len(turn.members) {
						t.Fatalf("%d clients, %d CPUs: a client twice in %v", clients, cpus, turn.members)
					}
					for _, c := range turn.members {
						fired[c] += turn.slots
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

// After the last source port comes the first.
func TestPortAt(t *testing.T) {
	t.Parallel()
	ports := scenario.PortRange{First: 40000, Last: 40002}
	for k, want := range []uint16{40000, 40001, 40002, 40000, 40001} {
		if got := portAt(ports, k); got != want {
			t.Errorf("slot %d leaves from port %d, want %d", k, got, want)
		}
	}
}

// A slot of the control follows every so many slots of the arm, in each turn.
func TestKindOf(t *testing.T) {
	t.Parallel()
	for every := range 5 {
		for _, turn := range makeSchedule(2, 2, 150, turnLength, every) {
			counted := [slotKinds]int{}
			for i := range turn.slots + turn.control {
				counted[turn.kindOf(i, every)]++
			}
			if want := [slotKinds]int{turn.slots, turn.control}; counted != want {
				t.Errorf("every %d: %v slots in turn %+v", every, counted, turn)
			}
		}
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
		for _, turn := range makeSchedule(clients, 2, 300, turnLength, 0) {
			slots += turn.slots
			if len(turn.members) == 1 {
				alone += turn.slots
			}
		}
		if alone > turnLength {
			t.Errorf("%d clients: %d of %d slots have one client", clients, alone, slots)
		}
	}
}

func Example_rotation() {
	for _, t := range makeSchedule(3, 2, 64, 32, 0) {
		fmt.Println(t.members, t.slots)
	}
	// Output:
	// [0 1] 32
	// [2 0] 32
	// [1 2] 32
}
