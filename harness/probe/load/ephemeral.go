package load

import (
	"context"
	"time"

	"snatlab/harness/probe"
	"snatlab/harness/probe/load/lockstep"
)

// sendEphemeral sends the load as an ordinary client does: the kernel chooses each
// source port when the socket connects.
func sendEphemeral(ctx context.Context, load probe.ClientLoad, files int, announce announcer) (*probe.Report, error) {
	flight, err := newConnections(load, files)
	if err != nil {
		return nil, err
	}
	defer flight.close()
	most := min(max(1, load.Concurrency), flight.limit)
	begun := time.Now()
	for flight.launched < load.Requests {
		due := load.Requests
		if load.Rate > 0 {
			due = min(due, 1+int(time.Since(begun).Seconds()*float64(load.Rate)))
		}
		for flight.launched < due && flight.open < most {
			if err := flight.sendNew(); err != nil {
				return nil, err
			}
			if err := flight.reapCompleted(0); err != nil {
				return nil, err
			}
		}
		if flight.launched == load.Requests {
			break
		}
		if err := flight.reapCompleted(flight.untilNext(load, begun, most)); err != nil {
			return nil, err
		}
	}
	if err := flight.awaitAll(ctx, announce); err != nil {
		return nil, err
	}
	return &probe.Report{Outcome: flight.sumUp(lockstep.ArmSlot, load.Explain), Datagrams: flight.datagrams(),
		Seconds: time.Since(begun).Seconds(), PeakRSS: probe.PeakRSS()}, nil
}

// sendNew sends a request from a new socket.
func (cs *connections) sendNew() error {
	fd, err := cs.openSocket(lockstep.ArmSlot)
	if err != nil {
		return err
	}
	if errno := cs.prepareSocket(fd, lockstep.ArmSlot); errno != 0 {
		return cs.failRequest(fd, lockstep.ArmSlot, errno)
	}
	return cs.sendRequest(fd, 0, lockstep.ArmSlot)
}

// untilNext returns the time until a request is due or expires.
func (cs *connections) untilNext(load probe.ClientLoad, begun time.Time, most int) time.Duration {
	if cs.open == most {
		return cs.untilRoom()
	}
	due := begun.Add(time.Duration(float64(cs.launched) / float64(load.Rate) * float64(time.Second)))
	wait := max(0, time.Until(due))
	if cs.open > 0 {
		wait = min(wait, cs.untilRoom())
	}
	return wait
}
