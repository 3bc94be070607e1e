package nightly

import (
	"context"
	"errors"
	"time"

	"snatlab/harness/undo"
)

// pollInterval is the time between two attempts to take a lock. The kernel does not
// report when a lock is released, unless a process blocks in flock(2), which no
// context can end.
const pollInterval = time.Second

// WaitForLock calls take until it returns another error than an
// [undo.LockedError], or none. It calls report with the first such error. If ctx
// ends before, it returns the cause.
func WaitForLock(ctx context.Context, take func() error, report func(error)) error {
	for isReported := false; ; isReported = true {
		err := take()
		if !errors.As(err, new(*undo.LockedError)) {
			return err
		}
		if !isReported {
			report(err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pollInterval):
		}
	}
}
