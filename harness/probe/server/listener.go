// Package server is what a probe does in the server of a lab: it accepts the
// connections of a trial, or answers its datagrams, and counts them.
package server

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"runtime"
	"slices"
	"time"

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

// Listener accepts connections on the port of one trial, and on that of its control.
// The kernel does the handshakes of TCP. Accepting only prevents the queues from
// overflowing, so it runs at the lowest priority, when the clients leave a CPU idle.
//
// The datagrams of UDP are answered by the listener itself, at normal priority: mostly
// when the clients wait at the end of a turn.
type Listener struct {
	protocol    string
	trial       int         // socket
	control     int         // socket; -1: there is no control
	streams     map[int]int // sockets of TCP beside those above, to which their connections count; nil unless DNS is served
	stop        int         // eventfd: written to when the trial is over
	guests      []netip.Prefix
	before      probe.Counters
	done        chan error
	LowPriority bool // whether it accepts at the lowest priority

	// These belong to the accepting goroutine until it ends.
	accepted, strangers uint64 // of the trial's port
	controlAccepted     uint64
	malformed           uint64                // datagrams, of the trial's port
	sources             map[netip.Addr]uint64 // number of connections by the address that they came from

	// Numbers of connections by source port, of the trial's port and of the control's.
	ports, controlPorts [1 << 16]uint32
}

// Config says what a listener listens on.
type Config struct {
	Protocol string         // result.TCP or result.UDP
	Address  netip.AddrPort // the zero address means all addresses of IPv4
	Control  uint16         // port of the control; 0: none
	Guests   []netip.Prefix // that connections are accepted from
	DNS      bool           // with UDP: requests are look-ups, which are answered over TCP as well
	Files    int            // that may be open
	Hold     time.Duration  // TCP: that connections stay open
	Close    string         // TCP: who closes them, and how; empty: result.CloseReset
	// LowPriority is whether it accepts at the lowest priority. Nil: if the queue is long
	// enough.
	LowPriority *bool
}

// OpenListener opens the ports and accepts connections until Finish.
func OpenListener(c Config) (*Listener, error) {
	if c.DNS && c.Protocol != result.UDP {
		return nil, fmt.Errorf("look-ups over protocol %.60q: not over %s", c.Protocol, result.UDP)
	}
	l := &Listener{protocol: c.Protocol, control: -1, guests: c.Guests, done: make(chan error, 1), sources: map[netip.Addr]uint64{}}
	var err error
	if l.trial, err = listenOn(c.Protocol, c.Address); err != nil {
		return nil, err
	}
	if c.Control != 0 {
		if l.control, err = listenOn(c.Protocol, netip.AddrPortFrom(c.Address.Addr(), c.Control)); err != nil {
			unix.Close(l.trial)
			return nil, fmt.Errorf("control: %w", err)
		}
	}
	if c.DNS {
		if err := l.listenStreams(c); err != nil {
			l.closePorts()
			return nil, err
		}
	}
	if l.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
		l.closePorts()
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	l.before = probe.ReadCounters()
	l.LowPriority = l.hasLongQueue()
	if c.LowPriority != nil {
		l.LowPriority = *c.LowPriority
	}
	accept, err := l.newAcceptor(c)
	if err != nil {
		l.closePorts()
		unix.Close(l.stop)
		return nil, err
	}
	go func() { l.done <- l.acceptAll(accept) }()
	return l, nil
}

// listenStreams opens the ports of TCP that have the numbers of those for datagrams.
func (l *Listener) listenStreams(c Config) error {
	l.streams = map[int]int{}
	ports := map[int]uint16{l.trial: c.Address.Port()}
	if l.control >= 0 {
		ports[l.control] = c.Control
	}
	for datagrams, port := range ports {
		fd, err := listenOn(result.TCP, netip.AddrPortFrom(c.Address.Addr(), port))
		if err != nil {
			return fmt.Errorf("DNS over TCP: %w", err)
		}
		l.streams[fd] = datagrams
	}
	return nil
}

// listenOn returns a socket that listens on an address.
func listenOn(protocol string, address netip.AddrPort) (fd int, err error) {
	switch protocol {
	case result.TCP, "":
		fd, err = listenTCP(address)
	case result.UDP:
		fd, err = listenUDP(address)
	default:
		return -1, fmt.Errorf("protocol %.60q: neither %s nor %s", protocol, result.TCP, result.UDP)
	}
	if err != nil {
		return -1, fmt.Errorf("listen on port %d: %w", address.Port(), err)
	}
	return fd, nil
}

