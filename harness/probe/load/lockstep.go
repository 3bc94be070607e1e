package load

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
	"snatlab/harness/scenario"
)

// gate opens at the moment of a slot for every client that fires in it. While a client
// waits, the gate calls it back to reap completed connections.
type gate interface {
	// beginTurn waits for turn t and returns where it begins.
	beginTurn(t int) (first position, err error)
	// meetPartners waits for the moment of a slot. A client that is not able to fire
	// calls it as well. If fire is false, another slot must make up for this one.
	meetPartners(slot int, members []int, able bool) (fire bool, err error)
	// exchangeViews shows the other members of turn t what this client saw of it, and
	// fills in what they saw. ok is false if that is not known.
	exchangeViews(t int, members []int, mine view, views []view) (ok bool, err error)
	// endTurn begins turn t at a position.
	endTurn(t int, first position)
	close() error
}

// sendLockstep sends the load in step with other clients: in the k-th slot of a kind,
// each of them sends from the k-th of its source ports for that kind, to the same server
// port, at the same moment.
func sendLockstep(ctx context.Context, load probe.ClientLoad, cpus []int, files int, announce announcer) (*probe.Report, error) {
	step := load.Lockstep
	flight, err := newConnections(load, files)
	if err != nil {
		return nil, err
	}
	defer flight.close()
	flight.timesSending = !flight.transport.AnswersAtOnce()
	l := newPart(*step, load.Requests, flight)
	if l.gate, err = newGate(load, l.turns, l.reapWhileIdle); err != nil {
		return nil, err
	}
	defer l.gate.close()
	if _, ok := l.gate.(*clock); ok && l.lock != nil {
		l.lock.hold()
	}

	pin, release := ownThread()
	defer release()
	// Nothing is allocated from here on, so no garbage is left uncollected. A collection
	// would stop the client in the middle of a slot.
	collect := debug.SetGCPercent(-1)
	defer debug.SetGCPercent(collect)
	begun := time.Now()
	for t := range l.turns {
		if err := l.playTurn(t, pin, cpus); err != nil {
			return nil, err
		}
	}
	if err := flight.awaitAll(ctx, announce); err != nil {
		return nil, err
	}
	seconds := time.Since(begun).Seconds()

	debug.SetGCPercent(collect) // the report is larger than all else
	r := &probe.Report{Outcome: flight.sumUp(armSlot, load.Explain), Datagrams: flight.transport.Datagrams(), Seconds: seconds, PeakRSS: probe.PeakRSS(),
		BindErrors: l.bindErrors, Missed: l.missed, MadeUp: l.madeUp}
	if c, ok := l.gate.(*clock); ok {
		r.Missed, r.MadeUp = r.Missed+c.missed, r.MadeUp+c.missed
	}
	if step.Control != nil {
		control := flight.sumUp(controlSlot, load.Explain)
		r.Control, r.Phase = &control, &l.lock.phase
	}
	return r, nil
}

// newPart returns a client's part in a trial of so many requests to the arm. With a
// control, flight gets room for its requests.
func newPart(step probe.LockstepPart, requests int, flight *connections) *lockstep {
	l := &lockstep{step: step, flight: flight}
	length := min(turnLength, max(1, flight.limit/2))
	if c := step.Control; c != nil {
		l.every = c.Every
		length = min(turnLength, max(1, flight.limit/4))
		l.lock = newPhaseLock(step.Client, step.CPUs, c.Delays)
	}
	l.turns = makeSchedule(step.Clients, step.CPUs, requests, length, l.every)
	if c := step.Control; c != nil {
		mine := 0
		for _, t := range l.turns {
			if slices.Contains(t.members, step.Client) {
				mine += t.control
			}
		}
		flight.addControl(c.Server, mine)
	}
	return l
}

