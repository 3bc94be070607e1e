package lockstep

import (
	"time"

	"snatlab/harness/probe"
)

// Pacer spaces slots by CLOCK_MONOTONIC, which all processes of one machine share.
type Pacer struct {
	Start    int64         // CLOCK_MONOTONIC of slot 0 in ns; 0: now, at the first wait
	Interval time.Duration // between slots; 0: no pace
}

// waitForSlot returns when the slot is due, and by how much it was overdue at the call.
// It calls idle while the wait is long enough.
func (p *Pacer) waitForSlot(slot int, idle func(time.Duration)) (late time.Duration) {
	if p.Interval == 0 {
		return 0
	}
	offset := int64(slot) * int64(p.Interval)
	if p.Start == 0 {
		p.Start = probe.MonotonicTime() - offset
	}
	left := func() time.Duration { return time.Duration(p.Start + offset - probe.MonotonicTime()) }
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

// ClockInterval is the time between slots of the clock at rate "max". It is long enough
// for a slot to end before the next one on a slow machine.
const ClockInterval = 200 * time.Microsecond

// Clock is the gate of clients that share no memory: slot k is due at
// start + k × interval. A client that is late fires at once, but alone.
type Clock struct {
	Pace   Pacer
	Turns  []Turn
	Idle   func(time.Duration)
	Missed int
}

// BeginTurn returns where turn t begins.
func (c *Clock) BeginTurn(t int) (first Position, err error) {
	for _, turn := range c.Turns[:t] {
		first.Slot += turn.Slots + turn.Control
		first.OfKind[ArmSlot] += turn.Slots
		first.OfKind[ControlSlot] += turn.Control
	}
	return first, nil
}

// MeetPartners waits until the slot is due.
func (c *Clock) MeetPartners(slot int, _ []int, able bool) (fire bool, err error) {
	if late := c.Pace.waitForSlot(slot, c.Idle); late >= c.Pace.Interval && able {
		c.Missed++
	}
	return able, nil
}

// ExchangeViews returns false: the clients share no memory in which they could see each
// other's losses.
func (c *Clock) ExchangeViews(int, []int, View, []View) (ok bool, err error) { return false, nil }

func (c *Clock) EndTurn(int, Position) {}
func (c *Clock) Close() error          { return nil }
