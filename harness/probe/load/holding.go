package load

import (
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
	"snatlab/harness/probe/load/lockstep"
	"snatlab/harness/result"
)

// holding says how long a connection stays open after its handshake, and who closes it
// then. The zero value resets it at once. Connections that are open still when the last
// request has its answer are reset.
type holding struct {
	hold  int64  // ns
	close string // result.CloseReset, CloseFIN or CloseFINServer; empty: CloseReset

	order []*conn // open connections that this client closes, as they opened
	next  int     // the first of them that is not due
}

// holds reports whether connections stay open after their handshake.
func (h *holding) holds() bool { return h.hold > 0 || h.close == result.CloseFIN || h.closesServer() }

func (h *holding) closesServer() bool { return h.close == result.CloseFINServer }

// checkTime is the time between two looks for connections that were closed, when all are
// open that may be.
const checkTime = 10 * time.Millisecond

// addHolding has the connections stay open as the load says.
func (cs *connections) addHolding(load probe.ClientLoad) {
	cs.holding = holding{hold: int64(load.Hold), close: load.Close}
	if cs.holds() {
		cs.order = make([]*conn, 0, len(cs.conns))
	}
}

// holdConn keeps a connection open that has completed. From then on epoll reports only
// that the server has closed it.
func (cs *connections) holdConn(index int32) {
	c := &cs.conns[index]
	c.held, c.fd = c.fd, -1
	to := &cs.targets[c.kind]
	to.held++
	to.mostHeld = max(to.mostHeld, to.held)
	event := unix.EpollEvent{Events: unix.EPOLLRDHUP, Fd: index}
	if unix.EpollCtl(cs.epoll, unix.EPOLL_CTL_MOD, int(c.held), &event) != nil {
		cs.releaseConn(c)
		return
	}
	if !cs.closesServer() {
		c.due = probe.MonotonicTime() + cs.hold
		cs.order = append(cs.order, c)
	}
}

// peerClosed closes a connection that the server has closed, or reset. Without the
// linger time of 0 the kernel ends it as RFC 9293 says.
func (cs *connections) peerClosed(c *conn) {
	_ = unix.SetsockoptLinger(int(c.held), unix.SOL_SOCKET, unix.SO_LINGER, &cs.noLinger)
	cs.releaseConn(c)
}

// releaseConn closes a connection that stayed open.
func (cs *connections) releaseConn(c *conn) {
	unix.Close(int(c.held))
	c.held = 0
	cs.targets[c.kind].held--
	cs.open--
}

// closeDue closes the connections that have been open for long enough. A connection
// that ends by FIN counts as open until the server has closed it as well: until then its
// entry in the conntrack table is not that of a closed connection.
func (cs *connections) closeDue() {
	for ; cs.next < len(cs.order); cs.next++ {
		c := cs.order[cs.next]
		switch {
		case c.held == 0: // the server has closed it
		case c.due > probe.MonotonicTime():
			return
		case cs.holding.close == result.CloseFIN:
			_ = unix.Shutdown(int(c.held), unix.SHUT_WR) // fails if the server has reset it, which epoll reports
		default:
			cs.releaseConn(c)
		}
	}
}

// untilDue returns the time until a connection is to be closed, at most limit.
func (cs *connections) untilDue(limit time.Duration) time.Duration {
	if cs.next < len(cs.order) {
		limit = min(limit, time.Duration(max(0, cs.order[cs.next].due-probe.MonotonicTime())))
	}
	return limit
}

// untilRoom returns the time until another socket may be closed: until the oldest
// connection in flight expires, and where there is none, until those that stay open are
// looked at again.
func (cs *connections) untilRoom() time.Duration {
	if left := cs.untilExpiry(); cs.oldest < cs.launched {
		return left
	}
	return checkTime
}

// countHeld returns the number of connections that stay open now.
func (cs *connections) countHeld() int {
	return cs.targets[lockstep.ArmSlot].held + cs.targets[lockstep.ControlSlot].held
}
