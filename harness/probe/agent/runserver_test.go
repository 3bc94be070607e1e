package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// long is a limit that no test reaches.
const long = time.Minute

// serveRuns starts a RunServer on the loopback interface, and returns its address.
func serveRuns(t *testing.T, limits ServeLimits) (address string) {
	t.Helper()
	if limits.Peers == 0 {
		limits.Peers = 8
	}
	listener, err := (&net.ListenConfig{KeepAliveConfig: KeepAlive}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancelCause(context.Background()) // t.Context ends before the cleanups
	server := RunServer{
		Address: netip.MustParseAddr("127.0.0.1"), Ports: scenario.PortRange{First: 39010, Last: 39019},
		Log: func(string) {}, Limits: limits,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	over := errors.New("the test is over")
	t.Cleanup(func() {
		cancel(over)
		if err := <-ended; err != over {
			t.Errorf("serve: %v", err)
		}
	})
	return listener.Addr().String()
}

// dialServer connects to a RunServer.
func dialServer(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp4", address)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// connectRun connects and greets like a run.
func connectRun(t *testing.T, address string) (*probe.ServerSession, error) {
	t.Helper()
	conn := dialServer(t, address)
	return probe.OpenServer(t.Context(), probe.Stream{Name: "server", In: conn, Out: conn, Close: conn.Close})
}

func needRun(t *testing.T, address string) *probe.ServerSession {
	t.Helper()
	s, err := connectRun(t, address)
	must(t, err)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A run is served while a peer that is not a run is connected.
func TestServeBesideStranger(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{
		"nothing":             "",
		"half a greeting":     greeting[:10],
		"another protocol":    "GET / HTTP/1.1\r\n\r\n",
		"an order":            `{"v":7,"finish":{}}` + "\n",
		"listen, no greeting": `{"v":7,"listen":{"port":39010}}` + "\n",
		"an endless line":     strings.Repeat("x", 1<<20),
		"an order of clients": `{"v":7,"run":{"server":"127.0.0.1:1","requests":1099511627776,"timeout":-1}}` + "\n",
		"too many ports":      greeting + `{"v":7,"listen":{"port":1}}` + "\n" + strings.Repeat("x", 5000),
	} {
		t.Run(name, func(t *testing.T) {
			address := serveRuns(t, ServeLimits{Greet: long, Idle: long, Busy: long, Answer: long})
			// The server may disconnect it before it has sent everything.
			_, _ = dialServer(t, address).Write([]byte(says))
			s := needRun(t, address)
			must(t, s.Listen(t.Context(), probe.Listen{Protocol: result.TCP, Port: 39010}))
			served, err := s.Finish(t.Context())
			if err != nil || served.Accepted != 0 {
				t.Errorf("%+v, %v", served, err)
			}
			must(t, s.Close())
		})
	}
}

// A peer that does not read its answers is disconnected at a deadline, after which the
// server is free for the next run.
func TestServeUnreadAnswers(t *testing.T) {
	t.Parallel()
	for _, reads := range []int{0, 1} { // nothing, and the hello alone
		t.Run(fmt.Sprintf("reads %d lines", reads), func(t *testing.T) {
			here, there := net.Pipe() // has no buffer
			defer there.Close()
			server := RunServer{Guests: []netip.Prefix{}, Ports: scenario.PortRange{First: 39010, Last: 39019}, Log: func(string) {}, Limits: ServeLimits{Greet: long, Idle: long, Busy: long, Answer: 10 * time.Millisecond}}
			held := &reservation{taken: make(chan struct{}, 1)}
			go func() {
				lines := bufio.NewReader(there)
				for range reads {
					lines.ReadString('\n')
					there.Write([]byte(greeting))
				}
			}()
			if err := server.servePeer(t.Context(), here, held); fmt.Sprint(err) != "it did not read an answer within 10ms" {
				t.Error(err)
			}
			if len(held.taken) != 0 {
				t.Error("it still holds the server")
			}
		})
	}
}

func TestServeSecondRun(t *testing.T) {
	t.Parallel()
	t.Run("waits for the first", func(t *testing.T) {
		address := serveRuns(t, ServeLimits{Greet: long, Idle: long, Busy: long, Answer: long})
		first := needRun(t, address)
		second := make(chan error, 1)
		go func() {
			s, err := connectRun(t, address)
			if err == nil {
				err = s.Close()
			}
			second <- err
		}()
		select {
		case err := <-second:
			t.Errorf("it did not wait: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		must(t, first.Close())
		must(t, <-second)
	})
	t.Run("is answered that the server is busy", func(t *testing.T) {
		address := serveRuns(t, ServeLimits{Greet: long, Idle: long, Busy: time.Millisecond, Answer: long})
		conn := dialServer(t, address)
		first, err := probe.OpenServer(t.Context(), probe.Stream{Name: "server", In: conn, Out: conn, Close: conn.Close})
		must(t, err)
		_, err = connectRun(t, address)
		want := fmt.Sprintf("server: busy with the run of %v since ", conn.LocalAddr())
		if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), ": try again when that run has ended") {
			t.Errorf("%v, want %s...", err, want)
		}
		must(t, first.Listen(t.Context(), probe.Listen{Protocol: result.TCP, Port: 39012})) // the first is not disturbed
		must(t, first.Close())
	})
}

// A run that sends no order for too long is ended, and the next run is served.
func TestServeSilentRun(t *testing.T) {
	t.Parallel()
	address := serveRuns(t, ServeLimits{Greet: long, Idle: 100 * time.Millisecond, Busy: long, Answer: long})
	silent := needRun(t, address)
	next := needRun(t, address) // waits for the end of the first
	if _, err := silent.Finish(t.Context()); err == nil {
		t.Error("its run was not ended")
	}
	must(t, next.Close())
}

// Each order moves the deadline of the next one: a run that greets is never ended.
func TestServeIdleLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		conn := &deadlines{Conn: here}
		limits := DefaultLimits()
		server := RunServer{Guests: []netip.Prefix{}, Ports: scenario.PortRange{First: 39010, Last: 39019}, Log: func(string) {}, Limits: limits}
		ended := make(chan error, 1)
		go func() { ended <- server.servePeer(t.Context(), conn, &reservation{taken: make(chan struct{}, 1)}) }()
		s, err := probe.OpenServer(t.Context(), probe.Stream{Name: "server", In: there, Out: there, Close: there.Close})
		must(t, err)
		s.KeepAwake()
		for n := 1; n <= 10; n++ {
			synctest.Wait()
			if set, left := conn.last(); set != n+1 || left != limits.Idle {
				t.Errorf("after %d orders the deadline was set %d times, and %v are left", n, set, left)
			}
			time.Sleep(probe.KeepAwakeInterval)
		}
		synctest.Wait() // the last answer is read
		must(t, s.Close())
		must(t, <-ended)
	})
}

// deadlines records the deadlines for reading that are set.
type deadlines struct {
	net.Conn
	mu    sync.Mutex
	reads []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.mu.Lock()
	d.reads = append(d.reads, t)
	d.mu.Unlock()
	return d.Conn.SetReadDeadline(t)
}

// last returns the number of deadlines that were set, and the time until the last.
func (d *deadlines) last() (n int, left time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.reads), time.Until(d.reads[len(d.reads)-1])
}

