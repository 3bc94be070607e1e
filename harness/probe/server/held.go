package server

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
	"snatlab/harness/result"
)

// heldConns are accepted connections that stay open until their clients close them. With
// result.CloseFINServer the server closes first, when a connection has been open for long
// enough since it was accepted.
type heldConns struct {
	listener *Listener
	epoll    int
	hold     time.Duration
	first    bool // the server closes first
	open     map[int]int64
	due      []heldConn // in the order in which they were accepted; used where the server closes first
	events   [64]unix.EpollEvent
}

// heldConn is an open connection. Its number tells it from a later one with the same fd.
type heldConn struct {
	fd     int
	number int64
	at     int64 // CLOCK_MONOTONIC, ns
}

func newHeldConns(l *Listener, hold time.Duration, closes string) (*heldConns, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	return &heldConns{listener: l, epoll: epoll, hold: hold, first: closes == result.CloseFINServer, open: map[int]int64{}}, nil
}

// acceptNext implements acceptor.
func (h *heldConns) acceptNext(port int) (bool, error) {
	if err := h.closeEnded(); err != nil {
		return false, err
	}
	h.closeDue()
	return h.listener.acceptConn(port, h.keep)
}

// keep adds a connection.
func (h *heldConns) keep(fd int) error {
	event := unix.EpollEvent{Events: unix.EPOLLRDHUP, Fd: int32(fd)}
	if err := unix.EpollCtl(h.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		unix.Close(fd)
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	number := int64(h.listener.accepted + h.listener.controlAccepted)
	h.open[fd] = number
	if h.first {
		h.due = append(h.due, heldConn{fd, number, probe.MonotonicTime() + int64(h.hold)})
	}
	return nil
}

// closeEnded closes the connections that their clients have closed.
func (h *heldConns) closeEnded() error {
	n, err := unix.EpollWait(h.epoll, h.events[:], 0)
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("epoll_wait: %w", err)
	}
	for _, event := range h.events[:max(n, 0)] {
		h.closeConn(int(event.Fd))
	}
	return nil
}

// closeDue closes the connections that have been open for long enough.
func (h *heldConns) closeDue() {
	for ; len(h.due) > 0 && h.due[0].at <= probe.MonotonicTime(); h.due = h.due[1:] {
		if c := h.due[0]; h.open[c.fd] == c.number {
			h.closeConn(c.fd)
		}
	}
}

func (h *heldConns) closeConn(fd int) {
	unix.Close(fd)
	delete(h.open, fd)
}

// wakesBy implements acceptor.
func (h *heldConns) wakesBy() (fd int, limit time.Duration) {
	if len(h.due) == 0 {
		return h.epoll, -1
	}
	return h.epoll, time.Duration(max(0, h.due[0].at-probe.MonotonicTime()))
}

func (h *heldConns) close() {
	for fd := range h.open {
		unix.Close(fd)
	}
	unix.Close(h.epoll)
}
