package probe

import (
	"time"

	"golang.org/x/sys/unix"
)

// pacer spaces slots by a clock that all processes of one machine share.
type pacer struct {
	start    int64         // CLOCK_MONOTONIC of slot 0 in ns; 0: now, at the first wait
	interval time.Duration // between slots; 0: no pace
}

// wait returns when the slot is due, and by how much it was overdue already.
func (p *pacer) wait(slot int) (late time.Duration) {
	if p.interval == 0 {
		return 0
	}
	offset := int64(slot) * int64(p.interval)
	if p.start == 0 {
		p.start = monotonic() - offset
	}
	left := time.Duration(p.start + offset - monotonic())
	if left <= 0 {
		return -left
	}
	// A sleep wakes up late, by the timer's slack of 50 µs and the scheduler's
	// mood; the last of the wait is spun.
	if nap := left - 200*time.Microsecond; nap > 0 {
		ts := unix.NsecToTimespec(int64(nap))
		_ = unix.Nanosleep(&ts, nil) // a signal wakes it early: the spin goes on
	}
	for monotonic() < p.start+offset {
	}
	return 0
}

// clockInterval is the time between slots that the clock keeps at rate "max":
// long enough for one slot to be over before the next on a slow machine.
const clockInterval = 200 * time.Microsecond

// clock keeps clients in step where they share no memory: slot k is due at
// start + k × interval. Who comes late fires at once, but alone.
type clock struct {
	pace   pacer
	turns  []turn
	missed int
}

func (c *clock) begin(t int, _ func()) (first int, err error) {
	for _, turn := range c.turns[:t] {
		first += turn.slots
	}
	return first, nil
}

func (c *clock) meet(slot int, _ []int, able bool) (fire bool, err error) {
	if late := c.pace.wait(slot); late >= c.pace.interval && able {
		c.missed++
	}
	return able, nil
}

func (c *clock) finish(int, int) {}
func (c *clock) close() error    { return nil }

// monotonic is CLOCK_MONOTONIC in ns, read without a system call: the clock
// that Go's own monotonic readings come from.
func monotonic() int64 { return monotonicAtStart + int64(time.Since(started)) }

var started, monotonicAtStart = func() (time.Time, int64) {
	var ts unix.Timespec
	now := time.Now()
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // the clock id is a constant that every kernel has
	}
	return now, ts.Nano()
}()