func listenTCP(address netip.AddrPort) (int, error) {
	fd, err := openSocket(address, unix.SOCK_STREAM, unix.IPPROTO_TCP)
	if err != nil {
		return -1, err
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil {
		err = unix.Bind(fd, socketAddress(address))
	}
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		unix.Close(fd)
	}
	return fd, err
}

// openSocket returns a socket of an address's family, and of no other.
func openSocket(address netip.AddrPort, kind, protocol int) (int, error) {
	family := unix.AF_INET
	if address.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err == nil && family == unix.AF_INET6 {
		if err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	return fd, nil
}

// socketAddress returns an address as bind() takes it.
func socketAddress(address netip.AddrPort) unix.Sockaddr {
	switch a := address.Addr(); {
	case a.Is6():
		return &unix.SockaddrInet6{Port: int(address.Port()), Addr: a.As16()}
	case a.Is4():
		return &unix.SockaddrInet4{Port: int(address.Port()), Addr: a.As4()}
	}
	return &unix.SockaddrInet4{Port: int(address.Port())}
}

// closePorts closes the ports.
func (l *Listener) closePorts() {
	for _, fd := range l.listPorts() {
		unix.Close(fd)
	}
}

// listPorts returns the sockets of the ports.
func (l *Listener) listPorts() []int {
	ports := []int{l.trial}
	if l.control >= 0 {
		ports = append(ports, l.control)
	}
	return slices.AppendSeq(ports, maps.Keys(l.streams))
}

// acceptor accepts connections, or datagrams.
type acceptor interface {
	// acceptNext accepts one connection of a port, and reports whether more may be queued.
	acceptNext(port int) (queued bool, err error)
	// wakesBy returns a file that is readable when acceptNext has something to do without
	// a connection in a queue, or -1, and the time until then, or a negative one.
	wakesBy() (fd int, limit time.Duration)
	close()
}

func (l *Listener) newAcceptor(c Config) (acceptor, error) {
	switch {
	case l.streams != nil:
		return &resolver{listener: l, known: map[source]bool{}}, nil
	case l.protocol == result.UDP:
		return &echo{listener: l}, nil
	case c.Hold > 0 || c.Close == result.CloseFIN || c.Close == result.CloseFINServer:
		return newHeldConns(l, c.Hold, c.Close)
	}
	return &openConns{listener: l, ring: make([]int, max(1, min(maxKeptOpen, c.Files-probe.ReservedFiles)))}, nil
}

// acceptAll accepts connections, one of each port in turn, until it is stopped and the
// queues are empty.
func (l *Listener) acceptAll(accept acceptor) error {
	runtime.LockOSThread() // and never unlocked: the priority is that of the thread
	// Before Linux 6.3, the root of a user namespace cannot have a longer queue than the
	// default of net.core.somaxconn, 4096. Such a queue overflows if it is left to fill
	// up.
	if l.LowPriority {
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 19)
	}
	defer accept.close()
	ports := l.listPorts()
	wait := []unix.PollFd{{Fd: int32(l.stop), Events: unix.POLLIN}}
	for _, port := range ports {
		wait = append(wait, unix.PollFd{Fd: int32(port), Events: unix.POLLIN})
	}
	wait = append(wait, unix.PollFd{Events: unix.POLLIN})
	for {
		idle := true
		for _, port := range ports {
			queued, err := accept.acceptNext(port)
			if err != nil {
				return err
			}
			idle = idle && !queued
		}
		if !idle {
			continue
		}
		if wait[0].Revents != 0 {
			return nil
		}
		fd, limit := accept.wakesBy()
		wait[len(wait)-1].Fd = int32(fd)
		timeout := -1
		if limit >= 0 {
			timeout = int((limit + time.Millisecond - 1) / time.Millisecond)
		}
		if _, err := unix.Poll(wait, timeout); err != nil && err != unix.EINTR {
			return fmt.Errorf("poll: %w", err)
		}
	}
}

// acceptNext implements acceptor.
func (o *openConns) acceptNext(port int) (queued bool, err error) {
	return o.listener.acceptConn(port, o.keep)
}

// wakesBy implements acceptor.
func (*openConns) wakesBy() (fd int, limit time.Duration) { return -1, -1 }

