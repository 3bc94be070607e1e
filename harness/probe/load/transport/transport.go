// Package transport is what differs between the protocols of a load, in a client: how a
// request leaves, and how its answer is known.
package transport

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
	"snatlab/harness/result"
)

// Transport is the protocol of the requests of a load. None of its methods allocates.
type Transport interface {
	// OpenSocket returns a socket for an address, which is neither bound nor connected.
	OpenSocket(to *Address) (fd int, err error)
	// Prepare does ahead of time what can be done before the moment of a request. A
	// socket that is not bound gets its source port then, or when it sends.
	Prepare(fd int, to *Address) unix.Errno
	// Send sends the first packet of a request. It is one system call and no more, in each
	// thread that sends.
	Send(fd int, to *Address, request uint32) unix.Errno
	// Events are those of epoll that report an answer.
	Events() uint32
	// ReadAnswer returns the outcome of a request when epoll has reported its socket. ok
	// is false if there is no answer yet.
	ReadAnswer(fd int, request uint32) (outcome unix.Errno, ok bool, err error)
	// SentAgain reports whether the kernel has sent the first packet a second time.
	SentAgain(fd int) bool
	// AnswersAtOnce reports whether the kernel of the server answers by itself, mostly
	// before Send returns. Else the answers have to wait for the server's program.
	AnswersAtOnce() bool
	// Datagrams returns what the namespace received since New, apart from the answers that
	// counted. Nil with TCP.
	Datagrams() *probe.Datagrams
}

// New returns the transport of a protocol.
func New(protocol string) (Transport, error) {
	switch protocol {
	case result.TCP, "":
		return newTCP(), nil
	case result.UDP:
		return &udp{before: probe.ReadCounters()}, nil
	}
	return nil, fmt.Errorf("protocol %.60q: neither %s nor %s", protocol, result.TCP, result.UDP)
}

// tcp connects: a request is a handshake.
type tcp struct{ linger unix.Linger }

// newTCP returns a transport whose linger time of 0 makes close() send RST, so that no
// TIME_WAIT holds the port.
func newTCP() *tcp { return &tcp{linger: unix.Linger{Onoff: 1}} }

func (t *tcp) OpenSocket(to *Address) (int, error) {
	fd, err := to.openSocket(unix.SOCK_STREAM, unix.IPPROTO_TCP)
	if err != nil {
		return -1, err
	}
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &t.linger); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("SO_LINGER: %w", err)
	}
	return fd, nil
}

func (*tcp) Prepare(int, *Address) unix.Errno { return 0 }

// Send connects.
func (*tcp) Send(fd int, to *Address, _ uint32) unix.Errno {
	errno := to.connect(fd)
	if errno == unix.EINPROGRESS || errno == unix.EINTR {
		return 0
	}
	return errno
}

func (*tcp) Events() uint32 { return unix.EPOLLOUT }

func (*tcp) ReadAnswer(fd int, _ uint32) (unix.Errno, bool, error) {
	errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return 0, false, fmt.Errorf("SO_ERROR: %w", err)
	}
	return unix.Errno(errno), true, nil
}

func (*tcp) SentAgain(fd int) bool {
	info, err := unix.GetsockoptTCPInfo(fd, unix.SOL_TCP, unix.TCP_INFO)
	return err == nil && info.Total_retrans > 0
}

func (*tcp) AnswersAtOnce() bool { return true }

func (*tcp) Datagrams() *probe.Datagrams { return nil }

// udp sends a datagram, which the server returns as it is.
type udp struct {
	request [probe.DatagramSize]byte
	answer  [2 * probe.DatagramSize]byte
	foreign int // answers that were not those of their requests
	before  probe.Counters
}

func (*udp) OpenSocket(to *Address) (int, error) {
	return to.openSocket(unix.SOCK_DGRAM, unix.IPPROTO_UDP)
}

// Prepare connects the socket, which sends nothing: datagrams of others do not reach it
// then, and errors that others report do.
func (*udp) Prepare(fd int, to *Address) unix.Errno {
	errno := to.connect(fd)
	if errno == unix.EAGAIN { // no port is free (inet_autobind in net/ipv4/af_inet.c)
		return unix.EADDRNOTAVAIL
	}
	return errno
}

// Send is a raw system call, as it is with TCP.
func (u *udp) Send(fd int, _ *Address, request uint32) unix.Errno {
	probe.WriteDatagram(&u.request, request)
	_, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&u.request)), uintptr(len(u.request)))
	return errno
}

func (*udp) Events() uint32 { return unix.EPOLLIN }

// ReadAnswer ignores datagrams other than the request that was sent.
func (u *udp) ReadAnswer(fd int, request uint32) (unix.Errno, bool, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&u.answer)), uintptr(len(u.answer)),
			unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return 0, false, nil
		case errno != 0:
			return errno, true, nil
		case n == probe.DatagramSize && probe.IsDatagram(u.answer[:n]) && binary.BigEndian.Uint32(u.answer[n-4:n]) == request:
			return 0, true, nil
		default:
			u.foreign++
		}
	}
}

func (*udp) SentAgain(int) bool { return false }

func (*udp) AnswersAtOnce() bool { return false }

// Datagrams counts an answer to a socket that is closed as late: it came after the timeout,
// or for the second time.
func (u *udp) Datagrams() *probe.Datagrams {
	return &probe.Datagrams{Foreign: u.foreign, Late: probe.CounterDelta(u.before, probe.ReadCounters(), "Udp.NoPorts")}
}
