package conntrack

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ti-mo/conntrack"

	"snatlab/harness/result"
)

// Delta returns by how much each counter grew, in total and for each CPU.
func TestDelta(t *testing.T) {
	t.Parallel()
	before := Snapshot{Entries: 7, Max: 1000, CPUs: []CPUCounters{
		{id: 0, stats: conntrack.Stats{Found: 1, Invalid: 2, Insert: 3, InsertFailed: 4, Drop: 5, EarlyDrop: 6, Error: 7, SearchRestart: 8},
			clashResolve: new(uint32(9)), chainTooLong: new(uint32(10))},
		{id: 2, stats: conntrack.Stats{Found: 100}, clashResolve: new(uint32(0)), chainTooLong: new(uint32(0))},
	}}
	after := Snapshot{Entries: 5, Max: 1000, CPUs: []CPUCounters{
		{id: 0, stats: conntrack.Stats{Found: 11, Invalid: 22, Insert: 33, InsertFailed: 44, Drop: 55, EarlyDrop: 66, Error: 77, SearchRestart: 88},
			clashResolve: new(uint32(99)), chainTooLong: new(uint32(110))},
		{id: 2, stats: conntrack.Stats{Found: 101, Drop: 1000}, clashResolve: new(uint32(1)), chainTooLong: new(uint32(0))},
	}}
	want := result.Conntrack{
		Entries: 5,
		ConntrackCounters: result.ConntrackCounters{Found: 11, Invalid: 20, Insert: 30, InsertFailed: 40, Drop: 1050, EarlyDrop: 60, Error: 70, SearchRestart: 80,
			ClashResolve: new(uint64(91)), ChainTooLong: new(uint64(100))},
		PerCPU: []result.CPU{
			{CPU: 0, ConntrackCounters: result.ConntrackCounters{Found: 10, Invalid: 20, Insert: 30, InsertFailed: 40, Drop: 50, EarlyDrop: 60, Error: 70, SearchRestart: 80,
				ClashResolve: new(uint64(90)), ChainTooLong: new(uint64(100))}},
			{CPU: 2, ConntrackCounters: result.ConntrackCounters{Found: 1, Drop: 1000, ClashResolve: new(uint64(1)), ChainTooLong: new(uint64(0))}},
		},
	}
	checkDelta(t, before, after, want)
}

func checkDelta(t *testing.T, before, after Snapshot, want result.Conntrack) {
	t.Helper()
	got, err := Delta(before, after)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// withInsertFailed returns a snapshot whose CPUs have these counters of
// insert_failed and clash_resolve.
func withInsertFailed(counters ...uint32) Snapshot {
	var s Snapshot
	for i, n := range counters {
		s.CPUs = append(s.CPUs, CPUCounters{id: i, stats: conntrack.Stats{InsertFailed: n}, clashResolve: new(n)})
	}
	return s
}

// A counter that wrapped at 32 bits has grown.
func TestDeltaWraps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, after []uint32
		want          uint64
	}{
		"one CPU":              {[]uint32{1<<32 - 1}, []uint32{0}, 1},
		"one CPU of two":       {[]uint32{1<<32 - 10, 5}, []uint32{10, 7}, 22},
		"both CPUs":            {[]uint32{1<<32 - 1, 1<<32 - 2}, []uint32{1, 2}, 6},
		"almost all the way":   {[]uint32{5}, []uint32{4}, 1<<32 - 1},
		"a sum beyond 32 bits": {[]uint32{1, 1}, []uint32{0, 0}, 1<<33 - 2},
		"not at all":           {[]uint32{1<<32 - 1}, []uint32{1<<32 - 1}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Delta(withInsertFailed(c.before...), withInsertFailed(c.after...))
			if err != nil {
				t.Fatal(err)
			}
			if d.InsertFailed != c.want || *d.ClashResolve != c.want {
				t.Errorf("moved by %d and %d, want %d", d.InsertFailed, *d.ClashResolve, c.want)
			}
			var sum uint64
			for _, c := range d.PerCPU {
				sum += c.InsertFailed
			}
			if sum != c.want {
				t.Errorf("the CPUs moved by %d, want %d", sum, c.want)
			}
		})
	}
}

// A counter that the kernel does not have stays unknown.
func TestDeltaUnknown(t *testing.T) {
	t.Parallel()
	known, unknown := CPUCounters{clashResolve: new(uint32(3))}, CPUCounters{chainTooLong: new(uint32(4))}
	for name, c := range map[string]struct {
		before, after       CPUCounters
		clashRes, chainLong *uint64
	}{
		"only the other is known": {known, known, new(uint64(0)), nil},
		"this one":                {unknown, unknown, nil, new(uint64(0))},
		"neither":                 {CPUCounters{}, CPUCounters{}, nil, nil},
		"one before, one after":   {known, unknown, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			counters := result.ConntrackCounters{ClashResolve: c.clashRes, ChainTooLong: c.chainLong}
			checkDelta(t, Snapshot{CPUs: []CPUCounters{c.before}}, Snapshot{CPUs: []CPUCounters{c.after}},
				result.Conntrack{ConntrackCounters: counters, PerCPU: []result.CPU{{ConntrackCounters: counters}}})
		})
	}
}

// The difference of empty snapshots is empty.
func TestDeltaEmpty(t *testing.T) {
	t.Parallel()
	checkDelta(t, Snapshot{}, Snapshot{}, result.Conntrack{})
}

// Snapshots of different CPUs cannot be compared.
func TestDeltaOtherCPUs(t *testing.T) {
	t.Parallel()
	for want, c := range map[string][2]Snapshot{
		"conntrack counters of 1 CPU before and of 2 after":     {withInsertFailed(1), withInsertFailed(1, 2)},
		"conntrack counters of 2 CPUs before and of 0 after":    {withInsertFailed(1, 2), {}},
		"conntrack counters of CPU 0 before and of CPU 3 after": {withInsertFailed(1), {CPUs: []CPUCounters{{id: 3}}}},
		"conntrack counters of CPU 1 before and of CPU 2 after": {withInsertFailed(1, 2), {CPUs: []CPUCounters{{id: 0}, {id: 2}}}},
	} {
		if _, err := Delta(c[0], c[1]); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
