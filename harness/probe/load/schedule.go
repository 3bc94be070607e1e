package load

// turn is a run of slots in which the same group of clients fires.
type turn struct {
	members []int // indices of clients; a member runs on the CPU of the same index here
	slots   int   // slots of the arm that each member fires in
	control int   // slots of the control, one for every so many of the arm
}

// position is where a turn begins in the numbering of the slots.
type position struct {
	slot   int            // of either kind
	ofKind [slotKinds]int // of each kind: source ports are counted by it
}

// slotKind tells the slots of the arm from those of the control.
type slotKind int

const (
	armSlot slotKind = iota
	controlSlot
	slotKinds
)

// kindOf returns the kind of the i-th slot of a turn with a slot of the control for every
// so many of the arm. In each block of so many and one slots, the place of the control's is
// drawn: strict alternation would confound arm and control with all that has a period of
// two. All clients draw the same.
func (t turn) kindOf(i, every int, seed uint64) slotKind {
	if every == 0 {
		return armSlot
	}
	block, place := i/(every+1), i%(every+1)
	if block < t.control && place == int(drawNumber(seed, kindDraw, uint64(block))%uint64(every+1)) {
		return controlSlot
	}
	return armSlot
}

// kindDraw tells the draws of kindOf from those of the clients' delays.
const kindDraw = 1 << 32

// turnLength is the number of sockets that a client makes ahead of time, and so the
// largest number of slots of a turn.
const turnLength = 64

// CountSlots returns the number of slots of an arm in a trial in which no client misses
// one. The trial requires as many source ports for the arm.
func CountSlots(clients, cpus, requests int) (slots int) {
	for _, t := range makeSchedule(clients, cpus, requests, turnLength, 0) {
		slots += t.slots
	}
	return slots
}

// CountControlSlots returns the number of slots of the control in such a trial, with one
// for every so many slots of the arm.
func CountControlSlots(clients, cpus, requests, every int) (slots int) {
	for _, t := range makeSchedule(clients, cpus, requests, turnLength, every) {
		slots += t.control
	}
	return slots
}

// makeSchedule returns the turns of a trial. Every client fires in exactly requests
// slots, at most cpus clients fire in one slot, and the groups rotate. Each client
// computes the same schedule by itself.
//
// With more clients than CPUs, one group spins while the others sleep: a client that
// spins without a CPU of its own takes CPU time from its partners.
//
// With every, there is a slot of the control for every so many slots of the arm.
func makeSchedule(clients, cpus, requests, length, every int) []turn {
	left := make([]int, clients)
	for i := range left {
		left[i] = requests
	}
	var turns []turn
	for next := 0; ; {
		t := turn{slots: length}
		for range clients {
			c := next % clients
			if len(t.members) == cpus {
				break
			}
			next++
			if left[c] > 0 {
				t.members = append(t.members, c)
				t.slots = min(t.slots, left[c])
			}
		}
		if len(t.members) == 0 {
			return turns
		}
		for _, c := range t.members {
			left[c] -= t.slots
		}
		if every > 0 {
			t.control = t.slots / every
		}
		turns = append(turns, t)
	}
}
