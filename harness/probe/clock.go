package probe

import (
	"time"

	"golang.org/x/sys/unix"
)

// MonotonicTime is CLOCK_MONOTONIC in ns, read without a system call: the clock
// that Go's own monotonic readings come from.
// [Lockstep.Start] counts by it.
func MonotonicTime() int64 { return clockReading + int64(time.Since(clockReadAt)) }

var clockReadAt, clockReading = func() (at time.Time, ns int64) {
	// The reading that took the least time was not interrupted.
	best := time.Hour
	for range 5 {
		var ts unix.Timespec
		before := time.Now()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			panic(err) // the clock id is a constant that every kernel has
		}
		if took := time.Since(before); took < best {
			best, at, ns = took, before, ts.Nano()
		}
	}
	return at, ns
}()
