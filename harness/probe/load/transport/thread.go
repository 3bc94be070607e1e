package transport

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
)

// Thread is a second thread of a client, which sends a datagram at the moment when the
// first one sends another. It spins meanwhile, on a CPU of its own, and sleeps when none
// was sent for a while. It is for one goroutine at a time.
type Thread struct {
	cpu     atomic.Int32 // that it is to run on
	bell    atomic.Uint32
	asleep  atomic.Bool
	ended   atomic.Bool
	message []byte       // to be sent
	fd      atomic.Int32 // to send it from; none: nothing is to be sent
	errno   atomic.Int32 // of sending it; pending until it was sent
	wait    sync.WaitGroup
}

const (
	none    = -1 // for Thread.fd
	pending = -1 // for Thread.errno

	// restless is how long the thread looks for a datagram before it sleeps. Slots follow
	// each other faster, except in an emulated guest, where send wakes it.
	restless = 5 * time.Millisecond
	// looks is how often it looks between two readings of the clock.
	looks = 1 << 10
)

// StartThread starts the thread.
func StartThread() *Thread {
	t := &Thread{}
	t.fd.Store(none)
	t.cpu.Store(-1)
	t.wait.Go(t.run)
	return t
}

// MoveTo sets the CPU that the thread runs on.
func (t *Thread) MoveTo(cpu int) { t.cpu.Store(int32(cpu)) }

// End ends the thread.
func (t *Thread) End() {
	t.ended.Store(true)
	t.wake()
	t.wait.Wait()
}

// run sends datagrams until the end. The thread is not returned to the runtime, since it is
// bound to a CPU: it ends with its goroutine.
func (t *Thread) run() {
	runtime.LockOSThread()
	cpu, last := int32(-1), probe.MonotonicTime()
	for spins := 1; !t.ended.Load(); spins++ {
		if to := t.cpu.Load(); to != cpu {
			var set unix.CPUSet
			set.Set(int(to))
			_ = unix.SchedSetaffinity(0, &set) // elsewhere it is on time less often
			cpu = to
		}
		if fd := t.fd.Load(); fd != none {
			errno := write(int(fd), t.message)
			t.fd.Store(none)
			t.errno.Store(int32(errno))
			last = probe.MonotonicTime()
		}
		if spins%looks == 0 && probe.MonotonicTime()-last > int64(restless) {
			t.sleep()
			last = probe.MonotonicTime()
		}
	}
}

// Operations of futex(2) for the threads of one process, linux/futex.h.
const (
	futexWaitPrivate = 0 | 128
	futexWakePrivate = 1 | 128
)

// sleep sleeps until the bell is rung.
func (t *Thread) sleep() {
	seen := t.bell.Load()
	t.asleep.Store(true)
	if t.fd.Load() == none && !t.ended.Load() {
		unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&t.bell)), futexWaitPrivate, uintptr(seen), 0, 0, 0)
	}
	t.asleep.Store(false)
}

// wake wakes the thread.
func (t *Thread) wake() {
	if !t.asleep.Load() {
		return
	}
	t.bell.Add(1)
	unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&t.bell)), futexWakePrivate, 1, 0, 0, 0)
}

// send has the thread send a datagram at once.
func (t *Thread) send(fd int, message []byte) {
	t.message = message
	t.errno.Store(pending)
	t.fd.Store(int32(fd))
	t.wake()
}

// await waits until the datagram was sent.
func (t *Thread) await() unix.Errno {
	for t.errno.Load() == pending {
	}
	return unix.Errno(t.errno.Load())
}
