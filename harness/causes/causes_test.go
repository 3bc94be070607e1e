package causes

import (
	"cmp"
	"fmt"
	"net/netip"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// full is the size of a conntrack table that is full.
const full = 1000

// failedTrial returns a trial of 100 requests with these failures and counters.
func failedTrial(failures map[string]int, c result.ConntrackCounters) *result.Trial {
	t := &result.Trial{Requests: 100, SourcePorts: 100, Failures: failures, RulePackets: 100, Conntrack: result.Conntrack{ConntrackCounters: c, Entries: full}}
	for _, n := range failures {
		t.Failed += n
	}
	return t
}

// Every failure is attributed to its cause.
func TestFindCauses(t *testing.T) {
	t.Parallel()
	timeouts := func(n int) map[string]int { return map[string]int{result.Timeout: n} }
	for _, test := range []struct {
		name             string
		failures         map[string]int
		counters         result.ConntrackCounters
		overflows, drops *uint64
		want             map[string]int
	}{
		{name: "no failure", want: map[string]int{}},
		{name: "no failure, whatever was counted", counters: result.ConntrackCounters{InsertFailed: 9, Drop: 9, ChainTooLong: new(uint64(3))}, overflows: new(uint64(9)),
			want: map[string]int{}},
		{name: "as many drops as timeouts", failures: timeouts(10), counters: result.ConntrackCounters{InsertFailed: 10, Drop: 10},
			want: map[string]int{"snat_race": 10}},
		{name: "more drops than timeouts: others share the table", failures: timeouts(10), counters: result.ConntrackCounters{InsertFailed: 25},
			want: map[string]int{"snat_race": 10}},
		{name: "fewer drops than timeouts", failures: timeouts(10), counters: result.ConntrackCounters{InsertFailed: 4},
			want: map[string]int{"snat_race": 4, "unexplained": 6}},
		{name: "nothing counted", failures: timeouts(10), want: map[string]int{"unexplained": 10}},
		{name: "a full table is no race", failures: timeouts(10), counters: result.ConntrackCounters{Drop: 10}, want: map[string]int{"table_full": 10, "unexplained": 0}},
		{name: "what the race dropped did not meet a full table", failures: timeouts(10), counters: result.ConntrackCounters{InsertFailed: 4, Drop: 7},
			want: map[string]int{"snat_race": 4, "table_full": 3, "unexplained": 3}},
		{name: "a full table and long chains, which are no drops", failures: timeouts(20), counters: result.ConntrackCounters{InsertFailed: 10, Drop: 9, ChainTooLong: new(uint64(6))},
			want: map[string]int{"snat_race": 4, "chain_too_long": 6, "table_full": 5, "unexplained": 5}},
		{name: "long chains are no race", failures: timeouts(10), counters: result.ConntrackCounters{InsertFailed: 10, ChainTooLong: new(uint64(3))},
			want: map[string]int{"snat_race": 7, "chain_too_long": 3}},
		{name: "nothing but long chains", failures: timeouts(10), counters: result.ConntrackCounters{InsertFailed: 10, ChainTooLong: new(uint64(10))},
			want: map[string]int{"chain_too_long": 10}},
		{name: "more long chains than failed insertions", failures: timeouts(10), counters: result.ConntrackCounters{InsertFailed: 2, ChainTooLong: new(uint64(5))},
			want: map[string]int{"chain_too_long": 5, "unexplained": 5}},
		{name: "an overflowing queue", failures: timeouts(10), overflows: new(uint64(3)), drops: new(uint64(4)),
			want: map[string]int{"listen_overflow": 4, "unexplained": 6}},
		{name: "a server without one of the counters", failures: timeouts(10), overflows: new(uint64(3)),
			want: map[string]int{"listen_overflow": 3, "unexplained": 7}},
		{name: "what the kernel counts explains timeouts only", failures: map[string]int{"refused": 2, "reset": 3, "eaddrnotavail": 4, "eaddrinuse": 5, "other": 6},
			counters: result.ConntrackCounters{InsertFailed: 50, ChainTooLong: new(uint64(10))}, overflows: new(uint64(50)),
			want: map[string]int{"refused": 2, "reset": 3, "client_ports": 9, "unexplained": 6}},
		{name: "all at once", failures: map[string]int{"timeout": 20, "refused": 1, "reset": 2, "eaddrnotavail": 3, "eaddrinuse": 4, "other": 5},
			counters: result.ConntrackCounters{InsertFailed: 12, Drop: 10, ChainTooLong: new(uint64(2))}, overflows: new(uint64(3)), drops: new(uint64(3)),
			want: map[string]int{"snat_race": 10, "chain_too_long": 2, "listen_overflow": 3, "refused": 1, "reset": 2, "client_ports": 7, "unexplained": 10}},
	} {
		t.Run(test.name, func(t *testing.T) {
			trial := failedTrial(test.failures, test.counters)
			trial.Server.ListenOverflows, trial.Server.ListenDrops = test.overflows, test.drops
			got := causesOf(trial, Circumstances{Pools: PortPools(scenario.Arm{}, 1), Max: full})
			if _, listed := got[result.Unexplained]; !listed {
				t.Error("the unexplained failures are not listed")
			}
			if _, ok := test.want[result.Unexplained]; !ok {
				test.want[result.Unexplained] = 0
			}
			if diff := gocmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			checkSums(t, trial, got)
		})
	}
}

// causesOf returns the causes of the arm's failures.
func causesOf(trial *result.Trial, c Circumstances) map[string]int {
	Find(trial, c)
	return trial.Causes
}

// What the filter before the server dropped is explained by it, of the arm and of the
// control apart. The race has no part of it, and is shared out by the rest.
func TestFilteredCauses(t *testing.T) {
	t.Parallel()
	timeouts := func(n int) map[string]int { return map[string]int{result.Timeout: n} }
	for _, test := range []struct {
		name             string
		own, controls    int
		dropped, also    uint64
		counters         result.ConntrackCounters
		want, ofControls map[string]int
	}{
		{"nothing but the filter", 49, 12, 49, 12, result.ConntrackCounters{},
			map[string]int{"source_port_filtered": 49, "unexplained": 0}, map[string]int{"source_port_filtered": 12, "unexplained": 0}},
		{"a control that lost to the race as well", 49, 42, 49, 2, result.ConntrackCounters{InsertFailed: 40, Drop: 40},
			map[string]int{"source_port_filtered": 49, "unexplained": 0}, map[string]int{"snat_race": 40, "source_port_filtered": 2, "unexplained": 0}},
		{"both lost to both", 30, 25, 20, 5, result.ConntrackCounters{InsertFailed: 30, Drop: 30},
			map[string]int{"snat_race": 10, "source_port_filtered": 20, "unexplained": 0}, map[string]int{"snat_race": 20, "source_port_filtered": 5, "unexplained": 0}},
		{"more drops than requests without an answer", 3, 0, 9, 9, result.ConntrackCounters{InsertFailed: 3, Drop: 3},
			map[string]int{"source_port_filtered": 3, "unexplained": 0}, map[string]int{"unexplained": 0}},
		{"something else", 10, 0, 4, 0, result.ConntrackCounters{},
			map[string]int{"source_port_filtered": 4, "unexplained": 6}, map[string]int{"unexplained": 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			trial := controlled(failedTrial(timeouts(test.own), test.counters), timeouts(test.controls))
			trial.Filtered, trial.Control.Filtered = &test.dropped, &test.also
			Find(trial, Circumstances{Pools: PortPools(scenario.Arm{}, 1), Max: full})
			if d := gocmp.Diff(test.want, trial.Causes); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := gocmp.Diff(test.ofControls, trial.Control.Causes); d != "" {
				t.Errorf("control (-want +got):\n%s", d)
			}
			checkSums(t, trial, trial.Causes)
			if IsGuess(trial, Circumstances{Pools: PortPools(scenario.Arm{}, 1), Max: full}) {
				t.Error("a guess, although filter and race explain all of them")
			}
		})
	}
}

func checkSums(t *testing.T, trial *result.Trial, found map[string]int) {
	t.Helper()
	sum := 0
	for cause, n := range found {
		if sum += n; n < 0 || n == 0 && cause != result.Unexplained {
			t.Errorf("%d failures of cause %s", n, cause)
		}
	}
	if sum != trial.Failed {
		t.Errorf("the causes %v add up to %d, %d failed", found, sum, trial.Failed)
	}
}

// The causes of a trial add up to its failures.
//
// Failed = the sum of its causes, whatever clients and kernel counted.
func FuzzFindCauses(f *testing.F) {
	f.Add(uint16(0), uint16(0), uint16(0), uint16(0), uint16(0), uint16(0), uint64(0), uint64(0), uint64(0), uint64(0), uint64(0), uint8(0))
	f.Add(uint16(20), uint16(1), uint16(2), uint16(3), uint16(4), uint16(5), uint64(12), uint64(13), uint64(2), uint64(3), uint64(4), uint8(7))
	f.Add(uint16(65535), uint16(1), uint16(0), uint16(0), uint16(0), uint16(0), ^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0), uint8(7))
	f.Add(uint16(65535), uint16(1), uint16(0), uint16(0), uint16(0), uint16(0), uint64(1), ^uint64(0), ^uint64(0), uint64(7), uint64(9), uint8(5))
	f.Fuzz(func(t *testing.T, timeout, refused, reset, notAvail, inUse, other uint16, insertFailed, dropped, chains, overflows, queueDrops uint64, known uint8) {
		trial := failedTrial(map[string]int{
			result.Timeout: int(timeout), result.Refused: int(refused), result.Reset: int(reset),
			result.EADDRNOTAVAIL: int(notAvail), result.EADDRINUSE: int(inUse), result.Other: int(other),
		}, result.ConntrackCounters{InsertFailed: insertFailed, Drop: dropped})
		for bit, counter := range map[uint8]struct {
			into  **uint64
			value uint64
		}{1: {&trial.Conntrack.ChainTooLong, chains}, 2: {&trial.Server.ListenOverflows, overflows}, 4: {&trial.Server.ListenDrops, queueDrops}} {
			if known&bit != 0 {
				*counter.into = &counter.value
			}
		}
		found := causesOf(trial, Circumstances{Pools: PortPools(scenario.Arm{}, 1), Max: full})
		checkSums(t, trial, found)
		if race := found[result.SNATRace]; race > int(timeout) || uint64(race) > insertFailed {
			t.Errorf("%d put down to the race, of %d timeouts and %d failed insertions", race, timeout, insertFailed)
		}
		if full := found[result.TableFull]; uint64(full) > dropped {
			t.Errorf("%d put down to a full table, of %d drops", full, dropped)
		}
		if found[result.Unexplained] < int(other) {
			t.Errorf("%d unexplained, but %d failed for an unknown reason", found[result.Unexplained], other)
		}
	})
}

