package causes

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// controlled adds a control to a trial.
func controlled(trial *result.Trial, failures map[string]int) *result.Trial {
	trial.Control = &result.Control{Requests: 100, Failed: sumValues(failures), SourcePorts: 100, Failures: failures, RulePackets: 100}
	return trial
}

// The kernel does not count by port: an arm and its control share each cause by the
// number of their unanswered requests.
func TestControlCauses(t *testing.T) {
	timeouts := func(n int) map[string]int { return map[string]int{result.Timeout: n} }
	for _, test := range []struct {
		name         string
		arm, control map[string]int
		counters     result.ConntrackCounters
		ports        int
		want         [2]map[string]int
	}{
		{"only the control lost", nil, timeouts(40), result.ConntrackCounters{InsertFailed: 40, Drop: 40}, 64512,
			[2]map[string]int{{}, {"snat_race": 40}}},
		{"only the arm lost", timeouts(3), nil, result.ConntrackCounters{InsertFailed: 3, Drop: 3}, 64512,
			[2]map[string]int{{"snat_race": 3}, {}}},
		{"both lost, and the race explains it all", timeouts(10), timeouts(30), result.ConntrackCounters{InsertFailed: 40, Drop: 40}, 64512,
			[2]map[string]int{{"snat_race": 10}, {"snat_race": 30}}},
		{"a part is unexplained", timeouts(10), timeouts(30), result.ConntrackCounters{InsertFailed: 20, Drop: 20}, 64512,
			[2]map[string]int{{"snat_race": 5, "unexplained": 5}, {"snat_race": 15, "unexplained": 15}}},
		{"parts that are no whole numbers", timeouts(1), timeouts(2), result.ConntrackCounters{InsertFailed: 2, Drop: 2}, 64512,
			[2]map[string]int{{"snat_race": 1}, {"snat_race": 1, "unexplained": 1}}},
		{"exhausted ports are the arm's", timeouts(80), timeouts(40), result.ConntrackCounters{InsertFailed: 120, Drop: 120, Found: 16 * 80}, 16,
			[2]map[string]int{{"port_exhaustion": 80}, {"snat_race": 40}}},
		{"what a client saw stays where it was seen", map[string]int{"refused": 2}, map[string]int{"reset": 3, "eaddrinuse": 1, "other": 4}, result.ConntrackCounters{InsertFailed: 9}, 64512,
			[2]map[string]int{{"refused": 2}, {"reset": 3, "client_ports": 1, "unexplained": 4}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			trial := controlled(failedTrial(test.arm, test.counters), test.control)
			Find(trial, Circumstances{Pools: onePool(test.ports, 0)})
			for i, got := range []map[string]int{trial.Causes, trial.Control.Causes} {
				if _, ok := test.want[i][result.Unexplained]; !ok {
					test.want[i][result.Unexplained] = 0
				}
				if d := cmp.Diff(test.want[i], got); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
			}
			checkSums(t, trial, trial.Causes)
			checkSums(t, &result.Trial{Failed: trial.Control.Failed}, trial.Control.Causes)
		})
	}
}

