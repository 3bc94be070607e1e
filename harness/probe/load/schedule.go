package load

// turn is a run of slots in which the same group of clients fires.
type turn struct {
	members []int // indices of clients; a member's place here is its CPU's place
	slots   int   // slots that each member fires in
}

// turnLength is the number of sockets that a client makes ahead of time, and
// so the most slots of a turn.
const turnLength = 64

// CountSlots returns the number of slots of a trial in which nobody misses one, which
// is the number of source ports that it takes.
func CountSlots(clients, cpus, requests int) (slots int) {
	for _, t := range makeSchedule(clients, cpus, requests, turnLength) {
		slots += t.slots
	}
	return slots
}

// makeSchedule shares the slots of a trial among the clients: every client fires
// in exactly requests slots, no more than cpus of them in one slot, and the
// groups rotate. Every client computes the same schedule for itself.
//
// With more clients than CPUs a group spins while the others wait: whoever
// spins without a CPU of its own keeps its partners from theirs.
func makeSchedule(clients, cpus, requests, length int) []turn {
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
		turns = append(turns, t)
	}
}
