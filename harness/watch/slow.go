package watch

import (
	"context"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/machine"
)

// budget is the share of one CPU that a listing may take on average. There are two
// listings, and the counters take a hundredth at most.
const budget = 0.015

// listing holds what was listed last, by a goroutine of its own. A listing that takes
// long is made less often.
type listing[T any] struct {
	enter machine.NamespaceFunc
	list  func(context.Context) (T, error) // in the namespace

	mutex sync.Mutex
	last  listed[T]
}

// listed is a listing that has ended, with or without an error.
type listed[T any] struct {
	value T
	err   error
	at    time.Time // zero: nothing was listed yet
	took  time.Duration
}

// listOnce lists, and stores the result. It measures CPU time: on a busy machine a
// listing waits for most of its duration.
func (l *listing[T]) listOnce(ctx context.Context) (took time.Duration) {
	var now listed[T]
	err := l.enter(func() (err error) {
		runtime.LockOSThread() // the time is that of a thread
		defer runtime.UnlockOSThread()
		before := cpuTime()
		now.value, err = l.list(ctx)
		now.took = cpuTime() - before
		return err
	})
	now.err, now.at = err, time.Now()
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.last = now
	return now.took
}

// keepListing lists again and again, at most once in least, until ctx ends.
func (l *listing[T]) keepListing(ctx context.Context, least time.Duration) {
	for ctx.Err() == nil {
		wait := pause(l.listOnce(ctx), least)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// pause returns how long to wait after a listing that took so long.
func pause(took, least time.Duration) time.Duration {
	return max(least, time.Duration(float64(took)/budget)-took)
}

// read returns what was listed last.
func (l *listing[T]) read() listed[T] {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.last
}

// cpuTime returns the CPU time of this thread, and of the programs that this process has
// run.
func cpuTime() time.Duration {
	total := time.Duration(0)
	for _, who := range []int{unix.RUSAGE_THREAD, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) == nil {
			total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return total
}