// A run greets while its clients send, and its own orders are answered.
func TestServerKeepAwake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		heard := make(chan struct{}, 100)
		agent := Agent{Role: probe.RoleServer, Ports: &scenario.PortRange{First: 39010, Last: 39019}, AfterOrder: func() { heard <- struct{}{} }}
		ended := make(chan error, 1)
		go func() { ended <- agent.Serve(here, here) }()
		s, err := probe.OpenServer(t.Context(), probe.Stream{Name: "server", In: there, Out: there, Close: there.Close})
		must(t, err)
		s.KeepAwake()
		for range 5 {
			<-heard
		}
		must(t, s.Listen(t.Context(), probe.Listen{Protocol: result.TCP, Port: 39014}))
		_, err = s.Finish(t.Context())
		must(t, err)
		must(t, s.Close())
		if err := <-ended; err != nil && !errors.Is(err, io.ErrClosedPipe) {
			t.Error(err)
		}
	})
}

// A peer above the limit is disconnected.
func TestServeTooManyPeers(t *testing.T) {
	t.Parallel()
	address := serveRuns(t, ServeLimits{Greet: long, Idle: long, Busy: long, Answer: long, Peers: 1})
	first := needRun(t, address)
	if _, err := connectRun(t, address); err == nil || !strings.HasPrefix(err.Error(), "server died: ") {
		t.Errorf("a second peer: %v", err)
	}
	must(t, first.Close())
}

// Keep-alives find out that the machine of a peer is gone.
func TestServeKeepAlive(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{KeepAliveConfig: KeepAlive}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	dialServer(t, listener.Addr().String())
	conn, err := listener.Accept()
	must(t, err)
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		for option, want := range map[int]int{unix.TCP_KEEPIDLE: 15, unix.TCP_KEEPINTVL: 5, unix.TCP_KEEPCNT: 6} {
			if got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, option); err != nil || got != want {
				t.Errorf("option %d is %d, want %d (%v)", option, got, want, err)
			}
		}
	}))
}
