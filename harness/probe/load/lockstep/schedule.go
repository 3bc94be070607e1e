// Package lockstep is when clients in lockstep send: the schedule of turns and slots, the
// gates at which the clients of a slot meet, and the phase lock, which makes their packets
// reach NAT together. Package load sends the requests.
package lockstep

// Turn is a run of slots in which the same group of clients fires.
type Turn struct {
	Members []int // indices of clients; a member runs on the CPU of the same index here
	Slots   int   // slots of the arm that each member fires in
	Control int   // slots of the control, one for every so many of the arm
}

// Position is where a turn begins in the numbering of the slots.
type Position struct {
	Slot   int            // of either kind
	OfKind [SlotKinds]int // of each kind: source ports are counted by it
}

// SlotKind tells the slots of the arm from those of the control.
type SlotKind int

const (
	ArmSlot SlotKind = iota
	ControlSlot
	SlotKinds
)

// KindOf returns the kind of the i-th slot of a turn with a slot of the control for every
// so many of the arm. In each block of so many and one slots, the place of the control's is
// drawn: strict alternation would confound arm and control with all that has a period of
// two. All clients draw the same.
func (t Turn) KindOf(i, every int, seed uint64) SlotKind {
	if every == 0 {
		return ArmSlot
	}
	block, place := i/(every+1), i%(every+1)
	if block < t.Control && place == int(DrawNumber(seed, KindDraw, uint64(block))%uint64(every+1)) {
		return ControlSlot
	}
	return ArmSlot
}

// KindDraw tells the draws of KindOf from those of the clients' delays.
const KindDraw = 1 << 32

// TurnLength is the number of sockets that a client makes ahead of time, and so the
// largest number of slots of a turn.
const TurnLength = 64

// CountSlots returns the number of slots of an arm in a trial in which no client misses
// one. The trial requires as many source ports for the arm.
func CountSlots(clients, cpus, requests int) (slots int) {
	for _, t := range MakeSchedule(clients, cpus, requests, TurnLength, 0) {
		slots += t.Slots
	}
	return slots
}

// CountControlSlots returns the number of slots of the control in such a trial, with one
// for every so many slots of the arm.
func CountControlSlots(clients, cpus, requests, every int) (slots int) {
	for _, t := range MakeSchedule(clients, cpus, requests, TurnLength, every) {
		slots += t.Control
	}
	return slots
}

// MakeSchedule returns the turns of a trial. Every client fires in exactly requests
// slots, at most cpus clients fire in one slot, and the groups rotate. Each client
// computes the same schedule by itself.
//
// With more clients than CPUs, one group spins while the others sleep: a client that
// spins without a CPU of its own takes CPU time from its partners.
//
// With every, there is a slot of the control for every so many slots of the arm.
func MakeSchedule(clients, cpus, requests, length, every int) []Turn {
	left := make([]int, clients)
	for i := range left {
		left[i] = requests
	}
	var turns []Turn
	for next := 0; ; {
		t := Turn{Slots: length}
		for range clients {
			c := next % clients
			if len(t.Members) == cpus {
				break
			}
			next++
			if left[c] > 0 {
				t.Members = append(t.Members, c)
				t.Slots = min(t.Slots, left[c])
			}
		}
		if len(t.Members) == 0 {
			return turns
		}
		for _, c := range t.Members {
			left[c] -= t.Slots
		}
		if every > 0 {
			t.Control = t.Slots / every
		}
		turns = append(turns, t)
	}
}
