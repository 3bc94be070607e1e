package load

// turn is a run of slots in which the same group of clients fires.
type turn struct {
	members []int // indices of clients; a member runs on the CPU of the same index here
	slots   int   // slots that each member fires in
}

// turnLength is the number of sockets that a client makes ahead of time, and so the
// largest number of slots of a turn.
const turnLength = 64

// CountSlots returns the number of slots of a trial in which no client misses one. The
// trial requires as many source ports.
func CountSlots(clients, cpus, requests int) (slots int) {
	for _, t := range makeSchedule(clients, cpus, requests, turnLength) {
		slots += t.slots
	}
	return slots
}

// makeSchedule returns the turns of a trial. Every client fires in exactly requests
// slots, at most cpus clients fire in one slot, and the groups rotate. Each client
// computes the same schedule by itself.
//
// With more clients than CPUs, one group spins while the others sleep: a client that
// spins without a CPU of its own takes CPU time from its partners.
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
