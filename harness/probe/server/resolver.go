package server

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"snatlab/harness/probe/query"
)

// resolver answers the DNS queries of guests, over UDP and over TCP. A message that is not
// the query of a look-up gets no answer.
//
// The requests of a trial are look-ups, and connections those of conntrack: a source that
// sends both queries of a look-up is one connection.
type resolver struct {
	listener *Listener
	datagram [query.MaxSize]byte
	control  [64]byte        // ancillary data: the address that the datagram came to
	known    map[source]bool // sources of datagrams so far
	streams  sync.WaitGroup  // connections that are being served
	invalid  atomic.Uint64   // messages of connections that are no queries
}

// source is where datagrams come from, and the address and the port of the server that they
// go to: the server may have several addresses.
type source struct {
	from netip.AddrPort
	to   netip.Addr
	port int // socket
}

// acceptNext implements acceptor.
func (r *resolver) acceptNext(port int) (queued bool, err error) {
	if datagrams, ok := r.listener.streams[port]; ok {
		return r.acceptStream(port, datagrams)
	}
	n, size, _, from, err := unix.Recvmsg(port, r.datagram[:], r.control[:], unix.MSG_DONTWAIT)
	switch err {
	case nil:
		return true, r.answer(port, n, size, from)
	case unix.EINTR, unix.ECONNREFUSED: // an error that another host reported
		return true, nil
	case unix.EAGAIN:
		return false, nil
	}
	return false, fmt.Errorf("receive: %w", err)
}

// wakesBy implements acceptor.
func (*resolver) wakesBy() (fd int, limit time.Duration) { return -1, -1 }

// answer answers a query from the address that it came to.
func (r *resolver) answer(port, n, size int, from unix.Sockaddr) error {
	l := r.listener
	answer := query.Answer(r.datagram[:n])
	if answer == nil {
		if port == l.trial {
			l.malformed++
		}
		return nil
	}
	if of := (source{addressOf(from), destinationOf(r.control[:size]), port}); !r.known[of] {
		if !l.countGuest(port, from) {
			return nil
		}
		r.known[of] = true
	}
	return sendAnswer(port, answer, r.control[:size], from)
}

// acceptStream accepts a connection of the TCP port beside a port for datagrams.
func (r *resolver) acceptStream(port, datagrams int) (queued bool, err error) {
	fd, from, err := unix.Accept4(port, unix.SOCK_CLOEXEC)
	switch err {
	case nil:
	case unix.EINTR, unix.ECONNABORTED:
		return true, nil
	case unix.EAGAIN:
		return false, nil
	default:
		return false, fmt.Errorf("accept: %w", err)
	}
	if !r.listener.countGuest(datagrams, from) {
		resetConn(fd)
		return true, nil
	}
	file := os.NewFile(uintptr(fd), "connection")
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return false, fmt.Errorf("accept: %w", err)
	}
	r.streams.Go(func() { r.serveStream(conn) })
	return true, nil
}

// streamTime bounds the time that a connection is served. Its client closes it when it has
// both answers.
const streamTime = time.Second

// serveStream answers the queries of a connection until it ends.
func (r *resolver) serveStream(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(streamTime)) // never fails on an open connection
	framed, message := dns.Conn{Conn: conn}, make([]byte, query.MaxSize)
	for {
		n, err := framed.Read(message)
		if err != nil {
			return
		}
		answer := query.Answer(message[:n])
		if answer == nil {
			r.invalid.Add(1)
			return
		}
		if _, err := framed.Write(answer); err != nil {
			return
		}
	}
}

// close waits for the connections that are being served.
func (r *resolver) close() {
	r.streams.Wait()
	r.listener.malformed += r.invalid.Load()
}
