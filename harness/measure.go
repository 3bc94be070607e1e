package harness

import (
	"context"
	"math"
	"time"

	"snatlab/harness/conntrack"
	"snatlab/harness/lab"
	"snatlab/harness/result"
)

// measurement is what the clients reported of a load, and what the kernel had
// counted before and after it.
type measurement struct {
	before, after observation
	sentLoad
	seconds float64
	foreign *result.Foreign
}

// observation is what the kernel had counted at an instant.
type observation struct {
	packets uint64   // of the arm's rule
	control uint64   // of the control's
	parts   []uint64 // of each of the arm's rules, if it has several
	instant
}

// instant is a moment, with the counters of the conntrack table.
type instant struct {
	counters conntrack.Snapshot
	at       time.Time
}

func (x *experiment) readInstant(ctx context.Context) (i instant, err error) {
	i.at = time.Now()
	i.counters, err = x.lab.Conntrack(ctx)
	return i, err
}

func (x *experiment) observeCounters(ctx context.Context, rule lab.ArmRule) (o observation, err error) {
	if o.packets, o.control, err = rule.BothPackets(ctx); err != nil {
		return o, err
	}
	if of, ok := rule.(lab.PartCounter); ok {
		if o.parts, err = of.PartPackets(ctx); err != nil {
			return o, err
		}
	}
	o.instant, err = x.readInstant(ctx)
	return o, err
}

// measureLoad sends the load between two observations. Where other traffic may be
// in the counters, it watches them as well while the lab sends nothing: from the end of
// the load before, and for a while after this one. Before the first load it waits.
func (x *experiment) measureLoad(ctx context.Context, rule lab.ArmRule, send func(trialStart) (sentLoad, error)) (m measurement, err error) {
	var idle idleWatch
	if x.lab.Shared() && x.silent == nil {
		begun, err := x.readInstant(ctx)
		if err == nil {
			err = waitIdle(ctx)
		}
		if err != nil {
			return m, err
		}
		x.silent = &begun
	}
	if m.before, err = x.observeCounters(ctx, rule); err != nil {
		return m, err
	}
	if x.lab.Shared() {
		if err := idle.addWindow(*x.silent, m.before.instant); err != nil {
			return m, err
		}
	}
	begun := time.Now()
	if m.sentLoad, err = send(trialStart{counters: m.before.counters, quiet: idle.isQuiet()}); err != nil {
		return m, err
	}
	m.seconds = time.Since(begun).Seconds()
	if m.after, err = x.observeCounters(ctx, rule); err != nil {
		return m, err
	}
	if x.lab.Shared() {
		x.silent = &m.after.instant
		if err := waitIdle(ctx); err != nil {
			return m, err
		}
		end, err := x.readInstant(ctx)
		if err == nil {
			err = idle.addWindow(m.after.instant, end)
		}
		if err != nil {
			return m, err
		}
	}
	m.foreign = idle.estimateForeign(m.seconds)
	return m, nil
}

// idleWindow is how long the counters are watched at least before a trial, and after it.
const idleWindow = 50 * time.Millisecond

// idleWatch adds up how far the counters moved while the lab sent nothing.
type idleWatch struct {
	moved   result.ConntrackCounters
	elapsed time.Duration
}

// addWindow adds a window in which the lab sent nothing.
func (w *idleWatch) addWindow(from, to instant) error {
	moved, err := conntrack.Delta(from.counters, to.counters)
	if err != nil {
		return err
	}
	w.moved.InsertFailed += moved.InsertFailed
	w.moved.Drop += moved.Drop
	w.elapsed += to.at.Sub(from.at)
	return nil
}

// isQuiet reports whether the counters did not move.
func (w *idleWatch) isQuiet() bool { return w.moved.InsertFailed == 0 && w.moved.Drop == 0 }

// waitIdle waits for an idle window.
func waitIdle(ctx context.Context) error {
	select {
	case <-time.After(idleWindow):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// fewEvents is the number of events below which so short a time shows no rate.
const fewEvents = 3

// estimateForeign returns how much of the counters of a trial may be other
// traffic's, if it continued at the same rate. It returns nil if nothing was watched,
// or nothing moved. A few events are not extrapolated.
func (w *idleWatch) estimateForeign(seconds float64) *result.Foreign {
	if w.isQuiet() {
		return nil
	}
	during := func(n uint64) uint64 {
		if n < fewEvents {
			return n
		}
		return uint64(math.Ceil(float64(n) * seconds / w.elapsed.Seconds()))
	}
	return &result.Foreign{InsertFailed: during(w.moved.InsertFailed), Drop: during(w.moved.Drop), Idle: w.elapsed.Seconds()}
}
