package harness

import (
	"context"
	"sync"
	"time"

	"snatlab/harness/causes"
	"snatlab/harness/conntrack"
	"snatlab/harness/probe"
	"snatlab/harness/result"
)

// A request that lost the race is dropped in the kernel, and its client would wait for an
// answer until its timeout. The kernel counts each of these drops, before connect() returns.
// So when all clients have sent their requests, and as many insertions have failed in the
// trial as requests are unanswered, each of the unanswered was dropped: an answer could
// come only to its second SYN, after a second, and a timeout is shorter. The clients are
// then told to wait no longer. In any other case they wait for their timeouts.
//
// The failed insertions of a lab's own connections are never more than its unanswered
// requests, so the numbers are equal by accident only if other traffic lost packets at
// the same time. In a table that others share they are trusted only if the table counted
// nothing while the lab was silent before the trial, and if they are equal still after
// secondLook: an answer that comes so late comes from a server that does not keep up.

const (
	// nextLook is the time between two readings of the counters, if answers may be on
	// their way.
	nextLook = 10 * time.Millisecond
	// secondLook is the time after which the counters of a shared table are read again.
	secondLook = 20 * time.Millisecond
	// mostLooks bounds the readings in a trial.
	mostLooks = 20
)

// unanswered is the number of requests of each client that got no answer.
type unanswered struct {
	mu      sync.Mutex
	sending int // clients that have requests to send
	waiting int // clients that have not reported
	count   []int
	known   []bool
	changed chan struct{} // has room for one
}

func newUnanswered(clients int) *unanswered {
	return &unanswered{sending: clients, waiting: clients, count: make([]int, clients), known: make([]bool, clients), changed: make(chan struct{}, 1)}
}

// set sets the number of a client that has sent all requests. Reported is set with its
// report.
func (u *unanswered) set(client, n int, reported bool) {
	u.mu.Lock()
	if !u.known[client] {
		u.known[client] = true
		u.sending--
	}
	u.count[client] = n
	if reported {
		u.waiting--
	}
	u.mu.Unlock()
	select {
	case u.changed <- struct{}{}:
	default:
	}
}

// sum returns the number of all clients. Ok is set if no client has requests to
// send, and one of them at least waits for answers.
func (u *unanswered) sum() (n int, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range u.count {
		n += c
	}
	return n, u.sending == 0 && u.waiting > 0
}

// countTimeouts returns the number of requests of a load that got no answer.
func countTimeouts(r *probe.Report) int {
	n := r.Failures[result.Timeout]
	if r.Control != nil {
		n += r.Control.Failures[result.Timeout]
	}
	return n
}

// trialStart is what the kernel had counted when the clients began to send.
type trialStart struct {
	counters conntrack.Snapshot
	quiet    bool // nothing was counted while the lab was silent
}

// awaitDrops waits until each unanswered request is one that the kernel has dropped, and
// reports whether it was so. It stops looking when all clients have reported.
func (x *experiment) awaitDrops(ctx context.Context, start trialStart, waiting *unanswered, reported <-chan struct{}) bool {
	if !start.quiet {
		return false
	}
	settled := -1 // the number that was equal at the last look
	var again <-chan time.Time
	for looks := 0; looks < mostLooks; {
		select {
		case <-waiting.changed:
			settled = -1
		case <-again:
		case <-reported:
			return false
		case <-ctx.Done():
			return false
		}
		n, ok := waiting.sum()
		if !ok {
			continue
		}
		looks++
		now, err := x.lab.Conntrack(ctx)
		if err != nil {
			return false // the reading after the trial returns the error
		}
		wait := nextLook
		switch {
		case !wereDropped(start.counters, now, n):
			settled = -1
		case !x.lab.Shared() || settled == n:
			return true
		default:
			settled, wait = n, secondLook
		}
		again = time.After(wait)
	}
	return false
}

// wereDropped reports whether the kernel counted between two snapshots that it dropped so
// many packets, each since its tuple was taken when its entry was inserted.
func wereDropped(before, after conntrack.Snapshot, packets int) bool {
	d, err := conntrack.Delta(before, after)
	return err == nil && causes.CountInsertions(d) == uint64(packets) && d.Drop == uint64(packets)
}
