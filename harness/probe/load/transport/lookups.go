package transport

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
	"snatlab/harness/probe/query"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// Which queries of a look-up are done with: bits of lookups.answered.
const (
	answeredA = 1 << iota
	answeredAAAA
	written // over TCP: both queries were sent

	answeredBoth = answeredA | answeredAAAA
)

// lookups sends the queries of DNS look-ups over UDP: for A and for AAAA, from one socket.
// Unless the resolver waits for the first answer, it sends both at once, by one sendmmsg()
// as the resolver of glibc does, or from two threads.
type lookups struct {
	udp
	resolver string
	epoll    int
	client   int
	pair     [2]*query.Query
	answered []uint8             // bits, by request
	buffer   [query.MaxSize]byte // of an answer
	second   *Thread             // sends the query for AAAA; nil: one thread sends both

	// Of resolvers that open a second socket:
	reopened scenario.PortRange // its source ports
	ports    []uint16           // those that were used, by request
	peer     *Address           // of the last request that was prepared: all have the same
	own      Address            // of a second socket
	batch    [2]mmsghdr         // of sendmmsg
	parts    [2]unix.Iovec      // their contents
}

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	_      uint32 // bytes that were sent: a datagram is sent whole
	_      [4]byte
}

// NewLookups returns the transport of the look-ups of a client, at most so many, by a
// resolver. epoll is where the sockets of requests are reported: a socket that replaces
// another one is added there. Second may be nil.
func NewLookups(resolver string, client, requests, epoll int, reopened scenario.PortRange, second *Thread) (Lookups, error) {
	pair, err := query.NewPair(client)
	if err != nil {
		return nil, err
	}
	l := lookups{udp: udp{before: probe.ReadCounters()}, resolver: resolver, epoll: epoll, client: client, pair: pair, answered: make([]uint8, requests), second: second}
	switch resolver {
	case "", result.SingleRequest:
	case result.SingleRequestReopen:
		if !reopened.Valid() {
			return nil, fmt.Errorf("source ports of second sockets, %d to %d: out of range", reopened.First, reopened.Last)
		}
		l.reopened, l.ports = reopened, make([]uint16, requests)
	case result.UseVC:
		tcp := newTCP()
		return &lookupsTCP{lookups: l, tcp: tcp}, nil
	default:
		return nil, fmt.Errorf("resolver %.60q: unknown", resolver)
	}
	return &l, nil
}

// Lookups is the transport of requests that are look-ups.
type Lookups interface {
	Transport
	// Unanswered returns which queries of a request have no answer.
	Unanswered(request uint32) result.Unanswered
	// SecondPort returns the source port of the second socket of a request; 0 if there is
	// none.
	SecondPort(request uint32) uint16
}

// Prepare connects the socket, and wakes the second thread: it is to be on its CPU at the
// moment of the request.
func (l *lookups) Prepare(fd int, to *Address) unix.Errno {
	l.peer = to
	if l.second != nil {
		l.second.wake()
	}
	return l.udp.Prepare(fd, to)
}

// Send sends the queries, or the first one.
func (l *lookups) Send(fd int, _ *Address, request uint32) unix.Errno {
	a, aaaa := l.pair[0].Write(request), l.pair[1].Write(request)
	switch {
	case l.resolver != "":
		return write(fd, a)
	case l.second != nil:
		l.second.send(fd, aaaa)
		errno := write(fd, a)
		if other := l.second.await(); errno == 0 {
			errno = other
		}
		return errno
	}
	return l.sendBoth(fd, a, aaaa)
}

// sendBoth sends two datagrams by one system call.
func (l *lookups) sendBoth(fd int, a, aaaa []byte) unix.Errno {
	for i, message := range [][]byte{a, aaaa} {
		l.parts[i].Base = &message[0]
		l.parts[i].SetLen(len(message))
		l.batch[i].header.Iov = &l.parts[i]
		l.batch[i].header.SetIovlen(1)
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&l.batch)), uintptr(len(l.batch)), 0, 0, 0)
	if errno == 0 && n == 1 { // the second one failed
		errno = write(fd, aaaa)
	}
	return errno
}

func write(fd int, message []byte) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&message[0])), uintptr(len(message)))
	return errno
}

// ReadAnswer reads answers until both are there. A datagram that is no answer, or that came
// already, is foreign.
func (l *lookups) ReadAnswer(fd int, request uint32) (unix.Errno, bool, error) {
	answered := &l.answered[request]
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&l.buffer)), uintptr(len(l.buffer)),
			unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return 0, false, nil
		case errno != 0:
			return errno, true, nil
		}
		message := l.buffer[:min(int(n), len(l.buffer))]
		switch {
		case int(n) > len(l.buffer):
			l.foreign++
			continue
		case *answered&answeredA == 0 && l.pair[0].IsAnswer(message, request):
			*answered |= answeredA
		case *answered&answeredAAAA == 0 && l.pair[1].IsAnswer(message, request):
			*answered |= answeredAAAA
		default:
			l.foreign++
			continue
		}
		if *answered&answeredBoth == answeredBoth {
			return 0, true, nil
		}
		if l.resolver == "" {
			continue
		}
		if done, errno, err := l.sendSecond(fd, request); done || errno != 0 || err != nil {
			return errno, errno != 0, err
		}
	}
}

