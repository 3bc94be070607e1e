package load

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"snatlab/harness/probe"
	"snatlab/harness/probe/load/lockstep"
	"snatlab/harness/probe/load/transport"
	"snatlab/harness/scenario"
)

// gate opens at the moment of a slot for every client that fires in it. While a client
// waits, the gate calls it back to reap completed connections.
type gate interface {
	// BeginTurn waits for turn t and returns where it begins.
	BeginTurn(t int) (first lockstep.Position, err error)
	// MeetPartners waits for the moment of a slot. A client that is not able to fire
	// calls it as well. If fire is false, another slot must make up for this one.
	MeetPartners(slot int, members []int, able bool) (fire bool, err error)
	// ExchangeViews shows the other members of turn t what this client saw of it, and
	// fills in what they saw. ok is false if that is not known.
	ExchangeViews(t int, members []int, mine lockstep.View, views []lockstep.View) (ok bool, err error)
	// EndTurn begins turn t at a position.
	EndTurn(t int, first lockstep.Position)
	Close() error
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
	flight.timesSending = !flight.answersAtOnce()
	l := newPart(*step, load.Requests, flight)
	if l.gate, err = newGate(load, l.turns, l.reapWhileIdle); err != nil {
		return nil, err
	}
	defer l.gate.Close()
	if _, ok := l.gate.(*lockstep.Clock); ok && l.lock != nil {
		l.lock.Hold()
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
	r := &probe.Report{Outcome: flight.sumUp(lockstep.ArmSlot, load.Explain), Datagrams: flight.datagrams(), Seconds: seconds, PeakRSS: probe.PeakRSS(),
		BindErrors: l.bindErrors, Missed: l.missed, MadeUp: l.madeUp}
	if c, ok := l.gate.(*lockstep.Clock); ok {
		r.Missed, r.MadeUp = r.Missed+c.Missed, r.MadeUp+c.Missed
	}
	if step.Control != nil {
		control := flight.sumUp(lockstep.ControlSlot, load.Explain)
		r.Control, r.Phase = &control, &l.lock.Phase
	}
	return r, nil
}

// newPart returns a client's part in a trial of so many requests to the arm. With a
// control, flight gets room for its requests.
func newPart(step probe.LockstepPart, requests int, flight *connections) *part {
	l := &part{step: step, flight: flight, source: flight.targets[lockstep.ArmSlot].peer.Any()}
	length := min(lockstep.TurnLength, max(1, flight.limit/2))
	if c := step.Control; c != nil {
		l.every = c.Every
		length = min(lockstep.TurnLength, max(1, flight.limit/4))
		l.lock = lockstep.NewPhaseLock(step.Client, step.CPUs, c.Delays)
	}
	l.turns = lockstep.MakeSchedule(step.Clients, step.CPUs, requests, length, l.every)
	if c := step.Control; c != nil {
		mine := 0
		for _, t := range l.turns {
			if slices.Contains(t.Members, step.Client) {
				mine += t.Control
			}
		}
		flight.addControl(mine)
	}
	return l
}

// newGate returns a barrier if the clients share memory, else the clock.
func newGate(load probe.ClientLoad, turns []lockstep.Turn, idle func(time.Duration)) (gate, error) {
	step, pace := load.Lockstep, lockstep.Pacer{}
	if load.Rate > 0 {
		pace.Interval = time.Second / time.Duration(load.Rate)
	}
	if step.Barrier != "" {
		return lockstep.OpenBarrier(step.Barrier, step.Client, step.Epoch, pace, turns, idle)
	}
	pace.Start = step.Start
	if pace.Interval == 0 {
		pace.Interval = lockstep.ClockInterval
	}
	return &lockstep.Clock{Pace: pace, Turns: turns, Idle: idle}, nil
}

// part is one client's part in a trial.
type part struct {
	step   probe.LockstepPart
	turns  []lockstep.Turn
	every  int // slots of the arm for each of the control; 0: no control
	lock   *lockstep.PhaseLock
	gate   gate
	flight *connections
	bound  [2 * lockstep.TurnLength]boundSocket // sockets made ahead of time for a turn
	source transport.Address                    // of a socket that is being bound
	made   int                                  // sockets bound for the arm so far

	// Of the turn that is being played:
	aim       lockstep.Aim
	delay     int64                          // of the next slot, in ns
	seed      uint64                         // of the delays
	kinds     uint64                         // seed of the slots' kinds
	durations [2 * lockstep.TurnLength]int64 // of sending a request, in ns
	measured  int
	views     [scenario.MaxClients]lockstep.View
	control   [lockstep.TurnLength]int32 // by slot of the control: index of its connection; -1: not fired

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
func (l *part) reapWhileIdle(limit time.Duration) {
	if err := l.flight.reapFor(limit); err != nil {
		l.idled = err
	}
}

// playTurn fires in the slots of turn t, if this client is a member of it.
func (l *part) playTurn(t int, pin func(cpu int) error, cpus []int) error {
	turn := l.turns[t]
	place := slices.Index(turn.Members, l.step.Client)
	if place < 0 {
		return nil
	}
	if err := pin(cpus[place]); err != nil {
		return err
	}
	if second := l.flight.second; second != nil {
		second.MoveTo(cpus[l.step.CPUs+place])
	}
	first, err := l.gate.BeginTurn(t)
	if err != nil {
		return err
	}
	if l.lock != nil {
		l.drawTurn(t)
		l.aim = l.lock.AimAt(place, len(turn.Members), l.seed)
	}
	next, err := l.fireTurn(turn, first)
	if err != nil {
		return err
	}
	switch {
	case l.lock != nil:
		err = l.movePhase(t, place, turn)
	case !l.flight.answersAtOnce(): // the server's queue holds a turn, and not a trial
		err = l.answers.await(l.flight)
	}
	if err != nil {
		return err
	}
	if place == 0 {
		l.gate.EndTurn(t+1, next)
	}
	return nil
}

// drawTurn sets what is drawn for turn t, by each client alike.
func (l *part) drawTurn(t int) {
	l.seed = l.step.Epoch<<32 | uint64(t)
	l.kinds = lockstep.DrawNumber(l.step.Control.Seed, lockstep.KindDraw, l.seed)
}

// movePhase shows the others which slots of the control this client lost, and moves its
// delay.
func (l *part) movePhase(t, place int, turn lockstep.Turn) error {
	l.lock.SetUnit(l.durations[:l.measured])
	if err := l.settle(); err != nil {
		return err
	}
	mine := lockstep.View{Low: l.aim.Low, Span: l.aim.Span}
	for i, index := range l.control[:turn.Control] {
		if index < 0 {
			continue
		}
		mine.Fired |= 1 << i
		if c := &l.flight.conns[index]; c.fd >= 0 || c.silent {
			mine.Lost |= 1 << i
		}
	}
	views := l.views[:len(turn.Members)]
	ok, err := l.gate.ExchangeViews(t, turn.Members, mine, views)
	if err == nil && ok {
		l.lock.Learn(place, l.seed, turn.Members, views)
	}
	return err
}

// settle waits a moment for the answers to the last requests of a turn. Where the
// server's kernel answers, they mostly come before connect() returns; what has no answer
// after a few times as long is lost, until the end of the trial shows otherwise.
func (l *part) settle() error {
	if !l.flight.answersAtOnce() {
		l.answers.unit = time.Duration(l.lock.Unit)
		return l.answers.await(l.flight)
	}
	for begun := probe.MonotonicTime(); probe.MonotonicTime()-begun < int64(4*l.lock.Unit); {
		if err := l.flight.reapCompleted(0); err != nil {
			return err
		}
	}
	return nil
}

// fireTurn fires in as many slots of each kind as the turn has, and makes up for slots
// in which a member could not fire. It returns where the next turn begins.
func (l *part) fireTurn(turn lockstep.Turn, first lockstep.Position) (next lockstep.Position, err error) {
	planned := turn.Slots + turn.Control
	if err := l.flight.awaitRoom(planned); err != nil {
		return first, err
	}
	next, l.measured = first, 0
	for i := range planned {
		if l.bound[i], err = l.bindNext(turn.KindOf(i, l.every, l.kinds), &next); err != nil {
			return first, err
		}
	}
	left := [lockstep.SlotKinds]int{turn.Slots, turn.Control}
	for i := 0; left[lockstep.ArmSlot]+left[lockstep.ControlSlot] > 0; i++ {
		if err := l.answers.keepUp(l.flight); err != nil {
			return first, err
		}
		if i > 2*planned+lockstep.TurnLength {
			return first, fmt.Errorf("source ports %d to %d: the clients could not fire in %d of %d slots: ports are in use",
				l.bound[0].port, l.bound[planned-1].port, left[lockstep.ArmSlot]+left[lockstep.ControlSlot], planned)
		}
		if i < planned {
			kind := turn.KindOf(i, l.every, l.kinds)
			err = l.firePlanned(turn, first.Slot+i, kind, i, &left[kind])
		} else {
			err = l.fireMadeUp(turn, first.Slot+i, &next, &left)
		}
		if err != nil {
			return first, err
		}
		next.Slot = first.Slot + i + 1
	}
	return next, nil
}

// firePlanned fires in the i-th slot of a turn, and notes the connection of a slot of the
// control.
func (l *part) firePlanned(turn lockstep.Turn, slot int, kind lockstep.SlotKind, i int, left *int) error {
	if l.lock == nil {
		return l.fireSlot(turn, slot, kind, l.bound[i], left)
	}
	// The slots of a block have one delay: see lockstep.Turn.KindOf.
	group := min(i/(l.every+1), lockstep.TurnLength-1)
	l.delay = l.aim.DelayOf(l.seed, l.step.Client, group)
	launched := l.flight.launched
	err := l.fireSlot(turn, slot, kind, l.bound[i], left)
	if kind == lockstep.ControlSlot {
		l.control[group] = -1
		if l.flight.launched > launched {
			l.control[group] = int32(launched)
		}
	}
	return err
}

// fireMadeUp fires in a slot that makes up for a missed one.
func (l *part) fireMadeUp(turn lockstep.Turn, slot int, next *lockstep.Position, left *[lockstep.SlotKinds]int) error {
	l.madeUp++
	kind := lockstep.ArmSlot
	if left[lockstep.ArmSlot] == 0 {
		kind = lockstep.ControlSlot
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
func (l *part) fireSlot(turn lockstep.Turn, slot int, kind lockstep.SlotKind, b boundSocket, left *int) error {
	able := b.fd >= 0
	fire, err := l.gate.MeetPartners(slot, turn.Members, able)
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
func (l *part) sendDelayed(b boundSocket, kind lockstep.SlotKind) error {
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
func (l *part) bindNext(kind lockstep.SlotKind, next *lockstep.Position) (b boundSocket, err error) {
	b.fd, err = l.flight.openSocket(kind)
	if err != nil {
		return b, err
	}
	ports, k := l.step.Ports, next.OfKind[kind]
	switch {
	case kind == lockstep.ControlSlot:
		ports = l.step.Control.Ports
	case l.step.Own:
		k = l.made
	}
	next.OfKind[kind]++
	if kind == lockstep.ArmSlot {
		l.made++
	}
	b.port = portAt(ports, k)
	l.source.SetPort(b.port)
	if errno := l.source.Bind(b.fd); errno != 0 {
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