// A trial that shows nothing is an error.
func TestCheckTrial(t *testing.T) {
	t.Parallel()
	passedBy := func(matched, sent int) string {
		return fmt.Sprintf(`the rule "-j MASQUERADE" matched %d of %d connections`, matched, sent)
	}
	for _, test := range []struct {
		name     string
		failures map[string]int
		counters result.ConntrackCounters
		matched  uint64
		want     string
	}{
		{name: "all passed the rule", matched: 100},
		{name: "others passed the rule as well", matched: 140},
		{name: "one did not", matched: 99, want: passedBy(99, 100)},
		{name: "none did", matched: 0, want: passedBy(0, 100)},
		{name: "nothing succeeded", failures: map[string]int{"timeout": 100}, counters: result.ConntrackCounters{InsertFailed: 100, Drop: 100}, matched: 100,
			want: "none of 100 requests succeeded: map[timeout:100]"},
		{name: "one succeeded", failures: map[string]int{"timeout": 99}, counters: result.ConntrackCounters{InsertFailed: 99, Drop: 99}, matched: 100},
		{name: "the race's packets passed the rule", failures: map[string]int{"timeout": 10}, counters: result.ConntrackCounters{InsertFailed: 10, Drop: 10},
			matched: 90, want: passedBy(90, 100)},
		{name: "a full table drops before the rule", failures: map[string]int{"timeout": 10}, counters: result.ConntrackCounters{Drop: 10}, matched: 90},
		{name: "a full table and the race", failures: map[string]int{"timeout": 30}, counters: result.ConntrackCounters{InsertFailed: 20, Drop: 30}, matched: 90},
		{name: "less was dropped than did not pass", failures: map[string]int{"timeout": 10}, counters: result.ConntrackCounters{Drop: 9}, matched: 90, want: passedBy(90, 100)},
		{name: "drops not counted", failures: map[string]int{"timeout": 10}, counters: result.ConntrackCounters{InsertFailed: 10}, matched: 100},
		{name: "requests that no client sent", failures: map[string]int{"eaddrnotavail": 2, "eaddrinuse": 3, "other": 4}, matched: 91},
		{name: "requests that no client sent, and one that passed by", failures: map[string]int{"eaddrnotavail": 2, "eaddrinuse": 3, "other": 4}, matched: 90, want: passedBy(90, 91)},
		{name: "refused and reset requests were sent", failures: map[string]int{"refused": 4, "reset": 5}, matched: 99, want: passedBy(99, 100)},
	} {
		t.Run(test.name, func(t *testing.T) {
			trial := failedTrial(test.failures, test.counters)
			trial.RulePackets = test.matched
			err := Check(trial, "-j MASQUERADE", "control")
			if got := fmt.Sprint(err); (err != nil || test.want != "") && got != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

// Long chains do not hide a full table.
//
// What is dropped for a long chain has passed the rule. It counts as a failed
// insertion, but not as a drop.
func TestFindCausesLongChains(t *testing.T) {
	t.Parallel()
	trial := failedTrial(map[string]int{"timeout": 15}, result.ConntrackCounters{InsertFailed: 10, ChainTooLong: new(uint64(10)), Drop: 5})
	trial.RulePackets = 95
	if err := Check(trial, "-j MASQUERADE", "control"); err != nil {
		t.Error(err)
	}
}

// Exhaustion is distinguished from the race by the ports that NAT looked at in
// vain.
func TestFindCausesExhaustion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name            string
		requests, ports int
		failed          uint64 // and as many insertions
		found           uint64
		race, exhausted int
	}{
		{"ports to spare", 2000, 64512, 300, 1_000_000, 300, 0},
		{"all ports in use, each connection looked in vain", 2000, 500, 1400, 1400 * 248, 0, 1400},
		{"no more than there are beyond the ports", 2000, 500, 1700, 2000 * 248, 200, 1500},
		{"no more than the looks account for", 2000, 500, 1400, 100 * 248, 1300, 100},
		{"a small range is looked at whole", 100, 16, 80, 80 * 16, 0, 80},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := countExhausted(&result.Trial{Requests: c.requests, Conntrack: result.Conntrack{ConntrackCounters: result.ConntrackCounters{Found: c.found}}}, Circumstances{Pools: onePool(c.ports, 0), Evicts: true}); got != 0 {
				t.Errorf("%d for want of ports, where closed entries give way", got)
			}
			trial := &result.Trial{Requests: c.requests, Failed: int(c.failed), Failures: map[string]int{result.Timeout: int(c.failed)}}
			trial.Conntrack.ConntrackCounters = result.ConntrackCounters{InsertFailed: c.failed, Drop: c.failed, Found: c.found}
			got := causesOf(trial, Circumstances{Pools: onePool(c.ports, 0)})
			if got[result.SNATRace] != c.race || got[result.PortExhaustion] != c.exhausted || got[result.Unexplained] != 0 {
				t.Errorf("%v, want %d by the race and %d for want of ports", got, c.race, c.exhausted)
			}
		})
	}
}