// newGate returns a barrier if the clients share memory, else the clock.
func newGate(load probe.ClientLoad, turns []turn, idle func(time.Duration)) (gate, error) {
	step, pace := load.Lockstep, pacer{}
	if load.Rate > 0 {
		pace.interval = time.Second / time.Duration(load.Rate)
	}
	if step.Barrier != "" {
		return openBarrier(step.Barrier, step.Client, step.Epoch, pace, turns, idle)
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
	every  int // slots of the arm for each of the control; 0: no control
	lock   *phaseLock
	gate   gate
	flight *connections
	bound  [2 * turnLength]boundSocket // sockets made ahead of time for a turn
	source unix.SockaddrInet4
	made   int // sockets bound for the arm so far

	// Of the turn that is being played:
	aim       aim
	delay     int64                 // of the next slot, in ns
	seed      uint64                // of the delays
	kinds     uint64                // seed of the slots' kinds
	durations [2 * turnLength]int64 // of sending a request, in ns
	measured  int
	views     [scenario.MaxClients]view
	control   [turnLength]int32 // by slot of the control: index of its connection; -1: not fired

	answers answers // of a server's program

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
	if l.lock != nil {
		l.drawTurn(t)
		l.aim = l.lock.aimAt(place, len(turn.members), l.seed)
	}
	next, err := l.fireTurn(turn, first)
	if err != nil {
		return err
	}
	switch {
	case l.lock != nil:
		err = l.movePhase(t, place, turn)
	case !l.flight.transport.AnswersAtOnce(): // the server's queue holds a turn, and not a trial
		err = l.answers.await(l.flight)
	}
	if err != nil {
		return err
	}
	if place == 0 {
		l.gate.endTurn(t+1, next)
	}
	return nil
}

// drawTurn sets what is drawn for turn t, by each client alike.
func (l *lockstep) drawTurn(t int) {
	l.seed = l.step.Epoch<<32 | uint64(t)
	l.kinds = drawNumber(l.step.Control.Seed, kindDraw, l.seed)
}

// movePhase shows the others which slots of the control this client lost, and moves its
// delay.
func (l *lockstep) movePhase(t, place int, turn turn) error {
	l.lock.setUnit(l.durations[:l.measured])
	if err := l.settle(); err != nil {
		return err
	}
	mine := view{low: l.aim.low, span: l.aim.span}
	for i, index := range l.control[:turn.control] {
		if index < 0 {
			continue
		}
		mine.fired |= 1 << i
		if c := &l.flight.conns[index]; c.fd >= 0 || c.silent {
			mine.lost |= 1 << i
		}
	}
	views := l.views[:len(turn.members)]
	ok, err := l.gate.exchangeViews(t, turn.members, mine, views)
	if err == nil && ok {
		l.lock.learn(place, l.seed, turn.members, views)
	}
	return err
}

// settle waits a moment for the answers to the last requests of a turn. Where the
// server's kernel answers, they mostly come before connect() returns; what has no answer
// after a few times as long is lost, until the end of the trial shows otherwise.
func (l *lockstep) settle() error {
	if !l.flight.transport.AnswersAtOnce() {
		l.answers.unit = time.Duration(l.lock.unit)
		return l.answers.await(l.flight)
	}
	for begun := probe.MonotonicTime(); probe.MonotonicTime()-begun < int64(4*l.lock.unit); {
		if err := l.flight.reapCompleted(0); err != nil {
			return err
		}
	}
	return nil
}

// fireTurn fires in as many slots of each kind as the turn has, and makes up for slots
// in which a member could not fire. It returns where the next turn begins.
func (l *lockstep) fireTurn(turn turn, first position) (next position, err error) {
	planned := turn.slots + turn.control
	if err := l.flight.awaitRoom(planned); err != nil {
		return first, err
	}
	next, l.measured = first, 0
	for i := range planned {
		if l.bound[i], err = l.bindNext(turn.kindOf(i, l.every, l.kinds), &next); err != nil {
			return first, err
		}
	}
	left := [slotKinds]int{turn.slots, turn.control}
	for i := 0; left[armSlot]+left[controlSlot] > 0; i++ {
		if err := l.answers.keepUp(l.flight); err != nil {
			return first, err
		}
		if i > 2*planned+turnLength {
			return first, fmt.Errorf("source ports %d to %d: the clients could not fire in %d of %d slots: ports are in use",
				l.bound[0].port, l.bound[planned-1].port, left[armSlot]+left[controlSlot], planned)
		}
		if i < planned {
			kind := turn.kindOf(i, l.every, l.kinds)
			err = l.firePlanned(turn, first.slot+i, kind, i, &left[kind])
		} else {
			err = l.fireMadeUp(turn, first.slot+i, &next, &left)
		}
		if err != nil {
			return first, err
		}
		next.slot = first.slot + i + 1
	}
	return next, nil
}

// firePlanned fires in the i-th slot of a turn, and notes the connection of a slot of the
// control.
func (l *lockstep) firePlanned(turn turn, slot int, kind slotKind, i int, left *int) error {
	if l.lock == nil {
		return l.fireSlot(turn, slot, kind, l.bound[i], left)
	}
	// The slots of a block have one delay: see turn.kindOf.
	group := min(i/(l.every+1), turnLength-1)
	l.delay = l.aim.delayOf(l.seed, l.step.Client, group)
	launched := l.flight.launched
	err := l.fireSlot(turn, slot, kind, l.bound[i], left)
	if kind == controlSlot {
		l.control[group] = -1
		if l.flight.launched > launched {
			l.control[group] = int32(launched)
		}
	}
	return err
}

// fireMadeUp fires in a slot that makes up for a missed one.
func (l *lockstep) fireMadeUp(turn turn, slot int, next *position, left *[slotKinds]int) error {
	l.madeUp++
	kind := armSlot
	if left[armSlot] == 0 {
		kind = controlSlot
	}
	if err := l.flight.awaitRoom(1); err != nil {
		return err
	}
	b, err := l.bindNext(kind, next)
	if err != nil {
		return err
	}
	return l.fireSlot(turn, slot, kind, b, &left[kind])
}

// fireSlot meets the partners and sends a request. If this client or a partner has no
// socket for the slot, none of them sends.
func (l *lockstep) fireSlot(turn turn, slot int, kind slotKind, b boundSocket, left *int) error {
	able := b.fd >= 0
	fire, err := l.gate.meetPartners(slot, turn.members, able)
	switch {
	case err != nil:
		return err
	case fire:
		if err := l.sendDelayed(b, kind); err != nil {
			return err
		}
		*left--
	case able:
		l.flight.closeUnused(b.fd)
	default:
		l.missed++
	}
	return errors.Join(l.idled, l.flight.reapCompleted(0))
}

// sendDelayed sends a request after the client's delay, and measures how long that takes.
func (l *lockstep) sendDelayed(b boundSocket, kind slotKind) error {
	if l.lock == nil {
		return l.flight.sendRequest(b.fd, b.port, kind)
	}
	opened := probe.MonotonicTime()
	for probe.MonotonicTime()-opened < l.delay {
	}
	err := l.flight.sendRequest(b.fd, b.port, kind)
	if l.measured < len(l.durations) {
		c := &l.flight.conns[l.flight.launched-1]
		l.durations[l.measured] = c.took
		l.measured++
	}
	return err
}

// bindNext makes the socket of the next slot of a kind, and binds its source port.
func (l *lockstep) bindNext(kind slotKind, next *position) (b boundSocket, err error) {
	b.fd, err = l.flight.openSocket()
	if err != nil {
		return b, err
	}
	ports, k := l.step.Ports, next.ofKind[kind]
	switch {
	case kind == controlSlot:
		ports = l.step.Control.Ports
	case l.step.Own:
		k = l.made
	}
	next.ofKind[kind]++
	if kind == armSlot {
		l.made++
	}
	b.port = portAt(ports, k)
	l.source.Port = int(b.port)
	if err := unix.Bind(b.fd, &l.source); err != nil {
		l.flight.closeUnused(b.fd)
		l.bindErrors++
		b.fd = -1
		return b, nil
	}
	if errno := l.flight.prepareSocket(b.fd, kind); errno != 0 {
		l.flight.closeUnused(b.fd)
		return b, fmt.Errorf("source port %d: connect: %w", b.port, errno)
	}
	return b, nil
}

// portAt returns the k-th port of a range. After the last port comes the first.
func portAt(ports scenario.PortRange, k int) uint16 {
	return uint16(int(ports.First) + k%ports.Len())
}
