package probe

import (
	"time"

	"golang.org/x/sys/unix"
)

// MonotonicTime returns CLOCK_MONOTONIC in ns, the clock of [LockstepPart.Start]. It
// makes no system call: Go's monotonic readings come from the same clock.
func MonotonicTime() int64 { return clockReading + int64(time.Since(clockReadAt)) }

// clockReading is CLOCK_MONOTONIC in ns at the time clockReadAt.
var clockReadAt, clockReading = func() (at time.Time, ns int64) {
	// The fastest of five readings was not interrupted.
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