// sendSecond sends the query for AAAA of a resolver that has waited for the answer to that
// for A. Reopened reports whether it leaves from another socket, of the same number.
func (l *lookups) sendSecond(fd int, request uint32) (reopened bool, errno unix.Errno, err error) {
	if l.resolver == result.SingleRequestReopen {
		if errno, err := l.reopen(fd, request); errno != 0 || err != nil {
			return false, errno, err
		}
		reopened = true
	}
	return reopened, write(fd, l.pair[1].Write(request)), nil
}

// reopen replaces a socket by one with another source port, which it draws: a kernel would
// choose one that a later request of the client is to leave from. The new one is added to
// epoll, since the entry there was that of the old socket.
func (l *lookups) reopen(fd int, request uint32) (unix.Errno, error) {
	socket, err := l.udp.OpenSocket(l.peer)
	if err != nil {
		return 0, err
	}
	defer unix.Close(socket)
	errno := l.bindDrawn(socket, request)
	if errno == 0 {
		errno = l.udp.Prepare(socket, l.peer)
	}
	if errno != 0 {
		return errno, nil
	}
	if err := unix.Dup3(socket, fd, unix.O_CLOEXEC); err != nil {
		return 0, fmt.Errorf("dup3: %w", err)
	}
	event := unix.EpollEvent{Events: l.Events(), Fd: int32(request)}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return 0, fmt.Errorf("epoll_ctl: %w", err)
	}
	return 0, nil
}

// mostDraws bounds the ports that are tried for a second socket.
const mostDraws = 16

// bindDrawn binds a socket to a source port that looks random, and differs from that of
// another client at the same moment.
func (l *lookups) bindDrawn(socket int, request uint32) (errno unix.Errno) {
	l.own = l.peer.Any()
	for i := range mostDraws {
		draw := (uint64(l.client)<<32 | uint64(request)) + uint64(i)<<48
		port := l.reopened.First + uint16(mix(draw)%uint64(l.reopened.Len()))
		l.own.SetPort(port)
		if errno = l.own.Bind(socket); errno == 0 {
			l.ports[request] = port
		}
		if errno != unix.EADDRINUSE {
			break
		}
	}
	return errno
}

// mix returns a number that looks random (the end of splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// SecondPort implements [Lookups].
func (l *lookups) SecondPort(request uint32) uint16 {
	if l.ports == nil {
		return 0
	}
	return l.ports[request]
}

// Unanswered implements [Lookups]. A resolver that waits for the first answer has sent no
// second query without it, so only the first one has no answer.
func (l *lookups) Unanswered(request uint32) result.Unanswered {
	switch answered := l.answered[request] & answeredBoth; {
	case answered == answeredBoth:
		return result.Unanswered{}
	case answered == answeredA:
		return result.Unanswered{AAAA: 1}
	case answered == answeredAAAA, l.resolver == result.SingleRequest, l.resolver == result.SingleRequestReopen:
		return result.Unanswered{A: 1}
	}
	return result.Unanswered{Both: 1}
}

// lookupsTCP sends both queries over a connection, as use-vc does.
type lookupsTCP struct {
	lookups
	tcp     *tcp
	queries [2 * (2 + query.MaxSize)]byte
	answers [2 * (2 + query.MaxSize)]byte
}

func (l *lookupsTCP) OpenSocket(to *Address) (int, error) { return l.tcp.OpenSocket(to) }

func (*lookupsTCP) Prepare(int, *Address) unix.Errno { return 0 }

// Send connects: the queries follow when the connection is open.
func (l *lookupsTCP) Send(fd int, to *Address, request uint32) unix.Errno {
	return l.tcp.Send(fd, to, request)
}

// Events are edges: a connection stays writable while its answers are awaited.
func (*lookupsTCP) Events() uint32 { return unix.EPOLLOUT | unix.EPOLLIN | unix.EPOLLET }

// ReadAnswer sends the queries over a connection that has opened, and looks whether both
// answers have come, which the server sends in the order of the queries. They stay in the
// queue of the socket until then.
func (l *lookupsTCP) ReadAnswer(fd int, request uint32) (unix.Errno, bool, error) {
	answered := &l.answered[request]
	if *answered&written == 0 {
		if errno, _, err := l.tcp.ReadAnswer(fd, request); errno != 0 || err != nil {
			return errno, true, err
		}
		n := appendFramed(appendFramed(0, l.queries[:], l.pair[0].Write(request)), l.queries[:], l.pair[1].Write(request))
		if errno := write(fd, l.queries[:n]); errno != 0 {
			return errno, true, nil
		}
		*answered |= written
	}
	expected := appendFramed(appendFramed(0, l.queries[:], l.pair[0].Answer(request)), l.queries[:], l.pair[1].Answer(request))
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&l.answers)), uintptr(expected), unix.MSG_DONTWAIT|unix.MSG_PEEK, 0, 0)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return 0, false, nil
	case errno != 0:
		return errno, true, nil
	case n == 0:
		return unix.ECONNRESET, true, nil
	case int(n) < expected:
		return 0, false, nil
	case string(l.answers[:n]) != string(l.queries[:n]):
		return unix.EPROTO, true, nil
	}
	*answered |= answeredBoth
	return 0, true, nil
}

// appendFramed appends a message with its length before it, as DNS over TCP has it, after
// the first n bytes of a buffer. It returns the number of bytes with it.
func appendFramed(n int, to, message []byte) int {
	to[n], to[n+1] = byte(len(message)>>8), byte(len(message))
	return n + 2 + copy(to[n+2:], message)
}

func (l *lookupsTCP) SentAgain(fd int) bool { return l.tcp.SentAgain(fd) }
