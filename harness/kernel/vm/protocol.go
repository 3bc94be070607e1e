package vm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// protocolVersion is the version of the payloads. Guest and host are the same program:
// another version means that another program sends.
const protocolVersion = 1

// hello is the greeting, the first frame of a guest.
type hello struct {
	Protocol int    `json:"protocol"`
	Release  string `json:"release"` // uname -r
}

// guestConn is the end of the channel in the guest.
type guestConn struct {
	mu sync.Mutex
	w  io.Writer
}

func (c *guestConn) sendFrame(k frameKind, payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return writeFrame(c.w, k, payload)
}

func (c *guestConn) sendJSON(k frameKind, what any) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return c.sendFrame(k, text)
}

// sendProgress sends a report of progress. It ignores errors: a run does not depend on
// its reports.
func (c *guestConn) sendProgress(progress []byte) { _ = c.sendFrame(frameProgress, progress) }

// guestOutcome is the last frame of a guest: its result, or why there is none.
type guestOutcome struct {
	result  []byte
	failure string
}

// The errors of a channel that ends before the last frame, and before the greeting.
var (
	errNoOutcome = errors.New("the guest ended without a result or an error")
	errNoHello   = errors.New("the guest ended before it said a word (too little memory? --memory)")
)

// readOutcome reads the frames of a guest up to the last one. It calls greeted after
// the greeting, heard after each frame, and progress with each report.
func readOutcome(r io.Reader, release string, progress func([]byte) error, greeted, heard func()) (guestOutcome, error) {
	if err := readHello(r, release); err == errNoOutcome {
		return guestOutcome{}, errNoHello
	} else if err != nil {
		return guestOutcome{}, err
	}
	heard()
	greeted()
	for {
		k, payload, err := readFrame(r)
		if err != nil {
			return guestOutcome{}, channelError(err)
		}
		heard()
		switch k {
		case frameAlive:
		case frameProgress:
			if err := progress(payload); err != nil {
				return guestOutcome{}, channelError(err)
			}
		case frameResult:
			return guestOutcome{result: payload}, nil
		case frameFailure:
			return guestOutcome{failure: string(payload)}, nil
		default:
			return guestOutcome{}, channelError(fmt.Errorf("unexpected frame of kind %q", k))
		}
	}
}

// readHello reads the greeting. A greeting of another program or another kernel is an
// error.
func readHello(r io.Reader, release string) error {
	k, payload, err := readFrame(r)
	if err != nil {
		return channelError(err)
	}
	var h hello
	if k == frameHello {
		err = json.Unmarshal(payload, &h)
	}
	switch {
	case err != nil:
		return channelError(err)
	case k != frameHello || h.Protocol != protocolVersion:
		return channelError(errors.New("no greeting of this protocol version"))
	case h.Release != release:
		return fmt.Errorf("the release of the booted kernel is %q, but that of its image is %q", h.Release, release)
	}
	return nil
}

// channelError returns the error of a channel that ended early or that holds other data.
func channelError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errNoOutcome
	}
	return fmt.Errorf("read from the guest: %w", err)
}
