package load

import (
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// connections holds the connections of a trial from connect() to their completion.
// All of them have the same timeout, so they expire in the order in which
// they were launched. Nothing is allocated after newConnections.
type connections struct {
	peer    unix.RawSockaddrInet4
	timeout int64 // ns
	limit   int   // sockets that may be open at once

	epoll  int
	events [256]unix.EpollEvent
	linger unix.Linger

	conns    []conn // as launched
	launched int
	oldest   int // the first that may still be in flight
	open     int

	succeeded int
	failures  [kinds]int
	latency   *hdrhistogram.Histogram // µs
}

// conn is one connection.
type conn struct {
	fd       int32  // -1 when it has completed
	port     uint16 // source
	silent   bool   // it got no answer
	launched int64  // CLOCK_MONOTONIC, ns
}

// failureKind is a kind of failure.
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

var kindNames = [kinds]string{result.Timeout, result.Refused, result.Reset,
	result.EADDRNOTAVAIL, result.EADDRINUSE, result.Other}

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

// newConnections prepares for requests to server, with no more than files open.
func newConnections(server netip.AddrPort, requests int, timeout time.Duration, files int) (*connections, error) {
	if !server.Addr().Is4() {
		return nil, fmt.Errorf("server %v: not an IPv4 address", server)
	}
	limit := files - probe.ReservedFiles
	if limit < 1 {
		return nil, fmt.Errorf("%d open files are allowed, %d are needed", files, probe.ReservedFiles+1)
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	f := &connections{
		peer:    unix.RawSockaddrInet4{Family: unix.AF_INET, Port: networkOrder(server.Port()), Addr: server.Addr().As4()},
		timeout: int64(timeout),
		limit:   limit,
		epoll:   epoll,
		// Linger of 0 makes close() send RST: no TIME_WAIT holds the port.
		linger:  unix.Linger{Onoff: 1},
		conns:   make([]conn, requests),
		latency: probe.NewLatencyHistogram(),
	}
	return f, nil
}

// readSourcePort asks for the port that the kernel chose.
func readSourcePort(fd int) uint16 {
	var a unix.RawSockaddrInet4
	size := uint32(unix.SizeofSockaddrInet4)
	unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&a)), uintptr(unsafe.Pointer(&size)))
	return networkOrder(a.Port) // its own inverse
}

// networkOrder gives the port as it lies in memory on the wire.
func networkOrder(port uint16) uint16 {
	b := [2]byte{byte(port >> 8), byte(port)}
	return *(*uint16)(unsafe.Pointer(&b))
}

// close drops what is still open.
func (f *connections) close() error {
	for i := f.oldest; i < f.launched; i++ {
		if fd := f.conns[i].fd; fd >= 0 {
			unix.Close(int(fd))
		}
	}
	return unix.Close(f.epoll)
}

// openSocket makes one that is not connected yet.
func (f *connections) openSocket() (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &f.linger); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("SO_LINGER: %w", err)
	}
	f.open++
	return fd, nil
}

// closeUnused closes a socket that was not launched.
func (f *connections) closeUnused(fd int) {
	unix.Close(fd)
	f.open--
}

// connectSocket connects a socket. It is the moment that everything else prepares
// for, so connect() comes first. It also is a raw system call: the handshake
// is done by the kernel before it returns, which is long enough for Go's
// scheduler to believe the thread blocked, and to give its place away.
//
// The source port is given if the socket is bound, else it is 0: the kernel
// chooses one.
func (f *connections) connectSocket(fd int, port uint16) error {
	c := &f.conns[f.launched]
	c.launched = probe.MonotonicTime()
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&f.peer)), unix.SizeofSockaddrInet4)
	c.fd, c.port = int32(fd), port
	f.launched++
	switch errno {
	case 0, unix.EINPROGRESS, unix.EINTR:
	default:
		f.completeConn(c, errno)
		return nil
	}
	if port == 0 {
		c.port = readSourcePort(fd)
	}
	event := unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(f.launched - 1)}
	if err := unix.EpollCtl(f.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// reapCompleted takes note of what has completed or expired. It waits up to limit for
// something to happen; 0 only looks.
func (f *connections) reapCompleted(limit time.Duration) error {
	// Completions are looked for after the time is taken: a late answer is
	// still an answer, if it is there when its request expires.
	now := probe.MonotonicTime()
	n, err := unix.EpollWait(f.epoll, f.events[:], int((limit+time.Millisecond-1)/time.Millisecond))
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("epoll_wait: %w", err)
	}
	for _, event := range f.events[:max(n, 0)] {
		c := &f.conns[event.Fd]
		errno, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil {
			return fmt.Errorf("SO_ERROR: %w", err)
		}
		if errno == 0 && f.isLate(c) {
			errno = int(unix.ETIMEDOUT)
		}
		f.completeConn(c, unix.Errno(errno))
	}
	if n == len(f.events) {
		return nil // there may be more: nothing expires unseen
	}
	for ; f.oldest < f.launched; f.oldest++ {
		c := &f.conns[f.oldest]
		if c.fd < 0 {
			continue
		}
		if now-c.launched < f.timeout {
			break
		}
		f.completeConn(c, unix.ETIMEDOUT)
	}
	return nil
}

