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

// barrier is the gate of clients on one machine, in a file that all of them map. Each
// client writes only to its own cache lines, and spins on those of its partners.
//
// The numbers of slots and turns hold the trial's epoch in their upper half. They only
// grow, so nothing has to be reset between trials: the numbers of an earlier trial are
// always smaller.
type barrier struct {
	shared *sharedMemory
	memory []byte
	me     int
	epoch  uint64
	pace   pacer
	idle   func(time.Duration) // reaps completed connections, for at most that long
}

// sharedMemory is the content of the file.
type sharedMemory struct {
	turn  atomic.Uint64 // epoch and index of the turn that may begin
	first atomic.Uint64 // its first slot
	bell  atomic.Uint32 // futex: rung when a turn ends
	_     [128 - 20]byte
	lines [scenario.MaxClients]line
}

// line is the part of one client. It fills two cache lines of 64 bytes, because CPUs
// prefetch them in pairs.
type line struct {
	arrived atomic.Uint64    // the slot that the client has arrived at
	ready   atomic.Uint64    // the slot that it is about to fire in
	misses  [2]atomic.Uint32 // by the slot's parity: the client cannot fire in it
	_       [128 - 24]byte
}

// inheritedFiles is the folder of the files that a probe was started with. Its entries
// are always links.
const inheritedFiles = "/proc/self/fd/"

// openBarrier maps the file at path. It makes the file if there is none.
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

func (b *barrier) close() error { return unix.Munmap(b.memory) }

// beginTurn waits for turn t and returns its first slot.
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
			return 0, fmt.Errorf("waited %v for turn %d: a client of turn %d has gone or hangs", limit, t, int(uint32(now)))
		}
		b.idle(0)
		futexWait(&b.shared.bell, bell, time.Millisecond)
	}
}

// endTurn begins turn t, whose first slot is first. One member of the turn before
// calls it.
func (b *barrier) endTurn(t, first int) {
	b.shared.first.Store(uint64(first))
	b.shared.turn.Store(b.epoch<<32 | uint64(t))
	b.shared.bell.Add(1)
	futexWake(&b.shared.bell)
}

// meetPartners returns at the moment when all members of the slot have arrived and are
// on a CPU. fire is false if one of them cannot fire in the slot. Then none of them
// fires, and another slot makes up for this one, so that no request is sent without
// those of its partners.
//
// There are two steps. Members may be descheduled while they wait for the last one to
// arrive. Only when all have arrived does each announce that it is about to fire, so
// the last step is short and ends for all members within a cache miss.
func (b *barrier) meetPartners(slot int, members []int, able bool) (fire bool, err error) {
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
// yields the CPU: on a machine with too few CPUs, a partner may need it.
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

// futexWake wakes the clients that wait for the bell.
func futexWake(bell *atomic.Uint32) {
	unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(bell)), opFutexWake, scenario.MaxClients, 0, 0, 0)
}