// acceptConn accepts a connection of a port, which keep takes if it comes from a guest.
func (l *Listener) acceptConn(port int, keep func(fd int) error) (queued bool, err error) {
	fd, from, err := unix.Accept4(port, unix.SOCK_CLOEXEC)
	switch err {
	case nil:
		if l.countGuest(port, from) {
			return true, keep(fd)
		}
		resetConn(fd)
	case unix.EINTR, unix.ECONNABORTED:
	case unix.EAGAIN:
		return false, nil
	default:
		return false, fmt.Errorf("accept: %w", err)
	}
	return true, nil
}

// openConns are the accepted connections that stay open for a while.
type openConns struct {
	listener *Listener
	ring     []int
	next     int // number of connections so far
}

// keep adds a connection, and closes the oldest one if there are too many.
func (o *openConns) keep(fd int) error {
	at := &o.ring[o.next%len(o.ring)]
	if o.next >= len(o.ring) {
		unix.Close(*at)
	}
	*at = fd
	o.next++
	return nil
}

func (o *openConns) close() {
	for i := range min(o.next, len(o.ring)) {
		unix.Close(o.ring[i])
	}
}

// countGuest counts a connection of a port, and reports whether it comes from a guest.
// Strangers and sources are those of the trial's port.
func (l *Listener) countGuest(port int, from unix.Sockaddr) bool {
	of := addressOf(from)
	address, source := of.Addr(), of.Port()
	isGuest := slices.ContainsFunc(l.guests, func(p netip.Prefix) bool { return p.Contains(address) })
	switch {
	case !isGuest && port == l.trial:
		l.strangers++
	case !isGuest:
	case port == l.control:
		l.controlAccepted++
		l.controlPorts[source]++
	default:
		l.accepted++
		l.ports[source]++
		if n := l.sources[address]; n > 0 || len(l.sources) < probe.MaxSources {
			l.sources[address] = n + 1
		}
	}
	return isGuest
}

// addressOf returns the address of a socket; the zero address for one of another family.
func addressOf(from unix.Sockaddr) netip.AddrPort {
	switch at := from.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(at.Addr), uint16(at.Port))
	}
	return netip.AddrPort{}
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

// hasLongQueue reports whether the queue is long enough to be left alone while clients
// fire. That of UDP is not: its datagrams are requests that wait for their answers, and on
// a busy machine a program of the lowest priority does not come to answer them in time.
func (l *Listener) hasLongQueue() bool {
	return l.protocol == result.TCP && l.queueLimit() >= longQueue
}

// queueLimit returns how many connections may wait to be accepted. For a listening
// socket, TCP_INFO holds it in the field of another value (tcp_get_info in
// net/ipv4/tcp.c).
func (l *Listener) queueLimit() int {
	info, err := unix.GetsockoptTCPInfo(l.trial, unix.SOL_TCP, unix.TCP_INFO)
	if err != nil {
		return 0
	}
	return int(info.Sacked)
}

// Finish accepts the connections that are still queued, closes the ports, and returns
// what was counted.
func (l *Listener) Finish() (*probe.Served, error) {
	if _, err := unix.Write(l.stop, binary.NativeEndian.AppendUint64(nil, 1)); err != nil {
		return nil, fmt.Errorf("stop listener: %w", err)
	}
	err := <-l.done
	dropped := l.countReceiveDrops()
	l.closePorts()
	unix.Close(l.stop)
	after := probe.ReadCounters()
	of := func(name string) *uint64 { return probe.CounterDelta(l.before, after, name) }
	return &probe.Served{
		Server: result.Server{
			Accepted:        l.accepted,
			Strangers:       l.strangers,
			Malformed:       l.malformed,
			ReceiveDrops:    dropped,
			ListenOverflows: of("TcpExt.ListenOverflows"),
			ListenDrops:     of("TcpExt.ListenDrops"),
			PAWSTimewait:    of("TcpExt.PAWSTimewait"),
			TWRecycled:      of("TcpExt.TWRecycled"),
			RetransSegs:     of("Tcp.RetransSegs"),
			EmbryonicRsts:   of("TcpExt.EmbryonicRsts"),
		},
		Sources:         l.sourceList(),
		ControlAccepted: l.controlAccepted,
		Ports:           probe.NewPortCounts(l.ports[:]),
		ControlPorts:    probe.NewPortCounts(l.controlPorts[:]),
	}, err
}
