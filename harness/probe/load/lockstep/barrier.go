package lockstep

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
	"snatlab/harness/scenario"
)

// Barrier is the gate of clients on one machine, in a file that all of them map. Each
// client writes only to its own cache lines, and spins on those of its partners.
//
// The numbers of slots and turns hold the trial's epoch in their upper half. They only
// grow, so nothing has to be reset between trials: the numbers of an earlier trial are
// always smaller.
type Barrier struct {
	shared *sharedMemory
	memory []byte
	me     int
	epoch  uint64
	pace   Pacer
	turns  []Turn
	idle   func(time.Duration) // reaps completed connections, for at most that long
}

// sharedMemory is the content of the file.
type sharedMemory struct {
	turn   atomic.Uint64            // epoch and index of the turn that may begin
	first  atomic.Uint64            // its first slot
	ofKind [SlotKinds]atomic.Uint64 // and of each kind
	_      [128 - 16 - 8*SlotKinds]byte
	lines  [scenario.MaxClients]line
}

// line is the part of one client. Each half fills two cache lines of 64 bytes, because
// CPUs prefetch them in pairs.
type line struct {
	arrived atomic.Uint64    // the slot that the client has arrived at
	ready   atomic.Uint64    // the slot that it is about to fire in
	misses  [2]atomic.Uint32 // by the slot's parity: the client cannot fire in it
	_       [128 - 24]byte

	here   atomic.Uint64 // the epoch of the trial that the client is in
	played atomic.Uint64 // epoch and index, plus one, of the turn that the view is of
	low    atomic.Int64  // the client's view
	span   atomic.Int64
	fired  atomic.Uint64
	lost   atomic.Uint64
	bell   atomic.Uint32 // futex: rung when the client may go on
	_      [128 - 52]byte
}

// InheritedFiles is the folder of the files that a probe was started with. Its entries
// are always links.
const InheritedFiles = "/proc/self/fd/"

// OpenBarrier maps the file at path. It makes the file if there is none.
func OpenBarrier(path string, me int, epoch uint64, pace Pacer, turns []Turn, idle func(time.Duration)) (*Barrier, error) {
	flags := os.O_RDWR
	if !strings.HasPrefix(path, InheritedFiles) {
		flags |= os.O_CREATE | unix.O_NOFOLLOW
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open barrier: %w", err)
	}
	defer file.Close()
	const size = int(unsafe.Sizeof(sharedMemory{}))
	if err := setSize(file, int64(size)); err != nil {
		return nil, fmt.Errorf("size barrier: %w", err)
	}
	memory, err := unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("map barrier %s: %w", path, err)
	}
	shared := (*sharedMemory)(unsafe.Pointer(unsafe.SliceData(memory)))
	return &Barrier{shared: shared, memory: memory, me: me, epoch: epoch, pace: pace, turns: turns, idle: idle}, nil
}

// setSize sets the size of a new file. It refuses any other file, which must not be
// truncated.
func setSize(file *os.File, size int64) error {
	info, err := file.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular() || info.Size() != 0 && info.Size() != size:
		return fmt.Errorf("%s is not a barrier: %v of size %d", file.Name(), info.Mode(), info.Size())
	}
	return file.Truncate(size)
}

func (b *Barrier) Close() error { return unix.Munmap(b.memory) }

// BeginTurn waits for turn t and returns where it begins.
func (b *Barrier) BeginTurn(t int) (first Position, err error) {
	if t == 0 {
		return first, b.meetInTrial(b.turns[0].Members)
	}
	want := b.epoch<<32 | uint64(t)
	err = b.sleepUntil(func() (reached bool, progress uint64) {
		now := b.shared.turn.Load()
		return now >= want, now
	})
	if err != nil {
		return first, fmt.Errorf("turn %d: a client of turn %d has gone or hangs: %w", t, int(uint32(b.shared.turn.Load())), err)
	}
	first.Slot = int(b.shared.first.Load())
	for k := range first.OfKind {
		first.OfKind[k] = int(b.shared.ofKind[k].Load())
	}
	return first, nil
}

