package conntrack

import (
	"fmt"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// Delta returns the difference of the counters between two snapshots, in total
// and for each CPU. A counter that wrapped at 2³² in between is counted correctly.
func Delta(before, after Snapshot) (result.Conntrack, error) {
	d := result.Conntrack{Entries: after.Entries}
	if len(before.CPUs) != len(after.CPUs) {
		return d, fmt.Errorf("conntrack counters of %s before and of %d after", format.Plural(len(before.CPUs), "CPU", "CPUs"), len(after.CPUs))
	}
	for i, a := range after.CPUs {
		b := before.CPUs[i]
		if a.id != b.id {
			return d, fmt.Errorf("conntrack counters of CPU %d before and of CPU %d after", b.id, a.id)
		}
		moved := subtractCPU(b, a)
		d.PerCPU = append(d.PerCPU, result.CPU{CPU: a.id, ConntrackCounters: moved})
		addCounters(&d.ConntrackCounters, moved)
	}
	return d, nil
}

func subtractCPU(b, a CPUCounters) result.ConntrackCounters {
	return result.ConntrackCounters{
		InsertFailed:  subtract(b.stats.InsertFailed, a.stats.InsertFailed),
		Drop:          subtract(b.stats.Drop, a.stats.Drop),
		Found:         subtract(b.stats.Found, a.stats.Found),
		Invalid:       subtract(b.stats.Invalid, a.stats.Invalid),
		Insert:        subtract(b.stats.Insert, a.stats.Insert),
		EarlyDrop:     subtract(b.stats.EarlyDrop, a.stats.EarlyDrop),
		Error:         subtract(b.stats.Error, a.stats.Error),
		SearchRestart: subtract(b.stats.SearchRestart, a.stats.SearchRestart),
		ClashResolve:  subtractKnown(b.clashResolve, a.clashResolve),
		ChainTooLong:  subtractKnown(b.chainTooLong, a.chainTooLong),
	}
}

func subtract(before, after uint32) uint64 { return uint64(after - before) }

func subtractKnown(before, after *uint32) *uint64 {
	if before == nil || after == nil {
		return nil
	}
	m := subtract(*before, *after)
	return &m
}

// addCounters adds one CPU's counters to the sum.
func addCounters(sum *result.ConntrackCounters, c result.ConntrackCounters) {
	sum.InsertFailed += c.InsertFailed
	sum.Drop += c.Drop
	sum.Found += c.Found
	sum.Invalid += c.Invalid
	sum.Insert += c.Insert
	sum.EarlyDrop += c.EarlyDrop
	sum.Error += c.Error
	sum.SearchRestart += c.SearchRestart
	addKnown(&sum.ClashResolve, c.ClashResolve)
	addKnown(&sum.ChainTooLong, c.ChainTooLong)
}

func addKnown(sum **uint64, v *uint64) {
	if v == nil {
		return
	}
	if *sum == nil {
		*sum = new(uint64)
	}
	**sum += *v
}
