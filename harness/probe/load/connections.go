package load

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
	"snatlab/harness/probe/load/lockstep"
	"snatlab/harness/probe/load/transport"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// connections are the connections of a trial from their first packet to their completion.
// With UDP a connection is a datagram and its answer, which conntrack makes an entry for. All
// have the same timeout, so they expire in the order in which they were launched.
// Nothing is allocated after newConnections.
type connections struct {
	timeout int64 // ns
	limit   int   // sockets that may be open at once

	timesSending bool // latencies are those of sending: see result.ScenarioSummary.LatencyOfSending

	epoll  int
	events [256]unix.EpollEvent

	conns    []conn // as launched
	launched int
	oldest   int // index of the first that may still be in flight
	judged   int // index of the first after those that count as lost without an answer
	overdue  int // answers to those before it
	open     int // sockets

	targets [lockstep.SlotKinds]target
	second  *transport.Thread // sends the second query of look-ups; nil without one

	holding
	noLinger unix.Linger // the zero value, for a system call
}

// target is the server port that connections of a kind go to, and their outcome.
type target struct {
	transport transport.Transport
	lookups   transport.Lookups // the same, of requests that are look-ups; else nil
	peer      transport.Address
	launched  int
	succeeded int
	failures  [kinds]int
	held      int                     // connections that stay open now
	mostHeld  int                     // at one time
	latency   *hdrhistogram.Histogram // µs
}

func newTarget(server netip.AddrPort, by transport.Transport) target {
	lookups, _ := by.(transport.Lookups)
	return target{
		transport: by, lookups: lookups,
		peer:    transport.NewAddress(server),
		latency: probe.NewLatencyHistogram(),
	}
}

// conn is one connection.
type conn struct {
	fd       int32  // -1 when it has completed
	port     uint16 // source
	kind     lockstep.SlotKind
	silent   bool  // it got no answer
	launched int64 // CLOCK_MONOTONIC, ns
	took     int64 // by sending the first packet, ns
	held     int32 // socket of a connection that stays open after its handshake; 0: none
	due      int64 // when this client is to close it; CLOCK_MONOTONIC, ns
}

// failureKind is an index of kindNames.
type failureKind int

const (
	timeout failureKind = iota
	refused
	reset
	addrNotAvail
	addrInUse
	other
	kinds
)

// kindNames are the kinds of failure in reports.
var kindNames = [kinds]string{result.Timeout, result.Refused, result.Reset,
	result.EADDRNOTAVAIL, result.EADDRINUSE, result.Other}

// failureKindOf returns the kind of failure of an error of connect().
func failureKindOf(errno unix.Errno) failureKind {
	switch errno {
	case unix.ETIMEDOUT:
		return timeout
	case unix.ECONNREFUSED:
		return refused
	case unix.ECONNRESET:
		return reset
	case unix.EADDRNOTAVAIL:
		return addrNotAvail
	case unix.EADDRINUSE:
		return addrInUse
	default:
		return other
	}
}

