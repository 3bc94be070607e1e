package server

import (
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
	"snatlab/harness/result"
)

// receiveBuffer requests a queue for all datagrams of a turn of many clients, in bytes.
// The kernel limits it to net.core.rmem_max.
const receiveBuffer = 4 << 20

// echo returns the requests of guests as they are. A datagram that is no request gets no
// answer, so that two servers never answer each other.
type echo struct {
	listener *Listener
	datagram [2 * probe.DatagramSize]byte
	control  [64]byte // ancillary data: the address that the datagram came to
}

// wakesBy implements acceptor.
func (*echo) wakesBy() (fd int, limit time.Duration) { return -1, -1 }

// listenUDP returns a socket that receives datagrams.
func listenUDP(address netip.AddrPort) (int, error) {
	fd, err := openSocket(address, unix.SOCK_DGRAM, unix.IPPROTO_UDP)
	if err != nil {
		return -1, err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer) // as much as is allowed
	if address.Addr().Is6() {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	} else {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	if err == nil {
		err = unix.Bind(fd, socketAddress(address))
	}
	if err != nil {
		unix.Close(fd)
	}
	return fd, err
}

// acceptNext implements acceptor.
func (e *echo) acceptNext(port int) (queued bool, err error) {
	n, size, _, from, err := unix.Recvmsg(port, e.datagram[:], e.control[:], unix.MSG_DONTWAIT)
	switch err {
	case nil:
		return true, e.answer(port, n, size, from)
	case unix.EINTR, unix.ECONNREFUSED: // an error that another host reported
		return true, nil
	case unix.EAGAIN:
		return false, nil
	}
	return false, fmt.Errorf("receive: %w", err)
}

// answer returns a request to where it came from, from the address that it came to: the
// server may have several. A full queue of the interface loses the answer.
func (e *echo) answer(port, n, size int, from unix.Sockaddr) error {
	l := e.listener
	if !probe.IsDatagram(e.datagram[:n]) {
		if port == l.trial {
			l.malformed++
		}
		return nil
	}
	if !l.countGuest(port, from) {
		return nil
	}
	return sendAnswer(port, e.datagram[:n], e.control[:size], from)
}

// sendAnswer answers a datagram, with its ancillary data, from the address that it came to.
func sendAnswer(port int, answer, control []byte, to unix.Sockaddr) error {
	switch err := unix.Sendmsg(port, answer, keepSource(control), to, unix.MSG_DONTWAIT); err {
	case nil, unix.EAGAIN, unix.ENOBUFS, unix.EINTR, unix.EPERM: // EPERM: a filter dropped it
		return nil
	default:
		return fmt.Errorf("answer: %w", err)
	}
}

// keepSource turns the ancillary data of a datagram into that of its answer: the address
// that it came to is the one to answer from, by whatever interface (ip(7), IP_PKTINFO;
// ipv6(7), IPV6_PKTINFO).
func keepSource(control []byte) []byte {
	_, interfaceIndex := readPacketInfo(control)
	if interfaceIndex == nil {
		return nil
	}
	clear(interfaceIndex)
	return control
}

// destinationOf returns the address that a datagram came to, by its ancillary data.
func destinationOf(control []byte) netip.Addr {
	address, _ := readPacketInfo(control)
	to, _ := netip.AddrFromSlice(address)
	return to
}

// readPacketInfo returns the parts of the ancillary data of a datagram: the address that it
// came to, and the index of the interface. Both are nil without such data.
func readPacketInfo(control []byte) (address, interfaceIndex []byte) {
	if len(control) < unix.SizeofCmsghdr {
		return nil, nil
	}
	header, info := (*unix.Cmsghdr)(unsafe.Pointer(&control[0])), control[unix.SizeofCmsghdr:]
	switch {
	case header.Level == unix.IPPROTO_IP && len(info) >= unix.SizeofInet4Pktinfo: // struct in_pktinfo
		return info[8:12], info[:4]
	case header.Level == unix.IPPROTO_IPV6 && len(info) >= unix.SizeofInet6Pktinfo: // struct in6_pktinfo
		return info[:16], info[16:20]
	}
	return nil, nil
}

// countReceiveDrops returns how many datagrams found a queue full; nil with TCP, and if
// the kernel does not tell (before Linux 4.12).
func (l *Listener) countReceiveDrops() *uint64 {
	if l.protocol != result.UDP {
		return nil
	}
	var sum uint64
	for _, fd := range l.listPorts() {
		if _, ok := l.streams[fd]; ok {
			continue
		}
		drops, err := readDrops(fd)
		if err != nil {
			return nil
		}
		sum += uint64(drops)
	}
	return &sum
}

// readDrops returns the number of datagrams that a socket dropped: SK_MEMINFO_DROPS in
// include/uapi/linux/sock_diag.h.
func readDrops(fd int) (uint32, error) {
	const drops = 8
	var values [drops + 1]uint32
	size := uint32(unsafe.Sizeof(values))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&values)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0, errno
	}
	return values[drops], nil
}

func (*echo) close() {}
