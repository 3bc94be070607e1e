package load

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

// barrier lets clients on one machine meet before each slot, in a file that
// all of them map. Each client writes to a cache line of its own only, and
// spins on those of its partners.
//
// Slots and turns are numbered with the trial's epoch in their upper half.
// They only ever grow, so nothing has to be reset between trials, and what an
// earlier trial left behind is always in the past.
type barrier struct {
	shared *sharedMemory
	memory []byte
	me     int
	epoch  uint64
	pace   pacer
	idle   func(time.Duration) // looks after what is in flight, for no longer than it is told
}

type sharedMemory struct {
	turn  atomic.Uint64 // epoch and index of the turn that may begin
	first atomic.Uint64 // its first slot
	bell  atomic.Uint32 // futex: rung when a turn is handed over
	_     [128 - 20]byte
	lines [scenario.MaxClients]line
}

// line is one client's. It fills two cache lines of 64 bytes, because CPUs
// prefetch them in pairs.
type line struct {
	arrived atomic.Uint64    // the slot that the client has come to
	ready   atomic.Uint64    // the slot that it is about to fire in
	misses  [2]atomic.Uint32 // by the slot's parity: the client cannot fire in it
	_       [128 - 24]byte
}

// inheritedFiles is where a probe finds the files that it was started with. They are
// links by nature.
const inheritedFiles = "/proc/self/fd/"

// openBarrier maps the file at path, and makes it if it is not there.
func openBarrier(path string, me int, epoch uint64, pace pacer, idle func(time.Duration)) (*barrier, error) {
	flags := os.O_RDWR
	if !strings.HasPrefix(path, inheritedFiles) {
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
	return &barrier{shared: shared, memory: memory, me: me, epoch: epoch, pace: pace, idle: idle}, nil
}

// setSize gives a new file its size. Any other file is not to be cut off.
func setSize(file *os.File, size int64) error {
	info, err := file.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular() || info.Size() != 0 && info.Size() != size:
		return fmt.Errorf("%s is no barrier: %v of size %d", file.Name(), info.Mode(), info.Size())
	}
	return file.Truncate(size)
}

func (b *barrier) close() error { return unix.Munmap(b.memory) }

// beginTurn waits for turn t and gives its first slot.
func (b *barrier) beginTurn(t int) (first int, err error) {
	if t == 0 {
		return 0, nil
	}
	want := b.epoch<<32 | uint64(t)
	limit := probe.PartnerPatience + turnLength*b.pace.interval
	seen, since := b.shared.turn.Load(), time.Now()
	for {
		bell := b.shared.bell.Load()
		now := b.shared.turn.Load()
		if now >= want {
			return int(b.shared.first.Load()), nil
		}
		if now != seen {
			seen, since = now, time.Now()
		}
		if time.Since(since) > limit {
			return 0, fmt.Errorf("waited %v for turn %d: a client of turn %d is gone", limit, t, int(uint32(now)))
		}
		b.idle(0)
		futexWait(&b.shared.bell, bell, time.Millisecond)
	}
}

// endTurn hands over to turn t, whose first slot is given. One member of the
// turn before calls it.
func (b *barrier) endTurn(t, first int) {
	b.shared.first.Store(uint64(first))
	b.shared.turn.Store(b.epoch<<32 | uint64(t))
	b.shared.bell.Add(1)
	futexWake(&b.shared.bell)
}

// meetPartners returns at the moment when all members of the slot are there and on a
// CPU. fire is false if one of them cannot fire in the slot: then nobody does,
// and the slot is made up by another, so that no request is sent without its
// partners.
//
// It takes two steps. Members may be descheduled while they wait for the last
// one to arrive; only when all have arrived does each say that it is about to
// fire, so the last step is short and opens for all within a cache miss.
func (b *barrier) meetPartners(slot int, members []int, able bool) (fire bool, err error) {
	b.pace.waitForSlot(slot, b.idle)
	number := b.epoch<<32 | uint64(slot+1)
	mine := &b.shared.lines[b.me]
	// The parity keeps the answer for one slot from being overwritten by that
	// for the next before all partners have read it.
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
			return false, fmt.Errorf("slot %d: client %d did not come: %w", slot, m, err)
		}
		fire = fire && partner.misses[number&1].Load() == 0
	}
	if !fire {
		return false, nil
	}
	mine.ready.Store(number)
	for _, m := range members {
		if err := spinUntil(&b.shared.lines[m].ready, number, nil); err != nil {
			return false, fmt.Errorf("slot %d: client %d came and left: %w", slot, m, err)
		}
	}
	return true, nil
}

// spinUntil spins until the number is reached. With idle it looks now and then
// after what is in flight, and lets others have the CPU: on a machine with too
// few of them they may be the ones that are waited for.
func spinUntil(v *atomic.Uint64, number uint64, idle func(time.Duration)) error {
	var since time.Time
	for spins := 1; v.Load() < number; spins++ {
		if spins&0x3fff != 0 {
			continue
		}
		if idle != nil {
			idle(0)
			unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		}
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) > probe.PartnerPatience {
			return fmt.Errorf("waited %v", probe.PartnerPatience)
		}
	}
	return nil
}

// Operations of futex(2), linux/futex.h. Without FUTEX_PRIVATE_FLAG: the
// waiters are other processes.
const (
	opFutexWait = 0
	opFutexWake = 1
)

// futexWait sleeps until the bell is rung, if it has not been since seen was
// read. Being woken early is allowed: callers look again.
func futexWait(bell *atomic.Uint32, seen uint32, limit time.Duration) {
	ts := unix.NsecToTimespec(int64(limit))
	unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(bell)), opFutexWait, uintptr(seen),
		uintptr(unsafe.Pointer(&ts)), 0, 0)
}

func futexWake(bell *atomic.Uint32) {
	unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(bell)), opFutexWake, scenario.MaxClients, 0, 0, 0)
}