// newConnections prepares for the requests of a load, with at most files open files.
// Those of a control go to another server port, see addControl.
func newConnections(load probe.ClientLoad, files int) (*connections, error) {
	server := load.Server
	if !server.Addr().IsValid() {
		return nil, fmt.Errorf("server %v: not an address", server)
	}
	limit := files - probe.ReservedFiles
	if limit < 1 {
		return nil, fmt.Errorf("%d open files are allowed, %d are needed", files, probe.ReservedFiles+1)
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	cs := &connections{
		timeout: int64(load.Timeout),
		limit:   limit,
		epoll:   epoll,
		conns:   make([]conn, load.Requests),
	}
	arm, control, err := cs.newTransports(load)
	if err != nil {
		return nil, errors.Join(err, cs.close())
	}
	cs.targets[lockstep.ArmSlot] = newTarget(server, arm)
	if load.Lockstep != nil && load.Lockstep.Control != nil {
		cs.targets[lockstep.ControlSlot] = newTarget(load.Lockstep.Control.Server, control)
	}
	cs.addHolding(load)
	return cs, nil
}

// newTransports returns the transports of the arm's requests and of the control's: one for
// both, unless the requests are look-ups.
func (cs *connections) newTransports(load probe.ClientLoad) (arm, control transport.Transport, err error) {
	of := load.Lookups
	if of == nil {
		arm, err = transport.New(load.Protocol)
		return arm, arm, err
	}
	if of.Threads > 1 {
		cs.second = transport.StartThread()
	}
	client, numbers := 0, 2*load.Requests // with those of the control
	if load.Lockstep != nil {
		client = load.Lockstep.Client
	}
	if arm, err = transport.NewLookups(of.Resolver, client, numbers, cs.epoll, of.Reopened, cs.second); err == nil {
		control, err = transport.NewLookups("", client, numbers, cs.epoll, scenario.PortRange{}, cs.second)
	}
	return arm, control, err
}

// addControl prepares for as many requests of a control.
func (cs *connections) addControl(requests int) {
	cs.conns = make([]conn, len(cs.conns)+requests)
	if cs.holds() {
		cs.order = make([]*conn, 0, len(cs.conns))
	}
}

// close closes the sockets that are still open.
func (cs *connections) close() error {
	for _, c := range cs.conns[:cs.launched] {
		if fd := max(c.fd, c.held); fd > 0 {
			unix.Close(int(fd))
		}
	}
	if cs.second != nil {
		cs.second.End()
	}
	return unix.Close(cs.epoll)
}

// openSocket returns a socket for a request of a kind.
func (cs *connections) openSocket(kind lockstep.SlotKind) (fd int, err error) {
	to := &cs.targets[kind]
	if fd, err = to.transport.OpenSocket(&to.peer); err == nil {
		cs.open++
	}
	return fd, err
}

// prepareSocket does ahead of time what can be done before a request to the server port
// of a kind.
func (cs *connections) prepareSocket(fd int, kind lockstep.SlotKind) unix.Errno {
	to := &cs.targets[kind]
	return to.transport.Prepare(fd, &to.peer)
}

// answersAtOnce reports whether the kernel of the server answers by itself.
func (cs *connections) answersAtOnce() bool {
	return cs.targets[lockstep.ArmSlot].transport.AnswersAtOnce()
}

// datagrams returns those that were not the answers that counted. The arm and its control
// may have a transport each, and are in one namespace.
func (cs *connections) datagrams() *probe.Datagrams {
	arm, control := &cs.targets[lockstep.ArmSlot], &cs.targets[lockstep.ControlSlot]
	sum := arm.transport.Datagrams()
	if sum != nil && control.transport != nil && control.transport != arm.transport {
		sum.Foreign += control.transport.Datagrams().Foreign
	}
	return sum
}

// closeUnused closes a socket that no request was sent from.
func (cs *connections) closeUnused(fd int) {
	unix.Close(fd)
	cs.open--
}

// sendRequest sends a request from a socket. All else prepares for this moment, so the
// packet comes first.
//
// port is the source port of a bound socket. It is 0 if the kernel is to choose one.
func (cs *connections) sendRequest(fd int, port uint16, kind lockstep.SlotKind) error {
	c, to := &cs.conns[cs.launched], &cs.targets[kind]
	c.launched = probe.MonotonicTime()
	errno := to.transport.Send(fd, &to.peer, uint32(cs.launched))
	c.took = probe.MonotonicTime() - c.launched
	return cs.addConn(c, fd, port, kind, errno)
}

// failRequest records a request that failed before its first packet.
func (cs *connections) failRequest(fd int, kind lockstep.SlotKind, errno unix.Errno) error {
	c := &cs.conns[cs.launched]
	c.launched = probe.MonotonicTime()
	return cs.addConn(c, fd, 0, kind, errno)
}

// addConn adds a connection whose first packet was sent, or failed.
func (cs *connections) addConn(c *conn, fd int, port uint16, kind lockstep.SlotKind, errno unix.Errno) error {
	c.fd, c.port, c.kind = int32(fd), port, kind
	cs.targets[kind].launched++
	cs.launched++
	if errno != 0 {
		cs.completeConn(c, errno)
		return nil
	}
	if port == 0 {
		c.port = transport.ReadSourcePort(fd)
	}
	event := unix.EpollEvent{Events: cs.targets[kind].transport.Events(), Fd: int32(cs.launched - 1)}
	if err := unix.EpollCtl(cs.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// reapCompleted records the connections that have completed or expired. It waits for at
// most limit until there is one; with 0 it does not wait.
func (cs *connections) reapCompleted(limit time.Duration) error {
	// The time is read before completions: a late answer still counts if it is there
	// when its request expires.
	now := probe.MonotonicTime()
	cs.closeDue()
	limit = cs.untilDue(limit)
	n, err := unix.EpollWait(cs.epoll, cs.events[:], int((limit+time.Millisecond-1)/time.Millisecond))
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("epoll_wait: %w", err)
	}
	for _, event := range cs.events[:max(n, 0)] {
		if event.Fd == wakeUp {
			continue
		}
		c := &cs.conns[event.Fd]
		if c.held != 0 {
			cs.peerClosed(c)
			continue
		}
		errno, answered, err := cs.targets[c.kind].transport.ReadAnswer(int(c.fd), uint32(event.Fd))
		if err != nil {
			return err
		}
		if !answered {
			continue
		}
		if errno == 0 && int(event.Fd) < cs.judged {
			cs.overdue++
		}
		if errno == 0 && cs.isLate(c) {
			errno = unix.ETIMEDOUT
		}
		if errno == 0 && cs.holds() {
			cs.recordOutcome(c, 0)
			cs.holdConn(event.Fd)
			continue
		}
		cs.completeConn(c, errno)
	}
	if n == len(cs.events) {
		return nil // there may be more completions: they are read before anything expires
	}
	for ; cs.oldest < cs.launched; cs.oldest++ {
		c := &cs.conns[cs.oldest]
		if c.fd < 0 {
			continue
		}
		if now-c.launched < cs.timeout {
			break
		}
		cs.completeConn(c, unix.ETIMEDOUT)
	}
	return nil
}

// reapFor reaps for at most limit, rounded down to milliseconds, and not past the next
// expiry.
func (cs *connections) reapFor(limit time.Duration) error {
	limit = limit.Truncate(time.Millisecond)
	if left := cs.untilExpiry(); cs.oldest < cs.launched {
		limit = min(limit, left)
	}
	return cs.reapCompleted(limit)
}

// isLate reports whether a connection succeeded after its timeout and by a second first
// packet, which means that the first one was lost.
func (cs *connections) isLate(c *conn) bool {
	return probe.MonotonicTime()-c.launched >= cs.timeout && cs.targets[c.kind].transport.SentAgain(int(c.fd))
}

// completeConn records the outcome of a connection and closes it.
func (cs *connections) completeConn(c *conn, errno unix.Errno) {
	cs.recordOutcome(c, errno)
	unix.Close(int(c.fd))
	c.fd = -1
	cs.open--
}

func (cs *connections) recordOutcome(c *conn, errno unix.Errno) {
	to := &cs.targets[c.kind]
	if errno == 0 {
		to.succeeded++
		took := probe.MonotonicTime() - c.launched
		if cs.timesSending {
			took = c.took
		}
		_ = to.latency.RecordValue(min(took/int64(time.Microsecond), probe.SlowestLatency)) // within its range
	} else {
		to.failures[failureKindOf(errno)]++
		c.silent = failureKindOf(errno) == timeout
	}
}

// awaitRoom waits until n more sockets can be opened.
func (cs *connections) awaitRoom(n int) error {
	for cs.open+n > cs.limit {
		wait := cs.untilRoom()
		if cs.oldest == cs.launched && cs.countHeld() == 0 {
			return fmt.Errorf("%d open files are allowed, %d are needed", cs.limit+probe.ReservedFiles, cs.open+n+probe.ReservedFiles)
		}
		if err := cs.reapCompleted(wait); err != nil {
			return err
		}
	}
	return nil
}

// untilExpiry returns the time until the oldest connection in flight expires.
func (cs *connections) untilExpiry() time.Duration {
	for ; cs.oldest < cs.launched; cs.oldest++ {
		if c := &cs.conns[cs.oldest]; c.fd >= 0 {
			return time.Duration(max(0, c.launched+cs.timeout-probe.MonotonicTime()))
		}
	}
	return 0
}

// sumUp returns the outcome of the connections of a kind. With explain, it holds the
// source ports of requests without an answer.
func (cs *connections) sumUp(kind lockstep.SlotKind, explain bool) probe.Outcome {
	to := &cs.targets[kind]
	o := probe.Outcome{Requests: to.launched, Succeeded: to.succeeded, Failures: map[string]int{}, MostOpen: to.mostHeld,
		Ports: cs.listPorts(func(c conn) bool { return c.kind == kind }, to.lookups)}
	if explain {
		o.Silent = cs.listPorts(func(c conn) bool { return c.kind == kind && c.silent }, nil)
	}
	if to.lookups != nil {
		o.Unanswered = cs.countUnansweredQueries(kind)
	}
	for k, n := range to.failures {
		if n > 0 {
			o.Failures[kindNames[k]] = n
		}
	}
	for _, bar := range to.latency.Distribution() {
		if bar.Count > 0 {
			o.Latency = append(o.Latency, [2]int64{bar.From, bar.Count})
		}
	}
	return o
}

// countUnansweredQueries returns which queries the timeouts of a kind have no answer to.
func (cs *connections) countUnansweredQueries(kind lockstep.SlotKind) *result.Unanswered {
	sum := &result.Unanswered{}
	for i, c := range cs.conns[:cs.launched] {
		if c.kind == kind && c.silent {
			sum.Add(cs.targets[kind].lookups.Unanswered(uint32(i)))
		}
	}
	return sum
}

// listPorts returns the source ports of the connections that satisfy of, as ranges in
// ascending order. With lookups, those of second sockets are among them.
func (cs *connections) listPorts(of func(conn) bool, lookups transport.Lookups) []scenario.PortRange {
	var used [65536]bool
	for i, c := range cs.conns[:cs.launched] {
		if c.port == 0 || !of(c) {
			continue
		}
		used[c.port] = true
		if lookups != nil {
			used[lookups.SecondPort(uint32(i))] = true // port 0 is not listed
		}
	}
	var ranges []scenario.PortRange
	for port := 1; port < len(used); port++ {
		switch {
		case !used[port]:
		case used[port-1]:
			ranges[len(ranges)-1].Last++
		default:
			ranges = append(ranges, scenario.PortRange{First: uint16(port), Last: uint16(port)})
		}
	}
	return ranges
}
