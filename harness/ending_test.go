package harness

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"snatlab/harness/conntrack"
)

// table returns a snapshot in which so many insertions failed and packets were dropped.
func table(insertFailed, drop uint32) conntrack.Snapshot {
	return conntrack.Snapshot{CPUs: []conntrack.CPUCounters{conntrack.FakeCounters(insertFailed, drop)}}
}

func TestAwaitDrops(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		shared bool
		busy   bool // the counters moved before the trial
		tables []conntrack.Snapshot
		ends   bool
		looks  int
	}{
		{name: "a drop for each", tables: []conntrack.Snapshot{table(107, 57)}, ends: true, looks: 1},
		{name: "an answer that comes later", tables: []conntrack.Snapshot{table(106, 56), table(106, 56), table(107, 57)}, ends: true, looks: 3},
		{name: "fewer drops", tables: []conntrack.Snapshot{table(106, 56)}, looks: mostLooks},
		{name: "more drops, of other packets", tables: []conntrack.Snapshot{table(108, 58)}, looks: mostLooks},
		{name: "drops that are no failed insertions", tables: []conntrack.Snapshot{table(107, 58)}, looks: mostLooks},
		{name: "insertions that failed in a chain that was too long", tables: []conntrack.Snapshot{table(107, 50)}, looks: mostLooks},
		{name: "counters of other CPUs", tables: []conntrack.Snapshot{{}}, looks: mostLooks},
		{name: "a shared table is read twice", shared: true, tables: []conntrack.Snapshot{table(107, 57)}, ends: true, looks: 2},
		{name: "a shared table that moves", shared: true, tables: []conntrack.Snapshot{table(107, 57), table(108, 58)}, looks: mostLooks},
		{name: "a shared table that moved before", shared: true, busy: true, tables: []conntrack.Snapshot{table(107, 57)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeLab{script: script{shared: test.shared, table: func(n int) conntrack.Snapshot {
					return test.tables[min(n, len(test.tables)-1)]
				}}}
				x := &experiment{lab: f}
				waiting, reported := newUnanswered(2), make(chan struct{})
				done := make(chan bool)
				go func() {
					done <- x.awaitDrops(t.Context(), trialStart{counters: table(100, 50), quiet: !test.busy}, waiting, reported)
				}()
				waiting.set(0, 4, false)
				synctest.Wait()
				if n := f.countCalls(callConntrack); n != 0 {
					t.Errorf("the table was read %d times while a client had requests to send", n)
				}
				waiting.set(1, 3, true)
				if ends := <-done; ends != test.ends || f.countCalls(callConntrack) != test.looks {
					t.Errorf("ends %v after %d looks, want %v after %d", ends, f.countCalls(callConntrack), test.ends, test.looks)
				}
			})
		})
	}
}

// The wait ends with the last report, with the context, and without a look at the table if
// nobody waits.
func TestAwaitDropsReported(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(cancel func(), reported chan struct{}){
		"reported": func(_ func(), reported chan struct{}) { close(reported) },
		"context":  func(cancel func(), _ chan struct{}) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				f := &fakeLab{script: script{table: func(int) conntrack.Snapshot { return table(3, 3) }}}
				x := &experiment{lab: f}
				waiting, reported, done := newUnanswered(1), make(chan struct{}), make(chan bool)
				go func() {
					done <- x.awaitDrops(ctx, trialStart{counters: table(0, 0), quiet: true}, waiting, reported)
				}()
				waiting.set(0, 3, true)
				synctest.Wait()
				end(cancel, reported)
				if <-done || f.countCalls(callConntrack) != 0 {
					t.Error(fmt.Sprint(f.calls))
				}
			})
		})
	}
}
