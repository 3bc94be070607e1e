package load

import (
	"time"

	"snatlab/harness/probe"
)

// pacer spaces slots by CLOCK_MONOTONIC, which all processes of one machine share.
type pacer struct {
	start    int64         // CLOCK_MONOTONIC of slot 0 in ns; 0: now, at the first wait
	interval time.Duration // between slots; 0: no pace
}

// waitForSlot returns when the slot is due, and by how much it was overdue at the call.
// It calls idle while the wait is long enough.
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
	// A sleep ends late, by the timer's slack of 50 µs and by the scheduler, so the last
	// millisecond of the wait is spun.
	for nap := left() - time.Millisecond; nap > 0; nap = left() - time.Millisecond {
		idle(nap)
	}
	for left() > 0 {
	}
	return max(0, late)
}

// clockInterval is the time between slots of the clock at rate "max". It is long enough
// for a slot to end before the next one on a slow machine.
const clockInterval = 200 * time.Microsecond

// clock is the gate of clients that share no memory: slot k is due at
// start + k × interval. A client that is late fires at once, but alone.
type clock struct {
	pace   pacer
	turns  []turn
	idle   func(time.Duration)
	missed int
}

// beginTurn returns where turn t begins.
func (c *clock) beginTurn(t int) (first position, err error) {
	for _, turn := range c.turns[:t] {
		first.slot += turn.slots + turn.control
		first.ofKind[armSlot] += turn.slots
		first.ofKind[controlSlot] += turn.control
	}
	return first, nil
}

// meetPartners waits until the slot is due.
func (c *clock) meetPartners(slot int, _ []int, able bool) (fire bool, err error) {
	if late := c.pace.waitForSlot(slot, c.idle); late >= c.pace.interval && able {
		c.missed++
	}
	return able, nil
}

// exchangeViews returns false: the clients share no memory in which they could see each
// other's losses.
func (c *clock) exchangeViews(int, []int, view, []view) (ok bool, err error) { return false, nil }

func (c *clock) endTurn(int, position) {}
func (c *clock) close() error          { return nil }
