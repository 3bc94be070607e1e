package transport

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Address is an address and a port of either family, as system calls take it.
type Address struct {
	raw  unix.RawSockaddrInet6 // of IPv4: unix.RawSockaddrInet4, which has the port at the same place
	size uintptr
}

// NewAddress returns an address for system calls.
func NewAddress(a netip.AddrPort) (to Address) {
	if a.Addr().Is4() {
		*(*unix.RawSockaddrInet4)(unsafe.Pointer(&to.raw)) = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: a.Addr().As4()}
		to.size = unix.SizeofSockaddrInet4
	} else {
		to.raw = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: a.Addr().As16()}
		to.size = unix.SizeofSockaddrInet6
	}
	to.SetPort(a.Port())
	return to
}

// Any returns the wildcard address of the same family, with port 0.
func (a *Address) Any() Address {
	return Address{raw: unix.RawSockaddrInet6{Family: a.raw.Family}, size: a.size}
}

// SetPort sets the port.
func (a *Address) SetPort(port uint16) {
	*(*[2]byte)(unsafe.Pointer(&a.raw.Port)) = [2]byte{byte(port >> 8), byte(port)}
}

// Bind binds a socket to the address.
func (a *Address) Bind(fd int) unix.Errno { return a.call(unix.SYS_BIND, fd) }

// connect connects a socket to the address. It is a raw system call: the kernel completes
// a handshake of TCP before it returns, and Go's scheduler would consider a thread blocked
// that is away for so long, and run another goroutine in its place.
func (a *Address) connect(fd int) unix.Errno { return a.call(unix.SYS_CONNECT, fd) }

func (a *Address) call(trap uintptr, fd int) unix.Errno {
	_, _, errno := unix.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), a.size)
	return errno
}

// openSocket returns a socket of the address's family.
func (a *Address) openSocket(kind, protocol int) (int, error) {
	fd, err := unix.Socket(int(a.raw.Family), kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	return fd, nil
}

// ReadSourcePort returns the port that a socket is bound to; 0 if it is not bound.
func ReadSourcePort(fd int) uint16 {
	var a unix.RawSockaddrInet6 // large enough for both families
	size := uint32(unix.SizeofSockaddrInet6)
	unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&a)), uintptr(unsafe.Pointer(&size)))
	port := *(*[2]byte)(unsafe.Pointer(&a.Port))
	return uint16(port[0])<<8 | uint16(port[1])
}
