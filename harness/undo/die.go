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

// dieAt names the environment variable that makes this process die around a
// change, as in "after:3:KILL". The parts are the point, the number of the
// change or the undoing that it is about, and the signal that the process sends
// to itself (KILL, INT, TERM, HUP), or panic. Journals in memory count: a test
// has to see as well that nothing of them is left to undo. "list" prints each
// point on standard error, and does nothing else.
const dieAt = "SNATLAB_TEST_DIE_AT"

// death is the point where this process dies, and the way. Nil means nowhere.
type death struct {
	list bool // print the points only
	when string
	nth  int
	how  string
	seen map[string]int // points passed
}

var deathForm = regexp.MustCompile(`^(before|after|undo-before|undo-after):([1-9]\d{0,8}):(KILL|INT|TERM|HUP|panic)$`)

func parseDeath(text string) (*death, error) {
	switch text {
	case "":
		return nil, nil
	case "list":
		return &death{list: true, seen: map[string]int{}}, nil
	}
	parts := deathForm.FindStringSubmatch(text)
	if parts == nil {
		return nil, fmt.Errorf("%s is %q, which is neither list nor WHEN:N:HOW", dieAt, text)
	}
	nth, err := strconv.Atoi(parts[2])
	return &death{when: parts[1], nth: nth, how: parts[3], seen: map[string]int{}}, err
}

// readDeath reads the environment once. It panics on a value that a test has
// misspelt.
var readDeath = sync.OnceValue(func() *death {
	d, err := parseDeath(os.Getenv(dieAt))
	if err != nil {
		panic(err)
	}
	return d
})

// passPoint dies if the environment says so of this point.
func passPoint(ctx context.Context, when string, s Step) { readDeath().pass(ctx, when, s) }

// heeding is how long a signal may take to end the context, if it ends this one.
const heeding = 100 * time.Millisecond

// pass dies if this is the point to do so.
func (d *death) pass(ctx context.Context, when string, s Step) {
	if d == nil {
		return
	}
	d.seen[when]++
	if !d.list && (when != d.when || d.seen[when] != d.nth) {
		return
	}
	fmt.Fprintf(os.Stderr, "%s: %s:%d %s\n", dieAt, when, d.seen[when], s.What)
	switch {
	case d.list:
	case d.how == "panic":
		panic(dieAt)
	default:
		_ = unix.Kill(os.Getpid(), unix.SignalNum("SIG"+d.how))
		select {
		case <-ctx.Done():
		case <-time.After(heeding):
		}
	}
}
