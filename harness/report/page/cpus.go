package page

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// cpusMax bounds the CPUs of a table. Those that counted most are kept.
const cpusMax = 64

// A counter is one of conntrack, as a column of a table.
type counter struct {
	name string
	of   func(result.ConntrackCounters) uint64
}

var counters = []counter{
	{"insert_failed", func(c result.ConntrackCounters) uint64 { return c.InsertFailed }},
	{"drop", func(c result.ConntrackCounters) uint64 { return c.Drop }},
	{"early_drop", func(c result.ConntrackCounters) uint64 { return c.EarlyDrop }},
	{"clash_resolve", func(c result.ConntrackCounters) uint64 { return orZero(c.ClashResolve) }},
	{"chaintoolong", func(c result.ConntrackCounters) uint64 { return orZero(c.ChainTooLong) }},
	{"found", func(c result.ConntrackCounters) uint64 { return c.Found }},
	{"search_restart", func(c result.ConntrackCounters) uint64 { return c.SearchRestart }},
	{"invalid", func(c result.ConntrackCounters) uint64 { return c.Invalid }},
	{"error", func(c result.ConntrackCounters) uint64 { return c.Error }},
}

func orZero(n *uint64) uint64 {
	if n == nil {
		return 0
	}
	return *n
}

// cpuTables returns, for each arm with a trial, how far the counters of each CPU moved in
// all its trials.
func cpuTables(r *result.Result) (all []table) {
	for _, a := range r.Arms {
		sums := sumCPUs(a.Trials)
		if len(sums) == 0 {
			continue
		}
		t := table{Caption: a.Name, Head: []string{"CPU"}}
		for _, c := range counters {
			t.Head = append(t.Head, c.name)
		}
		busiest := slices.SortedFunc(maps.Keys(sums), func(x, y int) int {
			return cmp.Or(cmp.Compare(sums[y][0], sums[x][0]), cmp.Compare(x, y))
		})
		if more := len(busiest) - cpusMax; more > 0 {
			busiest = busiest[:cpusMax]
			t.Note = fmt.Sprintf("The %d CPUs that counted most of insert_failed; %s more are in result.json.", cpusMax, thousands(more))
		}
		slices.Sort(busiest)
		for _, cpu := range busiest {
			row := []string{strconv.Itoa(cpu)}
			for _, n := range sums[cpu] {
				row = append(row, format.Thousands(n))
			}
			t.Rows = append(t.Rows, row)
		}
		all = append(all, t)
	}
	return all
}

// sumCPUs returns the sums of the counters by CPU, in the order of counters.
func sumCPUs(trials []result.Trial) map[int][]uint64 {
	sums := map[int][]uint64{}
	for _, t := range trials {
		for _, cpu := range t.Conntrack.PerCPU {
			sum := sums[cpu.CPU]
			if sum == nil {
				sum = make([]uint64, len(counters))
				sums[cpu.CPU] = sum
			}
			for i, c := range counters {
				sum[i] += c.of(cpu.ConntrackCounters)
			}
		}
	}
	return sums
}