// meetInTrial waits until all members of the first turn have got their orders. On a busy
// machine one may get them long after the others, which must not spin meanwhile: it may
// need their CPU.
func (b *Barrier) meetInTrial(members []int) error {
	b.shared.lines[b.me].here.Store(b.epoch)
	for _, m := range members {
		b.ring(m)
	}
	for _, m := range members {
		partner := &b.shared.lines[m].here
		if err := b.sleepUntil(func() (bool, uint64) { return partner.Load() >= b.epoch, 0 }); err != nil {
			return fmt.Errorf("client %d did not come: %w", m, err)
		}
	}
	return nil
}

// sleepUntil sleeps until reached, and wakes up when this client's bell is rung. It
// gives up if there is no progress for as long as patience allows.
func (b *Barrier) sleepUntil(check func() (reached bool, progress uint64)) error {
	var p patience
	limit := probe.OrdersPatience + TurnLength*b.pace.Interval
	seen := ^uint64(0)
	for begun := probe.MonotonicTime(); ; {
		bell := b.shared.lines[b.me].bell.Load()
		reached, progress := check()
		if reached {
			return nil
		}
		if progress != seen {
			seen, p = progress, patience{}
		}
		nap := napAfter(time.Duration(probe.MonotonicTime() - begun))
		if p.exceeds(limit, 2*nap) {
			return fmt.Errorf("waited %v", limit)
		}
		b.idle(0)
		futexWait(&b.shared.lines[b.me].bell, bell, nap)
	}
}

// napAfter returns how long a client sleeps that has waited for so long while others fire.
// It is woken when it may go on; only late answers to its own requests may come meanwhile,
// and the latency of one is found to 20 ms or to a half. A nap is not cheap: 62 clients
// that wake up every 5 ms keep two CPUs busy, which those that fire need.
func napAfter(waited time.Duration) time.Duration {
	const shortest, longest = 20 * time.Millisecond, 100 * time.Millisecond
	return min(max(waited/2, shortest), longest)
}

// EndTurn begins turn t at a position. One member of the turn before calls it.
func (b *Barrier) EndTurn(t int, first Position) {
	b.shared.first.Store(uint64(first.Slot))
	for k := range first.OfKind {
		b.shared.ofKind[k].Store(uint64(first.OfKind[k]))
	}
	b.shared.turn.Store(b.epoch<<32 | uint64(t))
	if t < len(b.turns) {
		for _, m := range b.turns[t].Members {
			b.ring(m)
		}
	}
}

// ring wakes a client that sleeps.
func (b *Barrier) ring(client int) {
	bell := &b.shared.lines[client].bell
	bell.Add(1)
	futexWake(bell)
}

// ExchangeViews shows this client's view of turn t to the other members, and fills in
// theirs, in the order of the members. ok is false if a view is that of another turn
// already, since this client was off its CPU for so long.
func (b *Barrier) ExchangeViews(t int, members []int, mine View, views []View) (ok bool, err error) {
	number := b.epoch<<32 | uint64(t+1)
	own := &b.shared.lines[b.me]
	own.low.Store(mine.Low)
	own.span.Store(mine.Span)
	own.fired.Store(mine.Fired)
	own.lost.Store(mine.Lost)
	own.played.Store(number)
	ok = true
	for i, m := range members {
		partner := &b.shared.lines[m]
		if err := spinUntil(&partner.played, number, b.idle); err != nil {
			return false, fmt.Errorf("turn %d: client %d did not end it: %w", t, m, err)
		}
		views[i] = View{partner.low.Load(), partner.span.Load(), partner.fired.Load(), partner.lost.Load()}
		ok = ok && partner.played.Load() == number
	}
	return ok, nil
}