// onePool returns so many ports, of which each connection can have those of a block, or all.
func onePool(ports, block int) []Pool { return []Pool{{Ports: ports, Choice: cmp.Or(block, ports)}} }

// Each of several ranges is exhausted by the connections that passed its rule.
func TestFindCausesRanges(t *testing.T) {
	t.Parallel()
	two := []scenario.PortRange{{First: 20_000, Last: 20_015}, {First: 30_000, Last: 30_063}}
	arm := scenario.Arm{SNAT: scenario.SNATOptions{ToPorts: two, ToSource: []netip.Addr{netip.MustParseAddr("198.19.0.1")}}}
	for _, c := range []struct {
		name            string
		packets         []uint64
		open            int
		evicts          bool
		failed, found   uint64
		race, exhausted int
	}{
		{"one is full alone", []uint64{26, 54}, 0, false, 10, 10 * 16, 0, 10},
		{"no more than the looks account for", []uint64{26, 54}, 0, false, 10, 4 * 16, 6, 4},
		{"both are full", []uint64{20, 80}, 0, false, 20, 4*16 + 16*64, 0, 20},
		{"both have ports for all", []uint64{16, 64}, 0, false, 3, 1000, 3, 0},
		{"one is full alone, of connections that stay open", []uint64{26, 54}, 80, true, 10, 0, 0, 10},
		{"one is full alone, and connections are closed", []uint64{26, 54}, 20, true, 10, 0, 10, 0},
		{"nothing tells the ranges apart", nil, 80, true, 10, 1000, 10, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			trial := &result.Trial{Requests: 80, Failed: int(c.failed), Failures: map[string]int{result.Timeout: int(c.failed)}, MostOpen: c.open, RangePackets: c.packets}
			for _, n := range c.packets {
				trial.RulePackets += n
			}
			trial.Conntrack.ConntrackCounters = result.ConntrackCounters{InsertFailed: c.failed, Drop: c.failed, Found: c.found}
			got := causesOf(trial, Circumstances{Pools: PortPools(arm, 2), Evicts: c.evicts})
			if got[result.SNATRace] != c.race || got[result.PortExhaustion] != c.exhausted || got[result.Unexplained] != 0 {
				t.Errorf("%v, want %d by the race and %d for want of ports", got, c.race, c.exhausted)
			}
			checkSums(t, trial, got)
		})
	}
}

