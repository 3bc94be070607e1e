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
)

// RunServer is the server of runs on other machines, one run at a time.
//
// Anyone may connect, so no peer can keep the others waiting: each has a
// goroutine of its own and a deadline for everything that it has to do. A peer
// that greets holds the server until it hangs up or falls silent; a second one
// is answered that the server is busy, and with whose run.
type RunServer struct {
	Address netip.Addr         // that clients connect to
	Ports   scenario.PortRange // that clients connect to, one a trial
	Guests  []netip.Prefix     // that clients connect from; nil: a run's own machine, and scenario.LabAddresses
	Log     func(string)       // called once an event, by several goroutines

	Limits ServeLimits // zero: DefaultLimits
}

// ServeLimits bound the time that a peer may take.
type ServeLimits struct {
	Greet  time.Duration // to greet, once connected
	Idle   time.Duration // between two orders of a run; a controller sends one every probe.KeepAwakeInterval
	Busy   time.Duration // that a second run waits for the first to end
	Answer time.Duration // to read an answer
	Peers  int           // that are connected at the same time; more are hung up on
}

// DefaultLimits returns the limits of `snatlab serve`. A controller waits
// answerTime for an answer: Busy is shorter, so that it reads why it has to wait.
func DefaultLimits() ServeLimits {
	return ServeLimits{Greet: 10 * time.Second, Idle: 6 * probe.KeepAwakeInterval, Busy: 5 * time.Second, Answer: 10 * time.Second, Peers: 64}
}

// KeepAlive closes the connection of a machine that is gone within 45 s.
var KeepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 6}

// Serve takes the orders of runs until ctx ends, and returns its cause. It
// closes the listener, and returns when every peer has been hung up on.
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
			s.logEvent(conn, fmt.Sprintf("hung up on: %d others are connected", s.Limits.Peers))
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

func (s *RunServer) logEvent(conn net.Conn, what string) {
	s.Log(fmt.Sprintf("%v: %s", conn.RemoteAddr(), printable.Line(what)))
}

// servePeer takes the orders of one peer until it hangs up. It holds the server from
// its first greeting on.
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
				_ = conn.SetReadDeadline(time.Now().Add(s.Limits.Idle)) // fails where the conversation is over
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
		return fmt.Errorf("it sent no order within %v: its run is ended", s.Limits.Idle)
	default:
		return fmt.Errorf("it did not greet within %v, as a snatlab run does", s.Limits.Greet)
	}
}

// guestsOf are whom a run's ports accept from.
func (s *RunServer) guestsOf(conn net.Conn) []netip.Prefix {
	if s.Guests != nil {
		return s.Guests
	}
	peer := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	return []netip.Prefix{netip.PrefixFrom(peer, peer.BitLen()), scenario.LabAddresses}
}

// reservation is held by one run at a time.
type reservation struct {
	taken chan struct{} // holds one element while a run holds the reservation

	mu     sync.Mutex
	holder net.Addr
	since  time.Time
}

// take waits for the reservation. The error names the run that holds it.
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
		return fmt.Errorf("busy with the run of %v, since %s: try again when that has ended", r.holder, r.since.Format(time.TimeOnly))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.holder, r.since = peer, time.Now()
	return nil
}

func (r *reservation) release() { <-r.taken }

// timedWriter writes to a peer that may not read.
type timedWriter struct {
	net.Conn
	limit time.Duration // of each write
	late  bool          // a write exceeded it
}

func (w *timedWriter) Write(p []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(w.limit)); err != nil {
		return 0, err
	}
	n, err := w.Conn.Write(p)
	w.late = w.late || errors.Is(err, os.ErrDeadlineExceeded)
	return n, err
}
