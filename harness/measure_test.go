package harness

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/conntrack"
	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// Other traffic is assumed to continue at its rate for the length of a trial.
func TestEstimateForeign(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		moved   result.ConntrackCounters
		seconds float64
		want    *result.Foreign
	}{
		{"nothing moved", result.ConntrackCounters{}, 10, nil},
		{"rounded up", result.ConntrackCounters{InsertFailed: 5, Drop: 3}, 0.5, &result.Foreign{InsertFailed: 13, Drop: 8, Idle: 0.2}},
		{"a long trial", result.ConntrackCounters{Drop: 3}, 20, &result.Foreign{Drop: 300, Idle: 0.2}},
		{"few events are no rate", result.ConntrackCounters{InsertFailed: 1, Drop: 2}, 20, &result.Foreign{InsertFailed: 1, Drop: 2, Idle: 0.2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := idleWatch{moved: c.moved, elapsed: 200 * time.Millisecond}
			if d := cmp.Diff(c.want, w.estimateForeign(c.seconds)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// conntrackLooks returns how often the counters of a lab are read in some rounds of one
// arm.
func conntrackLooks(t *testing.T, shared bool, rounds int) (n int) {
	t.Helper()
	f := newFakeLab(t, 1)
	f.shared = shared
	f.table = func(i int) conntrack.Snapshot { n = i + 1; return conntrack.Snapshot{Max: 1 << 18} }
	s := ephemeralScenario(1, "a")
	s.Rounds = rounds
	r, _, err := f.run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, trial := range r.Arms[0].Trials {
		if trial.Foreign != nil {
			t.Errorf("nothing moved, and %+v is other traffic's", trial.Foreign)
		}
	}
	return n
}

// A shared table is watched after each trial until the next one, and before the first
// one.
func TestMeasureLoadShared(t *testing.T) {
	t.Parallel()
	for _, rounds := range []int{1, 3} {
		trials := 1 + rounds // with the warm-up
		if own, shared := conntrackLooks(t, false, rounds), conntrackLooks(t, true, rounds); shared != own+1+trials {
			t.Errorf("%d rounds: %d looks at a shared table, %d at a lab's own", rounds, shared, own)
		}
	}
}

// A request without an answer is looked up by its port.
func TestLookUp(t *testing.T) {
	t.Parallel()
	f := &fakeLab{script: script{entries: []map[uint16]string{{10: "SYN_SENT", 12: "ESTABLISHED"}, {10: "SYN_SENT"}}}}
	x := &experiment{Scenario: ephemeralScenario(2, "a"), lab: f}
	reports := []*probe.Report{{Outcome: probe.Outcome{Silent: []scenario.PortRange{{First: 9, Last: 12}}}}, {Outcome: probe.Outcome{Silent: []scenario.PortRange{{First: 10, Last: 10}, {First: 65535, Last: 65535}}}}}
	got, err := x.lookUp(t.Context(), netip.AddrPort{}, reports, 2)
	if err != nil {
		t.Fatal(err)
	}
	want := &result.Evidence{Looked: 6, Dropped: 2, Gone: 1, Passed: 2, Other: 1, Sample: []result.Sample{
		{Client: 0, Port: 9, Entry: "none"}, {Client: 0, Port: 10, Entry: "SYN_SENT"}, {Client: 0, Port: 11, Entry: "none"},
		{Client: 0, Port: 12, Entry: "ESTABLISHED"}, {Client: 1, Port: 10, Entry: "SYN_SENT"},
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Evidence is collected only on demand.
func TestRunWithoutExplain(t *testing.T) {
	t.Parallel()
	for _, explain := range []bool{false, true} {
		f := newFakeLab(t, 1)
		f.explain, f.entries = explain, []map[uint16]string{{}}
		r, _, err := f.run(t.Context(), ephemeralScenario(1, "a"))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Arms[0].Trials[0].Evidence != nil; got != explain {
			t.Errorf("explain %v: evidence %+v", explain, r.Arms[0].Trials[0].Evidence)
		}
	}
}