// Where closed entries are evicted, only connections that are open exhaust ports.
func TestFindCausesOpenConnections(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name            string
		requests, ports int
		block, open     int
		failed, found   uint64
		race, exhausted int
	}{
		{"closed at once: those that fail met another one", 2000, 500, 0, 0, 25, 2000 * 128, 25, 0},
		{"all ports held, each further connection looked in vain", 2000, 500, 0, 500, 1500, 1500 * 128, 0, 1500},
		{"a few are counted late", 2000, 500, 0, 450, 1500, 1500 * 128, 0, 1500},
		{"open connections leave ports", 2000, 500, 0, 449, 100, 2000 * 128, 100, 0},
		{"no more than the looks account for", 2000, 500, 0, 500, 1500, 1000 * 128, 500, 1000},
		{"a block of 64: the last 32 looks are not counted", 2000, 64, 0, 64, 1936, 1936 * 32, 0, 1936},
		{"a block of 16: no look is counted", 2000, 16, 0, 16, 1984, 17, 0, 1984},
		{"a block of 16, and connections that are closed", 2000, 16, 0, 8, 300, 17, 300, 0},
		{"two blocks of 16: no look is counted", 2000, 32, 16, 32, 1968, 17, 0, 1968},
		{"eight blocks of 64: a client looks at its own ports only", 2000, 512, 64, 512, 1488, 1488 * 32, 0, 1488},
		{"ports for all", 400, 500, 0, 400, 3, 0, 3, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			trial := &result.Trial{Requests: c.requests, Failed: int(c.failed), Failures: map[string]int{result.Timeout: int(c.failed)}, MostOpen: c.open}
			trial.Conntrack.ConntrackCounters = result.ConntrackCounters{InsertFailed: c.failed, Drop: c.failed, Found: c.found}
			got := causesOf(trial, Circumstances{Pools: onePool(c.ports, c.block), Evicts: true})
			if got[result.SNATRace] != c.race || got[result.PortExhaustion] != c.exhausted || got[result.Unexplained] != 0 {
				t.Errorf("%v, want %d by the race and %d for want of ports", got, c.race, c.exhausted)
			}
			checkSums(t, trial, got)
		})
	}
}

