// Package presence reports whether a container engine has run without a break.
package presence

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/docker/docker/client"
	"golang.org/x/sys/unix"
)

// Watch is a connection to an engine that lasts as long as the engine's process.
// A restarted engine may be back before it is asked about a container, and then
// answers as if it had never been away.
//
// The connection carries the answer to GET /events, which does not end: an engine may
// close a connection without a request. The kernel reports whether the connection has
// ended. It closes the connection before another process can replace the engine.
type Watch struct {
	conn net.Conn
	raw  syscall.RawConn
}

// Open opens a watch. It returns an error if the engine does not answer before ctx ends, or
// offers no events, as behind a proxy that does not forward them.
func Open(ctx context.Context, engine *client.Client) (_ *Watch, err error) {
	conn, err := engine.Dialer()(ctx)
	if err != nil {
		return nil, fmt.Errorf("watch the engine: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("watch the engine: %w", errors.Join(err, conn.Close()))
		}
	}()
	c, ok := conn.(syscall.Conn)
	if !ok {
		return nil, errors.New("the connection has no socket")
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	limit, _ := ctx.Deadline() // zero: none
	if err := errors.Join(conn.SetDeadline(limit), askForEvents(conn), conn.SetDeadline(time.Time{})); err != nil {
		return nil, err
	}
	return &Watch{conn, raw}, nil
}

// askForEvents asks for the events of objects that nobody makes: nothing follows the
// head of the answer, so the answer need not be read.
func askForEvents(conn net.Conn) error {
	none := url.Values{"filters": {`{"label":["snatlab.nothing"]}`}}
	r, err := http.NewRequest(http.MethodGet, "http://docker/events?"+none.Encode(), nil)
	if err != nil {
		return err
	}
	if err := r.Write(conn); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), r)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK { // the body of an answer of 200 does not end
		return fmt.Errorf("GET /events: %s", answer.Status)
	}
	return nil
}

// HasEnded reports whether the connection has ended. It reports false without a watch.
func (w *Watch) HasEnded() bool {
	if w == nil {
		return false
	}
	closed := false
	err := w.raw.Control(func(fd uintptr) {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(poll, 0)
		for errors.Is(err, unix.EINTR) {
			n, err = unix.Poll(poll, 0)
		}
		closed = n > 0
	})
	return closed || err != nil
}

// Close closes the connection.
func (w *Watch) Close() error {
	if w == nil {
		return nil
	}
	if err := w.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("end the watch of the engine: %w", err)
	}
	return nil
}
