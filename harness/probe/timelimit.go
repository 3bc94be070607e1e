package probe

import "time"

const (
	// PartnerPatience bounds a client's wait for a partner. A busy machine deschedules
	// a process for milliseconds; a partner that is later than this is gone.
	PartnerPatience = 5 * time.Second

	// OrdersPatience bounds its wait for clients that may not have got their orders. These
	// come through the engine's API, which took more than 5 s on a busy machine. It is also
	// longer than PartnerPatience so that a partner reports first which client is gone.
	OrdersPatience = 10 * time.Second

	// ReservedFiles is the number of files that a probe needs besides its connections:
	// its streams, its epoll instances, and those of the runtime.
	ReservedFiles = 32
)

// The parts of a load's time limit. A client that exceeds it was stopped, or hangs.
const (
	// slowSlot bounds the time of a slot. It is ten times the 2 ms of an emulated
	// machine; on others a slot takes 0.1 ms.
	slowSlot = 20 * time.Millisecond

	// slowStep bounds the time of a lockstep slot, which waits until all clients run
	// at the same moment. It took 60 ms on an emulated machine on a host whose load was
	// seven times its number of CPUs. It may be long: the partners of a client that
	// hangs report it after PartnerPatience.
	slowStep = 100 * time.Millisecond

	// slack bounds all that does not grow with the load. It is longer than
	// OrdersPatience, so that a client reports first which other client is missing.
	slack = OrdersPatience + 5*time.Second
)

// TimeLimit returns the longest time that a client with so many open files takes for
// the load, even if no request is answered.
func (l ClientLoad) TimeLimit(files int) time.Duration {
	slots, slot, flying := l.Requests, slowSlot, max(1, files-ReservedFiles)
	if s := l.Lockstep; s != nil {
		slot = slowStep
		if s.Control != nil && s.Control.Every > 0 {
			slots += slots / s.Control.Every
			flying = max(1, flying/2)
		}
		slots *= (s.Clients + s.CPUs - 1) / s.CPUs // groups take turns
		flying = max(1, flying/2)                  // sockets that are made ahead of time count as well
	} else {
		flying = min(flying, max(1, l.Concurrency))
	}
	limit := slack + time.Duration(slots)*slot + (l.Timeout+l.Hold)*time.Duration((slots+flying-1)/flying)
	if l.Rate > 0 {
		limit += 2 * time.Duration(float64(slots)/float64(l.Rate)*float64(time.Second))
	}
	return limit.Truncate(time.Second) + time.Second
}