// MeetPartners returns at the moment when all members of the slot have arrived and are
// on a CPU. fire is false if one of them cannot fire in the slot. Then none of them
// fires, and another slot makes up for this one, so that no request is sent without
// those of its partners.
//
// There are two steps. Members may be descheduled while they wait for the last one to
// arrive. Only when all have arrived does each announce that it is about to fire, so
// the last step is short and ends for all members within a cache miss.
func (b *Barrier) MeetPartners(slot int, members []int, able bool) (fire bool, err error) {
	b.pace.waitForSlot(slot, b.idle)
	number := b.epoch<<32 | uint64(slot+1)
	mine := &b.shared.lines[b.me]
	// By parity, the answer for the next slot does not overwrite the answer for this
	// one before all partners have read it.
	miss := uint32(0)
	if !able {
		miss = 1
	}
	mine.misses[number&1].Store(miss)
	mine.arrived.Store(number)
	fire = able
	for _, m := range members {
		partner := &b.shared.lines[m]
		if err := spinUntil(&partner.arrived, number, b.idle); err != nil {
			return false, fmt.Errorf("slot %d: client %d did not arrive: %w", slot, m, err)
		}
		fire = fire && partner.misses[number&1].Load() == 0
	}
	if !fire {
		return false, nil
	}
	mine.ready.Store(number)
	for _, m := range members {
		if err := spinUntil(&b.shared.lines[m].ready, number, nil); err != nil {
			return false, fmt.Errorf("slot %d: client %d arrived, but did not get ready to fire: %w", slot, m, err)
		}
	}
	return true, nil
}

// spinUntil spins until v reaches the number. With idle, it calls that now and then, and
// gives the CPU away, for longer and longer: on a machine with too few CPUs, a partner
// may need it.
func spinUntil(v *atomic.Uint64, number uint64, idle func(time.Duration)) error {
	var p patience
	for spins := 1; v.Load() < number; spins++ {
		if spins&0x3fff != 0 {
			continue
		}
		if idle != nil {
			idle(0)
			if spins>>14 < yieldRounds {
				unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
			} else {
				nap := unix.NsecToTimespec(int64(shortNap))
				unix.Nanosleep(&nap, nil)
			}
		}
		if p.exceeds(probe.PartnerPatience, mostAtOnce) {
			return fmt.Errorf("waited %v", probe.PartnerPatience)
		}
	}
	return nil
}

const (
	// yieldRounds is how often a client yields before it sleeps: a partner on another
	// CPU comes within one or two.
	yieldRounds = 64
	// shortNap is the length of its sleep.
	shortNap = 100 * time.Microsecond
)

// patience measures how long a client has waited, while it ran itself. Time in which it
// was off its CPU counts as little: its partner probably was as well, and a partner that
// waits for a CPU is not gone.
type patience struct {
	waited time.Duration
	last   int64 // of the look before
}

// mostAtOnce is more than a client that spins spends between two looks at the clock.
const mostAtOnce = 10 * time.Millisecond

// exceeds reports whether the client has waited longer than limit. One look adds at most
// so much.
func (p *patience) exceeds(limit, most time.Duration) bool {
	now := probe.MonotonicTime()
	if p.last != 0 {
		p.waited += min(time.Duration(now-p.last), most)
	}
	p.last = now
	return p.waited > limit
}

// Operations of futex(2), linux/futex.h. FUTEX_PRIVATE_FLAG is not set: the waiters are
// other processes.
const (
	opFutexWait = 0
	opFutexWake = 1
)

// futexWait sleeps until the bell is rung, unless it has been rung since seen was read.
// It may return early: callers check again.
func futexWait(bell *atomic.Uint32, seen uint32, limit time.Duration) {
	ts := unix.NsecToTimespec(int64(limit))
	unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(bell)), opFutexWait, uintptr(seen),
		uintptr(unsafe.Pointer(&ts)), 0, 0)
}

// futexWake wakes the client that waits for the bell.
func futexWake(bell *atomic.Uint32) {
	unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(bell)), opFutexWake, 1, 0, 0, 0)
}