// What the full table dropped never came to a rule, so the rules' counters tell whose it
// was, and the race is not shared out by number.
func TestFullTableCauses(t *testing.T) {
	for _, test := range []struct {
		name             string
		own, controls    int    // timeouts
		matched, also    uint64 // by the rule of the arm, and by the control's
		counters         result.ConntrackCounters
		gone             [2]int
		entries          uint64
		want, ofControls map[string]int
		guess            bool
	}{
		{"an arm without the race", 30, 50, 70, 75, result.ConntrackCounters{InsertFailed: 25, Drop: 80}, [2]int{30, 50}, full,
			map[string]int{"table_full": 30, "unexplained": 0}, map[string]int{"table_full": 25, "snat_race": 25, "unexplained": 0}, false},
		{"both lost to both", 40, 50, 70, 75, result.ConntrackCounters{InsertFailed: 35, Drop: 90}, [2]int{40, 50}, full,
			map[string]int{"table_full": 30, "snat_race": 10, "unexplained": 0}, map[string]int{"table_full": 25, "snat_race": 25, "unexplained": 0}, false},
		{"one more is missing, without an entry of the control", 31, 50, 70, 75, result.ConntrackCounters{InsertFailed: 25, Drop: 80}, [2]int{30, 50}, full,
			map[string]int{"table_full": 30, "unexplained": 1}, map[string]int{"table_full": 25, "snat_race": 25, "unexplained": 0}, true},
		{"other traffic passes the rules: by number", 30, 30, 100, 100, result.ConntrackCounters{Drop: 60}, [2]int{}, full,
			map[string]int{"table_full": 30, "unexplained": 0}, map[string]int{"table_full": 30, "unexplained": 0}, false},
		{"fewer drops than packets that are missing", 30, 30, 70, 70, result.ConntrackCounters{Drop: 40}, [2]int{}, full,
			map[string]int{"table_full": 30, "unexplained": 0}, map[string]int{"table_full": 10, "unexplained": 20}, false},
		{"a table with room", 30, 50, 70, 75, result.ConntrackCounters{InsertFailed: 25, Drop: 25}, [2]int{}, full / 2,
			map[string]int{"snat_race": 9, "unexplained": 21}, map[string]int{"snat_race": 16, "unexplained": 34}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			timeouts := func(n int) map[string]int { return map[string]int{result.Timeout: n} }
			trial := controlled(failedTrial(timeouts(test.own), test.counters), timeouts(test.controls))
			trial.RulePackets, trial.Control.RulePackets, trial.Conntrack.Entries = test.matched, test.also, test.entries
			c := Circumstances{Pools: PortPools(scenario.Arm{}, 1), Max: full}
			Find(trial, c)
			if got := IsGuess(trial, c); got != test.guess {
				t.Errorf("a guess: %v", got)
			} else if got && test.gone != [2]int{} {
				c.Gone.Arm, c.Gone.Control = test.gone[0], test.gone[1]
				Find(trial, c)
			}
			if d := cmp.Diff(test.want, trial.Causes); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := cmp.Diff(test.ofControls, trial.Control.Causes); d != "" {
				t.Errorf("control (-want +got):\n%s", d)
			}
			checkSums(t, trial, trial.Causes)
			checkSums(t, &result.Trial{Failed: trial.Control.Failed}, trial.Control.Causes)
		})
	}
}

// Failed = the sum of its causes, for an arm and for its control, and no more of a
// cause than was counted.
func FuzzControlCausesAddUp(f *testing.F) {
	f.Add(uint16(0), uint16(0), uint16(0), uint16(0), uint64(0), uint64(0), uint64(0), uint64(0))
	f.Add(uint16(7), uint16(13), uint16(5), uint16(6), uint64(9), uint64(12), uint64(2), uint64(3))
	f.Add(uint16(65535), uint16(65535), uint16(65535), uint16(1), ^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0))
	f.Fuzz(func(t *testing.T, own, controls, goneOwn, goneControls uint16, insertFailed, drops, chains, found uint64) {
		trial := controlled(failedTrial(map[string]int{result.Timeout: int(own)}, result.ConntrackCounters{InsertFailed: insertFailed, Drop: drops, ChainTooLong: &chains, Found: found}),
			map[string]int{result.Timeout: int(controls)})
		trial.Filtered, trial.Control.Filtered = &chains, &found
		trial.RulePackets, trial.Control.RulePackets = found%101, chains%101
		c := Circumstances{Pools: onePool(16, 0), Max: full}
		c.Gone.Arm, c.Gone.Control = min(int(own), int(goneOwn)), min(int(controls), int(goneControls))
		Find(trial, c)
		checkSums(t, trial, trial.Causes)
		checkSums(t, &result.Trial{Failed: trial.Control.Failed}, trial.Control.Causes)
		if race := trial.Causes[result.SNATRace] + trial.Control.Causes[result.SNATRace]; uint64(race) > insertFailed {
			t.Errorf("%d put down to the race, of %d failed insertions", race, insertFailed)
		}
		if own == 0 && trial.Failed != sumValues(trial.Causes) {
			t.Errorf("an arm that lost nothing has %v", trial.Causes)
		}
	})
}

func TestCheckControl(t *testing.T) {
	for _, test := range []struct {
		name     string
		failures map[string]int
		drops    uint64
		matched  uint64
		want     string
	}{
		{"all passed", nil, 0, 100, ""},
		{"one did not", nil, 0, 99, `the rule of the control, "control", matched 99 of 100 connections`},
		{"a full table drops before the rule", map[string]int{result.Timeout: 10}, 10, 90, ""},
		{"requests that no client sent", map[string]int{result.EADDRINUSE: 5}, 0, 95, ""},
		{"none succeeded", map[string]int{result.Timeout: 100}, 0, 100, "none of 100 requests of the control succeeded: map[timeout:100]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			trial := controlled(failedTrial(nil, result.ConntrackCounters{Drop: test.drops}), test.failures)
			trial.Control.RulePackets = test.matched
			err := Check(trial, "arm", "control")
			if text := fmt.Sprint(err); test.want == "" && err != nil || test.want != "" && !strings.HasPrefix(text, test.want) {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

// sumValues adds up the values of failures or causes.
func sumValues(of map[string]int) (n int) {
	for _, v := range of {
		n += v
	}
	return n
}