// reapFor reaps for no longer than limit, rounded down to milliseconds, and not
// past the next expiry.
func (f *connections) reapFor(limit time.Duration) error {
	limit = limit.Truncate(time.Millisecond)
	if left := f.untilExpiry(); f.oldest < f.launched {
		limit = min(limit, left)
	}
	return f.reapCompleted(limit)
}

// isLate tells a connection that succeeded after its timeout had passed, by a
// SYN that was sent again: the first one was lost.
func (f *connections) isLate(c *conn) bool {
	if probe.MonotonicTime()-c.launched < f.timeout {
		return false
	}
	info, err := unix.GetsockoptTCPInfo(int(c.fd), unix.SOL_TCP, unix.TCP_INFO)
	return err == nil && info.Total_retrans > 0
}

// completeConn ends a connection with its outcome.
func (f *connections) completeConn(c *conn, errno unix.Errno) {
	if errno == 0 {
		f.succeeded++
		us := (probe.MonotonicTime() - c.launched) / int64(time.Microsecond)
		_ = f.latency.RecordValue(min(us, probe.SlowestLatency)) // within its range
	} else {
		f.failures[failureKindOf(errno)]++
		c.silent = failureKindOf(errno) == timeout
	}
	unix.Close(int(c.fd))
	c.fd = -1
	f.open--
}

// awaitRoom waits until n more sockets may be opened.
func (f *connections) awaitRoom(n int) error {
	for f.open+n > f.limit {
		if f.oldest == f.launched {
			return fmt.Errorf("%d open files are allowed, %d are needed", f.limit+probe.ReservedFiles, f.open+n+probe.ReservedFiles)
		}
		if err := f.reapCompleted(f.untilExpiry()); err != nil {
			return err
		}
	}
	return nil
}

// awaitAll waits until every launched connection has completed or expired.
func (f *connections) awaitAll() error {
	for f.oldest < f.launched {
		if err := f.reapCompleted(f.untilExpiry()); err != nil {
			return err
		}
	}
	return nil
}

// untilExpiry is the time that the oldest connection has left.
func (f *connections) untilExpiry() time.Duration {
	for ; f.oldest < f.launched; f.oldest++ {
		if c := &f.conns[f.oldest]; c.fd >= 0 {
			return time.Duration(max(0, c.launched+f.timeout-probe.MonotonicTime()))
		}
	}
	return 0
}

// makeReport sums up. Explain says which requests got no answer.
func (f *connections) makeReport(explain bool) *probe.Report {
	r := &probe.Report{Requests: f.launched, Succeeded: f.succeeded, Failures: map[string]int{},
		Ports: f.listPorts(func(conn) bool { return true }), PeakRSS: probe.PeakRSS()}
	if explain {
		r.Silent = f.listPorts(func(c conn) bool { return c.silent })
	}
	for k, n := range f.failures {
		if n > 0 {
			r.Failures[kindNames[k]] = n
		}
	}
	for _, bar := range f.latency.Distribution() {
		if bar.Count > 0 {
			r.Latency = append(r.Latency, [2]int64{bar.From, bar.Count})
		}
	}
	return r
}

// listPorts lists the source ports of some of the connections in ranges, in order.
func (f *connections) listPorts(of func(conn) bool) []scenario.PortRange {
	var used [65536]bool
	for _, c := range f.conns[:f.launched] {
		if c.port != 0 && of(c) {
			used[c.port] = true
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