// Drops that may be other traffic's are not attributed to the race.
func TestFindCausesForeign(t *testing.T) {
	t.Parallel()
	trial := &result.Trial{Requests: 1000, Failed: 100, Failures: map[string]int{result.Timeout: 100}, Foreign: &result.Foreign{InsertFailed: 30, Drop: 40}}
	trial.Conntrack.ConntrackCounters = result.ConntrackCounters{InsertFailed: 90, Drop: 100}
	want := map[string]int{result.SNATRace: 60, result.CauseForeign: 40, result.Unexplained: 0}
	if d := gocmp.Diff(want, causesOf(trial, Circumstances{Pools: PortPools(scenario.Arm{}, 1), Max: full})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TIME_WAIT of the server explains only requests that the kernel did not drop.
func TestFindCausesTimeWait(t *testing.T) {
	t.Parallel()
	trial := &result.Trial{Requests: 1000, Failed: 12, Failures: map[string]int{result.Timeout: 12}, Server: result.Server{PAWSTimewait: new(uint64(10))}}
	want := map[string]int{result.TimeWait: 10, result.Unexplained: 2}
	if d := gocmp.Diff(want, causesOf(trial, Circumstances{Pools: PortPools(scenario.Arm{}, 1), Max: full})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// An arm leaves NAT a number of ports to choose from.
func TestPortPools(t *testing.T) {
	t.Parallel()
	for want, arm := range map[int]scenario.Arm{
		64512:     {},
		3 * 16:    {SNAT: scenario.SNATOptions{PortsPerClient: 16, ToSource: []netip.Addr{netip.MustParseAddr("198.19.0.1")}}},
		3 * 9:     {SNAT: scenario.SNATOptions{PortsPerClient: 9, ToPorts: []scenario.PortRange{{First: 20000, Last: 20499}}, ToSource: []netip.Addr{netip.MustParseAddr("198.19.0.1"), netip.MustParseAddr("198.19.0.2")}}},
		500:       {Masquerade: scenario.MasqueradeOptions{ToPorts: scenario.PortRange{First: 20000, Last: 20499}}},
		150:       {SNAT: scenario.SNATOptions{ToPorts: []scenario.PortRange{{First: 20000, Last: 20099}, {First: 30000, Last: 30049}}, ToSource: []netip.Addr{netip.MustParseAddr("198.19.0.1")}}},
		1000:      {SNAT: scenario.SNATOptions{ToPorts: []scenario.PortRange{{First: 20000, Last: 20499}}, ToSource: []netip.Addr{netip.MustParseAddr("198.19.0.1"), netip.MustParseAddr("198.19.0.2")}}},
		2 * 64512: {SNAT: scenario.SNATOptions{ToSource: []netip.Addr{netip.MustParseAddr("198.19.0.1"), netip.MustParseAddr("198.19.0.2")}}},
	} {
		got := 0
		for _, pool := range PortPools(arm, 3) {
			got += pool.Ports
		}
		if got != want {
			t.Errorf("%+v leaves %d ports, want %d", arm, got, want)
		}
	}
}

// The release of a kernel decides whether it evicts closed entries.
func TestEvictsClosedEntries(t *testing.T) {
	t.Parallel()
	for release, want := range map[string]bool{
		"6.18.44-fc-v669": true, "6.5.0-1-amd64": true, "7.0": true, "10.1.2": true,
		"6.4.16": false, "5.10.0-30-amd64": false, "": false, "linux": false,
	} {
		if EvictsClosedEntries(release) != want {
			t.Errorf("%q: %v", release, !want)
		}
	}
}

// A table that was not full explains nothing.
func TestFindCausesTableNotFull(t *testing.T) {
	t.Parallel()
	trial := &result.Trial{Requests: 1000, Failed: 12, Failures: map[string]int{result.Timeout: 12}}
	trial.Conntrack.ConntrackCounters = result.ConntrackCounters{Drop: 12}
	for entries, want := range map[uint64]map[string]int{
		899: {result.Unexplained: 12},
		900: {result.TableFull: 12, result.Unexplained: 0},
	} {
		trial.Conntrack.Entries = entries
		if d := gocmp.Diff(want, causesOf(trial, Circumstances{Pools: PortPools(scenario.Arm{}, 1), Max: 1000})); d != "" {
			t.Errorf("%d entries (-want +got):\n%s", entries, d)
		}
	}
}

// A connection from a port that was used before need not pass the rule.
//
// A connection that got no answer leaves its entry: the next one from the same
// port is no new connection, and does not meet the rule.
func TestCheckTrialUsedPort(t *testing.T) {
	t.Parallel()
	trial := failedTrial(map[string]int{result.Timeout: 40}, result.ConntrackCounters{})
	trial.SourcePorts, trial.RulePackets = 64, 64
	if err := Check(trial, "", ""); err != nil {
		t.Error(err)
	}
	trial.RulePackets = 63
	if err := Check(trial, "", ""); err == nil {
		t.Error("64 ports, and 63 connections passed the rule")
	}
}

// Without a limit the table cannot be full.
func TestFindCausesNoLimit(t *testing.T) {
	t.Parallel()
	trial := &result.Trial{Requests: 100, Failed: 10, Failures: map[string]int{result.Timeout: 10}}
	trial.Conntrack.Drop, trial.Conntrack.Entries = 10, 1<<40
	got := causesOf(trial, Circumstances{Pools: PortPools(scenario.Arm{}, 1)})
	if want := map[string]int{result.Unexplained: 10}; gocmp.Diff(want, got) != "" {
		t.Errorf("got %v, want %v", got, want)
	}
}
