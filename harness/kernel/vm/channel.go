package vm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// channelVersion is the version of what is said in frames. Guest and host are the same
// program: a difference means that something else speaks.
const channelVersion = 1

// hello is the first that a guest says.
type hello struct {
	Protocol int    `json:"protocol"`
	Release  string `json:"release"` // uname -r
}

// voice is the guest's end of the channel.
type voice struct {
	mu sync.Mutex
	w  io.Writer
}

func (v *voice) frame(k word, payload []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return writeFrame(v.w, k, payload)
}

func (v *voice) json(k word, what any) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return v.frame(k, text)
}

// report sends a report of progress. One that gets lost is of no consequence.
func (v *voice) report(progress []byte) { _ = v.frame(wordProgress, progress) }

// account is what a guest has told.
type account struct {
	result  []byte
	failure string
}

// The ends of a channel without a last word, and without a first one.
var (
	errSilent = errors.New("the guest ended without a word about how it went")
	errMute   = errors.New("the guest ended before it said a word (too little memory? --memory)")
)

// listen reads what a guest tells until its last word. Greeted is called after
// its first one, heard after each; progress is given each report.
func listen(r io.Reader, release string, progress func([]byte) error, greeted, heard func()) (account, error) {
	if err := listenHello(r, release); err == errSilent {
		return account{}, errMute
	} else if err != nil {
		return account{}, err
	}
	heard()
	greeted()
	for {
		k, payload, err := readFrame(r)
		if err != nil {
			return account{}, channelError(err)
		}
		heard()
		switch k {
		case wordAlive:
		case wordProgress:
			if err := progress(payload); err != nil {
				return account{}, channelError(err)
			}
		case wordResult:
			return account{result: payload}, nil
		case wordFailure:
			return account{failure: string(payload)}, nil
		default:
			return account{}, channelError(fmt.Errorf("a frame of kind %q out of turn", k))
		}
	}
}

// listenHello looks that it is our guest who speaks, in the kernel that was booted.
func listenHello(r io.Reader, release string) error {
	k, payload, err := readFrame(r)
	if err != nil {
		return channelError(err)
	}
	var h hello
	if k == wordHello {
		err = json.Unmarshal(payload, &h)
	}
	switch {
	case err != nil:
		return channelError(err)
	case k != wordHello || h.Protocol != channelVersion:
		return channelError(errors.New("no greeting of this version"))
	case h.Release != release:
		return fmt.Errorf("the kernel calls itself %q, and its image %q", h.Release, release)
	}
	return nil
}

// channelError says what is wrong with what came through the channel.
func channelError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errSilent
	}
	return fmt.Errorf("listen to the guest: %w", err)
}
