package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"snatlab/harness/printable"
	"snatlab/harness/probe"
	"snatlab/harness/scenario"
	"snatlab/harness/scenario/network"
)

// RunServer is the server of runs on other machines, one run at a time.
//
// Anyone may connect, so no peer can block the others: each has a goroutine of its own
// and a deadline for each of its steps. A peer that greets holds the server until it
// closes the connection or sends no order for too long. The answer to a second peer is
// an error that names the run which holds the server.
type RunServer struct {
	Address netip.Addr         // that clients connect to
	Ports   scenario.PortRange // that clients connect to, one a trial
	Guests  []netip.Prefix     // that clients connect from; nil: the machine of the run, and network.LabsIPv4
	Log     func(string)       // called for each event, by several goroutines

	Limits ServeLimits // zero: DefaultLimits
}

// ServeLimits bound the time that a peer may take.
type ServeLimits struct {
	Greet  time.Duration // to greet, once connected
	Idle   time.Duration // between two orders of a run; a controller sends one every probe.KeepAwakeInterval
	Busy   time.Duration // for which a second run waits for the end of the first
	Answer time.Duration // to read an answer
	Peers  int           // that are connected at the same time; others are disconnected
}

// DefaultLimits returns the limits of `snatlab serve`. Busy is shorter than the 20 s for
// which a controller waits for an answer, so that the controller reads the reason.
func DefaultLimits() ServeLimits {
	return ServeLimits{Greet: 10 * time.Second, Idle: 6 * probe.KeepAwakeInterval, Busy: 5 * time.Second, Answer: 10 * time.Second, Peers: 64}
}

// KeepAlive makes the kernel close the connection of a machine that is gone, within 45 s.
var KeepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 6}

// Serve executes the orders of runs until ctx ends, and returns its cause. It closes
// the listener, and returns after the last peer has been disconnected.
func (s *RunServer) Serve(ctx context.Context, listener net.Listener) error {
	if s.Limits == (ServeLimits{}) {
		s.Limits = DefaultLimits()
	}
	defer listener.Close()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	held := &reservation{taken: make(chan struct{}, 1)}
	places := make(chan struct{}, s.Limits.Peers)
	var peers sync.WaitGroup
	defer peers.Wait()
	for {
		conn, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
		select {
		case places <- struct{}{}:
		default:
			s.logEvent(conn, fmt.Sprintf("disconnected: %d others are connected", s.Limits.Peers))
			conn.Close()
			continue
		}
		peers.Go(func() {
			defer func() { <-places }()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			defer conn.Close()
			if err := s.servePeer(ctx, conn, held); err != nil && !errors.Is(err, net.ErrClosed) {
				s.logEvent(conn, err.Error())
			}
		})
	}
}

// logEvent logs an event of a peer.
func (s *RunServer) logEvent(conn net.Conn, what string) {
	s.Log(fmt.Sprintf("%v: %s", conn.RemoteAddr(), printable.Line(what)))
}

// servePeer executes the orders of one peer until the connection ends. The peer holds
// the server from its first greeting on.
func (s *RunServer) servePeer(ctx context.Context, conn net.Conn, held *reservation) error {
	if err := conn.SetReadDeadline(time.Now().Add(s.Limits.Greet)); err != nil {
		return err
	}
	admitted := false
	agent := Agent{
		Role: probe.RoleServer, Address: s.Address, Ports: &s.Ports, Guests: s.guestsOf(conn),
		Admit: func() error {
			if err := held.take(ctx, conn.RemoteAddr(), s.Limits.Busy); err != nil {
				return err
			}
			admitted = true
			s.logEvent(conn, "run begins")
			return nil
		},
		AfterOrder: func() {
			if admitted {
				_ = conn.SetReadDeadline(time.Now().Add(s.Limits.Idle)) // fails if the connection has ended
			}
		},
	}
	answers := &timedWriter{Conn: conn, limit: s.Limits.Answer}
	err := agent.Serve(conn, answers)
	if admitted {
		held.release()
	}
	switch {
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case answers.late:
		return fmt.Errorf("it did not read an answer within %v", s.Limits.Answer)
	case admitted:
		return fmt.Errorf("it sent no order within %v: its run was ended", s.Limits.Idle)
	default:
		return fmt.Errorf("it did not greet within %v, so it is not a snatlab run", s.Limits.Greet)
	}
}

// guestsOf returns the networks that the ports of a peer's run accept connections from.
func (s *RunServer) guestsOf(conn net.Conn) []netip.Prefix {
	if s.Guests != nil {
		return s.Guests
	}
	peer := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	return []netip.Prefix{netip.PrefixFrom(peer, peer.BitLen()), network.LabsIPv4}
}

// reservation is held by one run at a time.
type reservation struct {
	taken chan struct{} // holds one element while a run holds the reservation

	mu     sync.Mutex
	holder net.Addr
	since  time.Time
}

// take waits for the reservation. Its error names the run that holds it.
func (r *reservation) take(ctx context.Context, peer net.Addr, wait time.Duration) error {
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case r.taken <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-late.C:
		r.mu.Lock()
		defer r.mu.Unlock()
		return fmt.Errorf("busy with the run of %v since %s: try again when that run has ended", r.holder, r.since.Format(time.TimeOnly))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.holder, r.since = peer, time.Now()
	return nil
}

// release lets the next run take the reservation.
func (r *reservation) release() { <-r.taken }

// timedWriter bounds each write to a peer, which may not read.
type timedWriter struct {
	net.Conn
	limit time.Duration // of each write
	late  bool          // a write exceeded it
}

// Write implements io.Writer.
func (w *timedWriter) Write(p []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(w.limit)); err != nil {
		return 0, err
	}
	n, err := w.Conn.Write(p)
	w.late = w.late || errors.Is(err, os.ErrDeadlineExceeded)
	return n, err
}
