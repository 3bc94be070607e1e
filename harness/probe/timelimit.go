package probe

import "time"

const (
	// PartnerPatience bounds a client's wait for a partner. Being descheduled on a
	// busy machine takes milliseconds; a partner that is later than this is gone.
	PartnerPatience = 5 * time.Second

	// ReservedFiles is the number of files that a probe keeps for itself: its
	// streams, epoll instances, the runtime's own.
	ReservedFiles = 32
)

// What bounds the time that a load may take. A client that is later than that
// was stopped, or hangs.
const (
	// slowSlot is the longest that a slot takes: ten times as long as on an
	// emulated machine, where it takes 2 ms. On others it is 0.1 ms.
	slowSlot = 20 * time.Millisecond

	// slowStep is that of a slot in lockstep, which waits until all clients run at
	// the same moment. On an emulated machine, on a host with seven times as much to
	// do as it has CPUs, that is 60 ms. It may be long: that a client hangs is told
	// by its partners, who do not wait for this.
	slowStep = 100 * time.Millisecond

	// slack is for all that does not grow with the load. It is longer than a
	// client's patience with its partners: one of those knows better who is
	// missing, and is to say so first.
	slack = PartnerPatience + 5*time.Second
)

// TimeLimit returns the longest that a client that may open so many files takes for the
// load, even if it is all in vain.
func (l ClientLoad) TimeLimit(files int) time.Duration {
	slots, slot, flying := l.Requests, slowSlot, max(1, files-ReservedFiles)
	if s := l.Lockstep; s != nil {
		slot = slowStep
		slots *= (s.Clients + s.CPUs - 1) / s.CPUs // groups take turns
		flying = max(1, flying/2)                  // sockets made ahead count as well
	} else {
		flying = min(flying, max(1, l.Concurrency))
	}
	limit := slack + time.Duration(slots)*slot + l.Timeout*time.Duration((slots+flying-1)/flying)
	if l.Rate > 0 {
		limit += 2 * time.Duration(float64(slots)/float64(l.Rate)*float64(time.Second))
	}
	return limit.Truncate(time.Second) + time.Second
}
