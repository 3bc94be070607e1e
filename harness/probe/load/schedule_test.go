package load

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"snatlab/harness/probe"
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

// In each block of slots one is the control's, and all others are the arm's.
func TestKindOf(t *testing.T) {
	t.Parallel()
	for every := range turnLength + 1 {
		for seed := range uint64(50) {
			for _, turn := range makeSchedule(2, 2, 150, turnLength, every) {
				counted, inBlock := [slotKinds]int{}, make([]int, turn.control)
				for i := range turn.slots + turn.control {
					kind := turn.kindOf(i, every, seed)
					counted[kind]++
					if kind == controlSlot {
						inBlock[i/(every+1)]++
					}
				}
				if want := [slotKinds]int{turn.slots, turn.control}; counted != want {
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
	whole := turn{slots: turnLength / 2, control: turnLength / 2}
	for n := range uint64(turns) {
		kinds := drawNumber(7, kindDraw, 3<<32|n)
		before := slotKinds
		for block := range whole.control {
			kind := whole.kindOf(block*2, every, kinds)
			if kind == controlSlot {
				first++
			}
			if kind == before {
				same++
			}
			before = kind
		}
	}
	blocks := turns * whole.control
	if first < blocks*48/100 || first > blocks*52/100 {
		t.Errorf("the control comes first in %d of %d blocks", first, blocks)
	}
	if pairs := blocks - turns; same < pairs*48/100 || same > pairs*52/100 {
		t.Errorf("in %d of %d blocks the control has the place that it had in the block before", same, pairs)
	}
}

// Every client draws the same, and another trial or run draws otherwise.
func TestKindsOfClients(t *testing.T) {
	t.Parallel()
	draw := func(client int, seed, epoch uint64) (kinds [2 * turnLength]slotKind) {
		flight := &connections{limit: 1000, conns: make([]conn, 64)}
		l := newPart(probe.LockstepPart{Client: client, Clients: 2, CPUs: 2, Epoch: epoch, Control: &probe.ControlPart{Server: netip.MustParseAddrPort("127.0.0.1:1"), Every: 1, Seed: seed}}, 64, flight)
		l.drawTurn(0)
		for i := range kinds {
			kinds[i] = l.turns[0].kindOf(i, l.every, l.kinds)
		}
		return kinds
	}
	first := draw(0, 1, 1)
	if draw(1, 1, 1) != first {
		t.Error("two clients draw different slots")
	}
	if draw(0, 1, 2) == first || draw(0, 2, 1) == first {
		t.Error("another trial, or another seed, draws the same slots")
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
