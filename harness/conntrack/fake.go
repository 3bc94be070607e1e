package conntrack

import "github.com/ti-mo/conntrack"

// FakeCounters returns the counters of a CPU of which only these two have moved, for tests
// of other packages.
func FakeCounters(insertFailed, drop uint32) CPUCounters {
	return CPUCounters{stats: conntrack.Stats{InsertFailed: insertFailed, Drop: drop}}
}
