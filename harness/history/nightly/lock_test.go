package nightly

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"snatlab/harness/undo"
)

func TestWaitForLock(t *testing.T) {
	t.Parallel()
	broken := errors.New("read-only file system")
	for _, c := range []struct {
		name    string
		locked  int // so many attempts find the lock taken
		then    error
		end     time.Duration // of the context; 0: never
		want    error
		waited  time.Duration
		reports int
	}{
		{"a free lock", 0, nil, 0, nil, 0, 0},
		{"a lock that is released is reported once", 3, nil, 0, nil, 3 * pollInterval, 1},
		{"another error ends the wait", 1, broken, 0, broken, pollInterval, 1},
		{"the context ends the wait", 100, nil, 54 * time.Second, context.DeadlineExceeded, 54 * time.Second, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.end > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.end)
					defer cancel()
				}
				attempts, reports, begun := 0, 0, time.Now()
				take := func() error {
					if attempts++; attempts <= c.locked {
						return &undo.LockedError{}
					}
					return c.then
				}
				err := WaitForLock(ctx, take, func(error) { reports++ })
				if !errors.Is(err, c.want) || time.Since(begun) != c.waited || reports != c.reports {
					t.Errorf("%v after %s, reported %d times", err, time.Since(begun), reports)
				}
			})
		})
	}
}
