package load

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
)

// gate opens at the moment of a slot for every client that fires in it. While a client
// waits, the gate calls it back to reap completed connections.
type gate interface {
	// beginTurn waits for turn t and returns its first slot.
	beginTurn(t int) (first int, err error)
	// meetPartners waits for the moment of a slot. A client that is not able to fire
	// calls it as well. If fire is false, another slot must make up for this one.
	meetPartners(slot int, members []int, able bool) (fire bool, err error)
	// endTurn begins turn t, whose first slot is first.
	endTurn(t, first int)
	close() error
}

// sendLockstep sends the load in step with other clients: in slot k, each of them
// connects from the k-th of its source ports, to the same server port, at the same
// moment.
func sendLockstep(load probe.ClientLoad, cpus []int, files int) (*probe.Report, error) {
	step := load.Lockstep
	flight, err := newConnections(load.Server, load.Requests, load.Timeout, files)
	if err != nil {
		return nil, err
	}
	defer flight.close()
	l := &lockstep{
		step:   *step,
		turns:  makeSchedule(step.Clients, step.CPUs, load.Requests, min(turnLength, max(1, flight.limit/2))),
		flight: flight,
	}
	if l.gate, err = newGate(load, l.turns, l.reapWhileIdle); err != nil {
		return nil, err
	}
	defer l.gate.close()

	pin, release := ownThread()
	defer release()
	// Nothing is allocated from here on, so no garbage is left uncollected. A collection
	// would stop the client in the middle of a slot.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	begun := time.Now()
	for t := range l.turns {
		if err := l.playTurn(t, pin, cpus); err != nil {
			return nil, err
		}
	}
	if err := flight.awaitAll(); err != nil {
		return nil, err
	}
	seconds := time.Since(begun).Seconds()

	r := flight.makeReport(load.Explain)
	r.Seconds, r.BindErrors, r.Missed, r.MadeUp = seconds, l.bindErrors, l.missed, l.madeUp
	if c, ok := l.gate.(*clock); ok {
		r.Missed, r.MadeUp = r.Missed+c.missed, r.MadeUp+c.missed
	}
	return r, nil
}

// newGate returns a barrier if the clients share memory, else the clock.
func newGate(load probe.ClientLoad, turns []turn, idle func(time.Duration)) (gate, error) {
	step, pace := load.Lockstep, pacer{}
	if load.Rate > 0 {
		pace.interval = time.Second / time.Duration(load.Rate)
	}
	if step.Barrier != "" {
		return openBarrier(step.Barrier, step.Client, step.Epoch, pace, idle)
	}
	pace.start = step.Start
	if pace.interval == 0 {
		pace.interval = clockInterval
	}
	return &clock{pace: pace, turns: turns, idle: idle}, nil
}

// lockstep is one client's part in a trial.
type lockstep struct {
	step   probe.LockstepPart
	turns  []turn
	gate   gate
	flight *connections
	bound  [turnLength]boundSocket // sockets made ahead of time for a turn
	source unix.SockaddrInet4
	made   int // sockets bound so far

	bindErrors, missed, madeUp int
	idled                      error // an error of reapWhileIdle
}

// boundSocket is a socket with its source port.
type boundSocket struct {
	fd   int // -1: the port could not be bound
	port uint16
}

// reapWhileIdle reaps connections while the client waits for others, so that
// completions are timed when they happen.
func (l *lockstep) reapWhileIdle(limit time.Duration) {
	if err := l.flight.reapFor(limit); err != nil {
		l.idled = err
	}
}

// playTurn fires in the slots of turn t, if this client is a member of it.
func (l *lockstep) playTurn(t int, pin func(cpu int) error, cpus []int) error {
	turn := l.turns[t]
	place := slices.Index(turn.members, l.step.Client)
	if place < 0 {
		return nil
	}
	if err := pin(cpus[place]); err != nil {
		return err
	}
	first, err := l.gate.beginTurn(t)
	if err != nil {
		return err
	}
	slots, err := l.fireTurn(turn, first)
	if err != nil {
		return err
	}
	if place == 0 {
		l.gate.endTurn(t+1, first+slots)
	}
	return nil
}

// fireTurn fires in as many slots as the turn has, and makes up for slots in which a
// member could not fire. It returns the number of slots that were used.
func (l *lockstep) fireTurn(turn turn, first int) (slots int, err error) {
	if err := l.flight.awaitRoom(turn.slots); err != nil {
		return 0, err
	}
	for i := range turn.slots {
		if l.bound[i], err = l.bindSocket(first + i); err != nil {
			return 0, err
		}
	}
	for fired := 0; fired < turn.slots; slots++ {
		if slots > 2*turn.slots+turnLength {
			return 0, fmt.Errorf("source ports %d to %d: the clients could not fire in %d of %d slots: ports are in use",
				l.sourcePort(first), l.sourcePort(first+slots-1), slots-fired, slots)
		}
		if slots < turn.slots {
			err = l.fireSlot(turn, first+slots, l.bound[slots], &fired)
		} else {
			err = l.fireMadeUp(turn, first+slots, &fired)
		}
		if err != nil {
			return 0, err
		}
	}
	return slots, nil
}

// fireMadeUp fires in a slot that makes up for a missed one.
func (l *lockstep) fireMadeUp(turn turn, slot int, fired *int) error {
	l.madeUp++
	if err := l.flight.awaitRoom(1); err != nil {
		return err
	}
	b, err := l.bindSocket(slot)
	if err != nil {
		return err
	}
	return l.fireSlot(turn, slot, b, fired)
}

// fireSlot meets the partners and connects. If this client or a partner has no socket
// for the slot, none of them connects.
func (l *lockstep) fireSlot(turn turn, slot int, b boundSocket, fired *int) error {
	able := b.fd >= 0
	fire, err := l.gate.meetPartners(slot, turn.members, able)
	switch {
	case err != nil:
		return err
	case fire:
		if err := l.flight.connectSocket(b.fd, b.port); err != nil {
			return err
		}
		*fired++
	case able:
		l.flight.closeUnused(b.fd)
	default:
		l.missed++
	}
	return errors.Join(l.idled, l.flight.reapCompleted(0))
}

// bindSocket makes the socket of a slot and binds its source port.
func (l *lockstep) bindSocket(slot int) (b boundSocket, err error) {
	b.fd, err = l.flight.openSocket()
	if err != nil {
		return b, err
	}
	l.source.Port = l.sourcePort(slot)
	if l.step.Own {
		l.source.Port = l.sourcePort(l.made)
	}
	l.made++
	b.port = uint16(l.source.Port)
	if err := unix.Bind(b.fd, &l.source); err != nil {
		l.flight.closeUnused(b.fd)
		l.bindErrors++
		b.fd = -1
	}
	return b, nil
}

// sourcePort returns the source port of a slot. After the last port comes the first.
func (l *lockstep) sourcePort(slot int) int {
	return int(l.step.Ports.First) + slot%l.step.Ports.Len()
}
