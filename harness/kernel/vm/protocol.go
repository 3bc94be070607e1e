package vm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// protocolVersion is the version of what is said in frames. Guest and host are the same
// program: a difference means that something else speaks.
const protocolVersion = 1

// hello is the first that a guest says.
type hello struct {
	Protocol int    `json:"protocol"`
	Release  string `json:"release"` // uname -r
}

// guestConn is the guest's end of the channel.
type guestConn struct {
	mu sync.Mutex
	w  io.Writer
}

func (v *guestConn) sendFrame(k frameKind, payload []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return writeFrame(v.w, k, payload)
}

func (v *guestConn) sendJSON(k frameKind, what any) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return v.sendFrame(k, text)
}

// sendProgress sends a report of progress. One that gets lost is of no consequence.
func (v *guestConn) sendProgress(progress []byte) { _ = v.sendFrame(frameProgress, progress) }

// guestOutcome is what a guest has told.
type guestOutcome struct {
	result  []byte
	failure string
}

// The ends of a channel without a last word, and without a first one.
var (
	errNoOutcome = errors.New("the guest ended without a word about how it went")
	errNoHello   = errors.New("the guest ended before it said a word (too little memory? --memory)")
)

// readOutcome reads what a guest tells until its last word. Greeted is called after
// its first one, heard after each; progress is given each report.
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
			return guestOutcome{}, channelError(fmt.Errorf("a frame of kind %q out of turn", k))
		}
	}
}

// readHello looks that it is our guest who speaks, in the kernel that was booted.
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
		return channelError(errors.New("no greeting of this version"))
	case h.Release != release:
		return fmt.Errorf("the kernel calls itself %q, and its image %q", h.Release, release)
	}
	return nil
}

// channelError says what is wrong with what came through the channel.
func channelError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errNoOutcome
	}
	return fmt.Errorf("listen to the guest: %w", err)
}
