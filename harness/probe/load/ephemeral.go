package load

import (
	"time"

	"snatlab/harness/probe"
)

// runEphemeral sends the load as an ordinary client would: the kernel chooses
// each source port when the socket connects.
func runEphemeral(load probe.Load, files int) (*probe.Report, error) {
	flight, err := newFlight(load.Server, load.Requests, load.Timeout, files)
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
			if err := flight.dial(); err != nil {
				return nil, err
			}
			if err := flight.reap(0); err != nil {
				return nil, err
			}
		}
		if err := flight.reap(flight.next(load, begun, most)); err != nil {
			return nil, err
		}
	}
	if err := flight.drain(); err != nil {
		return nil, err
	}
	r := flight.report(load.Explain)
	r.Seconds = time.Since(begun).Seconds()
	return r, nil
}

func (f *flight) dial() error {
	fd, err := f.socket()
	if err != nil {
		return err
	}
	return f.launch(fd, 0)
}

// next is the time until something has to be done: a request falls due, or
// one expires.
func (f *flight) next(load probe.Load, begun time.Time, most int) time.Duration {
	if f.launched == load.Requests || f.open == most {
		return f.untilExpiry()
	}
	due := begun.Add(time.Duration(float64(f.launched) / float64(load.Rate) * float64(time.Second)))
	wait := max(0, time.Until(due))
	if f.open > 0 {
		wait = min(wait, f.untilExpiry())
	}
	return wait
}
