// Package server is what a probe does in the server of a lab: it accepts the
// connections of a trial, and counts them.
package server

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
	"snatlab/harness/result"
)

// backlog requests the longest accept queue. The kernel limits it to
// net.core.somaxconn.
const backlog = 65535

// maxKeptOpen is the number of accepted connections that stay open, if enough files may be
// open. A client resets its connections within a moment, so a connection that is closed
// here has ended long before, and the server sends no packet for it during the trial.
const maxKeptOpen = 512

// longQueue is the length of a queue that is long enough to fill up during a trial.
const longQueue = 16 << 10

// Listener accepts connections on one port, for one trial. The kernel does the
// handshakes. Accepting only prevents the queue from overflowing, so it runs at the
// lowest priority, when the clients leave a CPU idle.
type Listener struct {
	fd          int
	stop        int // eventfd: written to when the trial is over
	guests      []netip.Prefix
	before      counters
	done        chan error
	LowPriority bool // whether it accepts at the lowest priority

	// These belong to the accepting goroutine until it ends.
	accepted, strangers uint64
	sources             map[netip.Addr]uint64 // number of connections by the address that they came from
}

// OpenListener opens a port on an address, for guests. The zero address means all
// addresses. At most files may be open. It accepts at the lowest priority if
// lowPriority is true, or if it is nil and the queue is long enough.
func OpenListener(address netip.AddrPort, guests []netip.Prefix, files int, lowPriority *bool) (*Listener, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil {
		at := unix.SockaddrInet4{Port: int(address.Port())}
		if address.Addr().Is4() {
			at.Addr = address.Addr().As4()
		}
		err = unix.Bind(fd, &at)
	}
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	stop := -1
	if err == nil {
		stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listen on port %d: %w", address.Port(), err)
	}
	l := &Listener{fd: fd, stop: stop, guests: guests, before: readCounters(), done: make(chan error, 1), sources: map[netip.Addr]uint64{}}
	ring := make([]int, max(1, min(maxKeptOpen, files-probe.ReservedFiles)))
	l.LowPriority = l.queueLimit() >= longQueue
	if lowPriority != nil {
		l.LowPriority = *lowPriority
	}
	go func() { l.done <- l.acceptAll(ring, l.LowPriority) }()
	return l, nil
}

// acceptAll accepts connections until it is stopped and the queue is empty.
func (l *Listener) acceptAll(ring []int, lowPriority bool) error {
	runtime.LockOSThread() // and never unlocked: the priority is that of the thread
	// Before Linux 6.3, the root of a user namespace cannot have a longer queue than the
	// default of net.core.somaxconn, 4096. Such a queue overflows if it is left to fill
	// up.
	if lowPriority {
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 19)
	}
	next := 0
	defer func() {
		for i := range min(next, len(ring)) {
			unix.Close(ring[i])
		}
	}()
	wait := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}, {Fd: int32(l.stop), Events: unix.POLLIN}}
	for {
		fd, from, err := unix.Accept4(l.fd, unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			if !l.countGuest(from) {
				l.strangers++
				resetConn(fd)
				continue
			}
			if next >= len(ring) {
				unix.Close(ring[next%len(ring)])
			}
			ring[next%len(ring)] = fd
			next++
		case unix.EINTR, unix.ECONNABORTED:
		case unix.EAGAIN:
			if wait[1].Revents != 0 {
				return nil
			}
			if _, err := unix.Poll(wait, -1); err != nil && err != unix.EINTR {
				return fmt.Errorf("poll: %w", err)
			}
		default:
			return fmt.Errorf("accept: %w", err)
		}
	}
}

// countGuest reports whether a connection comes from a guest, and counts it if so.
func (l *Listener) countGuest(from unix.Sockaddr) bool {
	at, ok := from.(*unix.SockaddrInet4)
	if !ok {
		return false
	}
	address := netip.AddrFrom4(at.Addr)
	if !slices.ContainsFunc(l.guests, func(p netip.Prefix) bool { return p.Contains(address) }) {
		return false
	}
	l.accepted++
	if n := l.sources[address]; n > 0 || len(l.sources) < probe.MaxSources {
		l.sources[address] = n + 1
	}
	return true
}

// sourceList returns the number of connections by address, in ascending order.
func (l *Listener) sourceList() (list []probe.SourceCount) {
	for _, address := range slices.SortedFunc(maps.Keys(l.sources), netip.Addr.Compare) {
		list = append(list, probe.SourceCount{Address: address, Accepted: l.sources[address]})
	}
	return list
}

// resetConn closes a connection with RST, so that no state of it stays.
func resetConn(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(fd)
}

// queueLimit returns how many connections may wait to be accepted. For a listening
// socket, TCP_INFO holds it in the field of another value (tcp_get_info in
// net/ipv4/tcp.c).
func (l *Listener) queueLimit() int {
	info, err := unix.GetsockoptTCPInfo(l.fd, unix.SOL_TCP, unix.TCP_INFO)
	if err != nil {
		return 0
	}
	return int(info.Sacked)
}

// Finish accepts the connections that are still queued, closes the port, and returns
// what was counted.
func (l *Listener) Finish() (*probe.Served, error) {
	if _, err := unix.Write(l.stop, binary.NativeEndian.AppendUint64(nil, 1)); err != nil {
		return nil, fmt.Errorf("stop listener: %w", err)
	}
	err := <-l.done
	unix.Close(l.fd)
	unix.Close(l.stop)
	after := readCounters()
	of := func(name string) *uint64 { return counterDelta(l.before, after, name) }
	return &probe.Served{
		Server: result.Server{
			Accepted:        l.accepted,
			Strangers:       l.strangers,
			ListenOverflows: of("TcpExt.ListenOverflows"),
			ListenDrops:     of("TcpExt.ListenDrops"),
			PAWSTimewait:    of("TcpExt.PAWSTimewait"),
			TWRecycled:      of("TcpExt.TWRecycled"),
			RetransSegs:     of("Tcp.RetransSegs"),
			EmbryonicRsts:   of("TcpExt.EmbryonicRsts"),
		},
		Sources: l.sourceList(),
	}, err
}
