package load

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
	"snatlab/harness/probe/load/lockstep"
	"snatlab/harness/result"
)

// announcer sends an announcement to the controller. Nil: the client announces nothing.
type announcer func(probe.Waiting) error

// quiet is how long no answer has come when the number of unanswered requests is announced.
const quiet = 2 * time.Millisecond

// wakeUp is the place of a connection in epoll's data for the event that ctx has ended.
const wakeUp = -1

// awaitAll waits until every launched connection has completed or expired. If the number of
// unanswered requests is announced, it waits until ctx ends at most: no answer can come any
// more then. Answers that are there still count.
func (cs *connections) awaitAll(ctx context.Context, announce announcer) error {
	if announce == nil {
		for cs.oldest < cs.launched {
			if err := cs.reapCompleted(cs.untilExpiry()); err != nil {
				return err
			}
		}
		return nil
	}
	stop, err := cs.watchContext(ctx)
	if err != nil {
		return err
	}
	defer stop()
	announced := probe.Waiting{Arm: -1}
	for {
		limit := cs.untilExpiry()
		if cs.oldest == cs.launched {
			return nil
		}
		before := cs.countWaiting()
		if before != announced {
			limit = min(limit, quiet)
		}
		if err := cs.reapCompleted(limit); err != nil {
			return err
		}
		switch now := cs.countWaiting(); {
		case cs.open == 0: // the last one has completed or expired
			return nil
		case ctx.Err() != nil:
			return cs.giveUp()
		case now == before && now != announced:
			announced = now
			if err := announce(now); err != nil {
				return err
			}
		}
	}
}

// watchContext makes reapCompleted return when the context ends, once. stop ends that.
func (cs *connections) watchContext(ctx context.Context) (stop func(), err error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: wakeUp}
	if err := unix.EpollCtl(cs.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	written := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(written)
		_, _ = unix.Write(fd, binary.NativeEndian.AppendUint64(nil, 1)) // never full
	})
	return func() {
		if !cancel() {
			<-written
		}
		unix.Close(fd)
	}, nil
}

// countWaiting returns the number of requests that got no answer so far.
func (cs *connections) countWaiting() probe.Waiting {
	return probe.Waiting{Arm: cs.targets[lockstep.ArmSlot].countUnanswered(), Control: cs.targets[lockstep.ControlSlot].countUnanswered()}
}

// countUnanswered returns the number of requests in flight and of those that expired.
func (t *target) countUnanswered() int {
	n := t.launched - t.succeeded
	for kind, failed := range t.failures {
		if kindNames[kind] != result.Timeout {
			n -= failed
		}
	}
	return n
}

// giveUp completes the connections in flight: those with an answer that is there, and the
// others as if they had expired.
func (cs *connections) giveUp() error {
	for open := -1; open != cs.open; {
		open = cs.open
		if err := cs.reapCompleted(0); err != nil {
			return err
		}
	}
	for ; cs.oldest < cs.launched; cs.oldest++ {
		if c := &cs.conns[cs.oldest]; c.fd >= 0 {
			cs.completeConn(c, unix.ETIMEDOUT)
		}
	}
	return nil
}
