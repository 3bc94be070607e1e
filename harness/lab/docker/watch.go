package docker

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

	"golang.org/x/sys/unix"
)

// engineWatch is a connection to an engine that lasts as long as the engine's process.
// A restarted engine may be back before it is asked about a container, and then
// answers as if it had never been away.
//
// The connection carries the answer to GET /events, which does not end: an engine may
// close a connection without a request. The kernel reports whether the connection has
// ended. It closes the connection before another process can replace the engine.
type engineWatch struct {
	conn net.Conn
	raw  syscall.RawConn
}

// openWatch opens a watch. It returns an error if the engine offers no events, as
// behind a proxy that does not forward them.
func (h *Host) openWatch(ctx context.Context) (_ *engineWatch, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	conn, err := h.docker.Dialer()(ctx)
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
	limit, _ := ctx.Deadline()
	if err := errors.Join(conn.SetDeadline(limit), askForEvents(conn), conn.SetDeadline(time.Time{})); err != nil {
		return nil, err
	}
	return &engineWatch{conn, raw}, nil
}

// askForEvents asks for the events of objects that no run makes: nothing follows the
// head of the answer, so the answer need not be read.
func askForEvents(conn net.Conn) error {
	none := url.Values{"filters": {`{"label":["` + runLabel + `=none"]}`}}
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

// hasEnded reports whether the connection has ended. It reports false without a watch.
func (w *engineWatch) hasEnded() bool {
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

// closeWatch closes the connection.
func (w *engineWatch) closeWatch() error {
	if w == nil {
		return nil
	}
	if err := w.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("end the watch of the engine: %w", err)
	}
	return nil
}
