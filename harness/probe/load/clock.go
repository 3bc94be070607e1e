package load

import (
	"time"

	"snatlab/harness/probe"
)

// pacer spaces slots by a clock that all processes of one machine share.
type pacer struct {
	start    int64         // CLOCK_MONOTONIC of slot 0 in ns; 0: now, at the first wait
	interval time.Duration // between slots; 0: no pace
}

// waitForSlot returns when the slot is due, and says by how much it was overdue
// already. It spends the time in idle, if there is enough of it.
func (p *pacer) waitForSlot(slot int, idle func(time.Duration)) (late time.Duration) {
	if p.interval == 0 {
		return 0
	}
	offset := int64(slot) * int64(p.interval)
	if p.start == 0 {
		p.start = probe.MonotonicTime() - offset
	}
	left := func() time.Duration { return time.Duration(p.start + offset - probe.MonotonicTime()) }
	late = -left()
	// A sleep wakes up late, by the timer's slack of 50 µs and the scheduler's
	// mood: the last millisecond of the wait is spun.
	for nap := left() - time.Millisecond; nap > 0; nap = left() - time.Millisecond {
		idle(nap)
	}
	for left() > 0 {
	}
	return max(0, late)
}

// clockInterval is the time between slots that the clock keeps at rate "max":
// long enough for one slot to be over before the next on a slow machine.
const clockInterval = 200 * time.Microsecond

// clock keeps clients in step where they share no memory: slot k is due at
// start + k × interval. Who comes late fires at once, but alone.
type clock struct {
	pace   pacer
	turns  []turn
	idle   func(time.Duration)
	missed int
}

func (c *clock) beginTurn(t int) (first int, err error) {
	for _, turn := range c.turns[:t] {
		first += turn.slots
	}
	return first, nil
}

func (c *clock) meetPartners(slot int, _ []int, able bool) (fire bool, err error) {
	if late := c.pace.waitForSlot(slot, c.idle); late >= c.pace.interval && able {
		c.missed++
	}
	return able, nil
}

func (c *clock) endTurn(int, int) {}
func (c *clock) close() error     { return nil }
