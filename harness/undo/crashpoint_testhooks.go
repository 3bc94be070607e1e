//go:build testhooks

package undo

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// crashVariable names the environment variable that makes this process crash at a
// crash point, as in "after:3:KILL". The parts are the point, the number of the
// change or of the undoing, and the signal that the process sends to itself (KILL,
// INT, TERM, HUP), or panic. Journals in memory count as well: a test must also see
// that nothing of them is left to undo. "list" prints each point on standard error
// and has no other effect.
const crashVariable = "SNATLAB_TEST_DIE_AT"

// crashPoint is the point at which this process crashes, and the way. Nil means
// that it does not.
type crashPoint struct {
	list bool // only print the points
	when string
	nth  int
	how  string
	seen map[string]int // points passed
}

var crashPointForm = regexp.MustCompile(`^(before|after|undo-before|undo-after):([1-9]\d{0,8}):(KILL|INT|TERM|HUP|panic)$`)

func parseCrashPoint(text string) (*crashPoint, error) {
	switch text {
	case "":
		return nil, nil
	case "list":
		return &crashPoint{list: true, seen: map[string]int{}}, nil
	}
	parts := crashPointForm.FindStringSubmatch(text)
	if parts == nil {
		return nil, fmt.Errorf("%s is %q, which is neither list nor WHEN:N:HOW", crashVariable, text)
	}
	nth, err := strconv.Atoi(parts[2])
	return &crashPoint{when: parts[1], nth: nth, how: parts[3], seen: map[string]int{}}, err
}

// readCrashPoint reads the environment once. It panics on a value that a test has
// misspelled.
var readCrashPoint = sync.OnceValue(func() *crashPoint {
	p, err := parseCrashPoint(os.Getenv(crashVariable))
	if err != nil {
		panic(err)
	}
	return p
})

// maybeCrash crashes this process if the environment names this point.
func maybeCrash(ctx context.Context, when string, s Step) { readCrashPoint().pass(ctx, when, s) }

// signalDelay bounds the time that a signal takes to end the context, if it ends
// this one.
const signalDelay = 100 * time.Millisecond

// pass counts a point, and crashes if it is the one to crash at.
func (p *crashPoint) pass(ctx context.Context, when string, s Step) {
	if p == nil {
		return
	}
	p.seen[when]++
	if !p.list && (when != p.when || p.seen[when] != p.nth) {
		return
	}
	fmt.Fprintf(os.Stderr, "%s: %s:%d %s\n", crashVariable, when, p.seen[when], s.What)
	switch {
	case p.list:
	case p.how == "panic":
		panic(crashVariable)
	default:
		_ = unix.Kill(os.Getpid(), unix.SignalNum("SIG"+p.how))
		select {
		case <-ctx.Done():
		case <-time.After(signalDelay):
		}
	}
}
