package harness

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/causes"
	"snatlab/harness/probe"
	"snatlab/harness/probe/load/lockstep"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// losing makes a control that loses the same in every load.
func losing(lost map[string]int) func(string, int) map[string]int {
	return func(string, int) map[string]int { return lost }
}

// sumValues adds up the values of failures or causes.
func sumValues(of map[string]int) (n int) {
	for _, v := range of {
		n += v
	}
	return n
}

func TestControl(t *testing.T) {
	t.Run("what became of its requests is recorded apart from the arm's", func(t *testing.T) {
		f := newFakeLab(t, 1)
		f.controlLost = losing(map[string]int{result.Timeout: 30, result.Refused: 2})
		f.phase = func(string, int) probe.Phase {
			return probe.Phase{DelayLow: 0, DelayHigh: 4000, Turns: 4, Locked: 3, Searches: 1}
		}
		r, _, err := f.run(t.Context(), lockstepScenario(result.SyncClock, "a", "b"))
		if err != nil {
			t.Fatal(err)
		}
		if want := f.ControlRule(); r.Environment.ControlRule != want {
			t.Errorf("rule %q, want %q", r.Environment.ControlRule, want)
		}
		for _, a := range r.Arms {
			for _, trial := range a.Trials {
				c := trial.Control
				if trial.Requests != 100 || trial.Failed != 0 || trial.RulePackets != 100 {
					t.Errorf("%s: %+v counts the control's", a.Name, trial)
				}
				if c == nil || (c.Port == int(f.commonPort().Port())) == (trial.Port == int(f.commonPort().Port())) || c.Requests != 100 || c.Failed != 32 || c.SourcePorts != 100 || c.RulePackets != 100 || c.Latency.P50 != 20 {
					t.Fatalf("%s: control %+v", a.Name, c)
				}
				if got := sumValues(c.Failures); got != c.Failed {
					t.Errorf("%s: %d failures, %d failed", a.Name, got, c.Failed)
				}
				if want := map[string]int{result.CauseRefused: 2, result.Unexplained: 30}; !maps.Equal(c.Causes, want) {
					t.Errorf("%s: causes %v, want %v", a.Name, c.Causes, want)
				}
				if want := (result.Phase{DelayHigh: 4000, Locked: 0.75, Searches: 1}); *trial.Phase != want {
					t.Errorf("%s: phase %+v, want %+v", a.Name, *trial.Phase, want)
				}
				if !trial.NoHits {
					t.Errorf("%s: nothing was lost to the race, and the trial is not marked", a.Name)
				}
			}
		}
	})
	t.Run("its entries are forgotten", func(t *testing.T) {
		f := newFakeLab(t, 1)
		f.controlLost = losing(nil)
		if _, _, err := f.run(t.Context(), lockstepScenario(result.SyncClock, "a")); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, forgot := range f.forgotten {
			if ports := forgot.ports[0]; ports[0].First >= f.controlPorts.First {
				n += probe.CountPorts(ports)
			}
		}
		if n != 301 {
			t.Errorf("entries of %d connections of the control were forgotten, want 3 trials of 100, the warm-up included, and the path check", n)
		}
	})
	t.Run("a client takes its delays from trial to trial", func(t *testing.T) {
		f := newFakeLab(t, 1)
		f.controlLost = losing(nil)
		f.phase = func(_ string, n int) probe.Phase {
			return probe.Phase{Delays: []int64{int64(1000 * (n + 1)), int64(1500 * (n + 1))}}
		}
		if _, _, err := f.run(t.Context(), lockstepScenario(result.SyncClock, "a", "b")); err != nil {
			t.Fatal(err)
		}
		var got [][]int64
		for _, load := range f.loads[2:] { // the path check has two
			got = append(got, load.Lockstep.Control.Delays)
		}
		if d := cmp.Diff([][]int64{nil, {0, 500}, {0, 1000}, {0, 1500}, {0, 2000}}, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
	t.Run("a client names its unanswered requests", func(t *testing.T) {
		f := newFakeLab(t, 1)
		f.controlLost = losing(nil)
		if _, _, err := f.run(t.Context(), lockstepScenario(result.SyncClock, "a")); err != nil {
			t.Fatal(err)
		}
		for _, load := range f.loads[2:] {
			if !load.Explain {
				t.Errorf("a client was given %+v", load)
			}
		}
	})
	t.Run("other patterns have none", func(t *testing.T) {
		f := newFakeLab(t, 2)
		f.controlLost = losing(nil)
		r, _, err := f.run(t.Context(), ephemeralScenario(2, "a"))
		if err != nil || r.Arms[0].Trials[0].Control != nil || r.Environment.ControlRule != "" {
			t.Errorf("error %v, control %+v", err, r.Arms[0].Trials[0].Control)
		}
	})
}

func TestControlPath(t *testing.T) {
	f := newFakeLab(t, 1)
	f.controlLost, f.controlMatched = losing(nil), func(uint64) (uint64, error) { return 0, nil }
	r, _, err := f.run(t.Context(), lockstepScenario(result.SyncClock, "a"))
	want := fmt.Sprintf(`path check: control: expected 1 connection to %v to pass the rule "-d server -j MASQUERADE": it matched 0 of them, and 1 reached the server; `, f.commonPort())
	if !strings.HasPrefix(fmt.Sprint(err), want) || countTrials(r) != 0 {
		t.Errorf("error %v, want %s", err, want)
	}
	checkRestored(t, f)
}

// A control whose connections did not pass its rule shows nothing.
func TestControlRule(t *testing.T) {
	const nobody = "; no other rule matched them at the postrouting hook, so they did not reach it, or are exempt from NAT"
	for name, test := range map[string]struct {
		matched func(uint64) (uint64, error)
		lost    map[string]int
		want    string
	}{
		"another rule took one":  {func(passed uint64) (uint64, error) { return min(passed, 300), nil }, nil, `the rule of the control, "-d server -j MASQUERADE", matched 99 of 100 connections` + nobody},
		"it is gone":             {func(passed uint64) (uint64, error) { return passed, errorIf(passed > 300, errors.New("no such rule")) }, nil, ""},
		"it was written anew":    {func(passed uint64) (uint64, error) { return passed % 301, nil }, nil, `the rule "-d server -j MASQUERADE" was replaced meanwhile: its counter went from 201 to 0`},
		"nothing came of it all": {nil, map[string]int{result.Refused: 100}, "none of 100 requests of the control succeeded: map[refused:100]"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeLab(t, 1)
			f.controlLost, f.controlMatched = losing(nil), test.matched
			if test.lost != nil {
				f.controlLost = func(_ string, n int) map[string]int {
					if n == 2 {
						return test.lost
					}
					return nil
				}
			}
			r, _, err := f.run(t.Context(), lockstepScenario(result.SyncClock, "a"))
			if test.want == "" {
				test.want = "no such rule"
			}
			if want := "round 2, arm a: " + test.want; fmt.Sprint(err) != want {
				t.Errorf("error %v, want %s", err, want)
			}
			if countTrials(r) != 1 {
				t.Errorf("%d trials, want the one before", countTrials(r))
			}
			checkRestored(t, f)
		})
	}
}

func TestAddControl(t *testing.T) {
	ports := func(n int) scenario.PortRange { return scenario.PortRange{First: 40000, Last: uint16(40000 + n - 1)} }
	split := []scenario.Arm{{Name: "a"}, {Name: "b", ClientPorts: result.SplitPorts}}
	for _, test := range []struct {
		name     string
		requests int
		arms     []scenario.Arm
		clients  int
		ports    int
		every    int // 0: no control
	}{
		{"a slot for each", 1000, nil, 2, 20000, 1},
		{"just one for each", 700, nil, 2, 1598, 1},
		{"one for each but for a port", 700, nil, 2, 1597, 2},
		{"every third", 900, nil, 2, 1372, 3},
		{"so few that it is not worth it", 900, nil, 2, 1030, 0},
		{"no port to spare", 875, nil, 2, 1000, 0},
		{"few requests need few", 7, nil, 2, 14, 1},
		{"clients that take turns", 700, nil, 4, 3198, 1},
		{"ports that are split among clients", 500, split, 2, 2000, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.arms == nil {
				test.arms = []scenario.Arm{{Name: "a"}}
			}
			whole := ports(test.ports)
			x := lockstepExperiment(t, test.requests, test.arms, slices.Repeat([]scenario.PortRange{whole}, test.clients)...)
			x.lab.(*fakeLab).controlLost = losing(nil)
			if err := x.choosePorts(t.Context()); err != nil {
				t.Fatal(err)
			}
			if x.control.every != test.every {
				t.Fatalf("a slot of the control for every %d of the arm, want %d", x.control.every, test.every)
			}
			if test.every == 0 {
				if len(x.result.WarningValues) != 1 || x.result.WarningValues[0].Code != result.NoControl || x.ports != whole {
					t.Errorf("warnings %+v, ports %v", x.result.WarningValues, x.ports)
				}
				return
			}
			own, of := x.ports, x.control.ports
			if own.First != whole.First || own.Last+1 != of.First || of.Last != whole.Last {
				t.Errorf("%v is parted into %v and %v", whole, own, of)
			}
			slots := test.requests * test.clients / 2
			controls := lockstep.CountControlSlots(test.clients, 2, test.requests, test.every)
			if own.Slots() < slots || of.Slots() < controls {
				t.Errorf("%d and %d slots fit, for %d of the arm and %d of the control", own.Slots(), of.Slots(), slots, controls)
			}
			if test.arms[len(test.arms)-1].ClientPorts == result.SplitPorts && x.ownPorts(1).Len() < test.requests {
				t.Errorf("a client has %v of its own for %d requests", x.ownPorts(1), test.requests)
			}
		})
	}
}

func TestKeepDelays(t *testing.T) {
	c := control{server: netip.MustParseAddrPort("127.0.0.1:19999"), every: 1}
	c.keepDelays([]*probe.Report{{Phase: &probe.Phase{Delays: []int64{900, 700}}}, {Phase: &probe.Phase{Delays: []int64{650}}}, {Phase: &probe.Phase{}}})
	if d := cmp.Diff([][]int64{{250, 50}, {0}, nil}, c.delays); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if part := c.partOf(1); !slices.Equal(part.Delays, []int64{0}) {
		t.Errorf("client 1 is given %+v", part)
	}
}

// Counters that explain a part leave it open whose. Requests with an entry passed NAT.
func TestCountGone(t *testing.T) {
	f := &fakeLab{script: script{entries: []map[uint16]string{{10: "SYN_SENT", 11: "SYN_SENT", 12: "SYN_SENT"}}, controlLost: losing(nil)}}
	x := &experiment{Scenario: ephemeralScenario(1, "a"), lab: f, control: control{server: f.commonPort(), every: 1}}
	report := &probe.Report{Control: &probe.Outcome{Silent: []scenario.PortRange{{First: 100, Last: 139}}}}
	report.Silent = []scenario.PortRange{{First: 10, Last: 13}}
	trial := &result.Trial{Requests: 100, Failed: 4, Failures: map[string]int{result.Timeout: 4}}
	trial.Conntrack.InsertFailed, trial.Conntrack.Drop = 41, 41
	trial.Control = &result.Control{Requests: 100, Failed: 40, Failures: map[string]int{result.Timeout: 40}}
	c := causes.Circumstances{Pools: causes.PortPools(scenario.Arm{}, 1)}
	causes.Find(trial, c)
	if !causes.IsGuess(trial, c) || trial.Causes[result.SNATRace] != 4 {
		t.Errorf("causes %v, by number", trial.Causes)
	}
	if err := x.countGone(t.Context(), netip.AddrPort{}, []*probe.Report{report}, &c); err != nil {
		t.Fatal(err)
	}
	causes.Find(trial, c)
	if want := map[string]int{result.SNATRace: 1, result.Unexplained: 3}; !maps.Equal(trial.Causes, want) {
		t.Errorf("causes %v, want %v", trial.Causes, want)
	}
	if want := map[string]int{result.SNATRace: 40, result.Unexplained: 0}; !maps.Equal(trial.Control.Causes, want) {
		t.Errorf("causes of the control %v, want %v", trial.Control.Causes, want)
	}
}

// Of each two trials of an arm one has the server ports swapped, and which one is drawn.
func TestSwapsPorts(t *testing.T) {
	t.Parallel()
	first := 0
	for seed := range uint64(20) {
		x := &experiment{result: &result.Result{Scenario: result.ScenarioSummary{Seed: seed}}}
		for pair := range 50 {
			a, b := x.swapsPorts(2*pair), x.swapsPorts(2*pair+1)
			if a == b {
				t.Errorf("seed %d: swapped %v in trial %d and in the next one", seed, a, 2*pair)
			}
			if a {
				first++
			}
		}
	}
	if first < 450 || first > 550 {
		t.Errorf("the first of two is swapped in %d of 1000 pairs", first)
	}
}
