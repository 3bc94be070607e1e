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

// dieAt names the environment variable that has this process die, for tests:
// see the package comment.
const dieAt = "SNATLAB_TEST_DIE_AT"

// The points around a change, and around its undoing.
const (
	before     = "before"
	after      = "after"
	undoBefore = "undo-before"
	undoAfter  = "undo-after"
)

// death is where this process is to die, and how; nil: nowhere.
type death struct {
	list bool // tell of the points only
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
		return nil, fmt.Errorf("%s is %q, which is neither list nor WHEN:N:HOW (it is for tests: unset it)", dieAt, text)
	}
	nth, err := strconv.Atoi(parts[2])
	return &death{when: parts[1], nth: nth, how: parts[3], seen: map[string]int{}}, err
}

// planned is read from the environment once.
var planned = sync.OnceValues(func() (*death, error) { return parseDeath(os.Getenv(dieAt)) })

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
