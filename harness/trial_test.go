package harness

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"snatlab/harness/causes"
	"snatlab/harness/conntrack"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// An error about a path that does not pass the rule has its figures.
func TestCheckPath(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		script
		want string // of what it matched, and of what arrived
	}{
		{"a rule that matches nothing", script{matched: func(uint64) uint64 { return 0 }}, ` to pass the rule "-j MASQUERADE": it matched 0 of them, and 3 reached the server; no other rule matched them at the postrouting hook, so they did not reach it, or are exempt from NAT`},
		{"a rule that one client passes by", script{matched: func(sent uint64) uint64 { return sent * 2 / 3 }}, ` to pass the rule "-j MASQUERADE": it matched 2 of them, and 3 reached the server; no other rule matched them at the postrouting hook, so they did not reach it, or are exempt from NAT`},
		{"a server that is not there", script{deaf: func(int) bool { return true }}, `: 0 did, though the rule "-j MASQUERADE" matched all of them; the others were lost after it, or their answers were: map[refused:3] (check the server and its firewall, and for the answers the chains FORWARD and DOCKER-USER)`},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeLab(t, 3)
			f.script = test.script
			r, _, err := f.run(t.Context(), ephemeralScenario(3, "a"))
			text := fmt.Sprint(err)
			if !strings.HasPrefix(text, "path check: expected 3 connections to ") || !strings.HasSuffix(text, test.want) {
				t.Errorf("error %v", err)
			}
			if countTrials(r) != 0 || f.countCalls("client 0") != 1 {
				t.Errorf("%d trials were made all the same", f.countCalls("client 0")-1)
			}
		})
	}
}

// A rule that matched more than the clients is no error.
func TestCheckPathForeign(t *testing.T) {
	t.Parallel()
	f := newFakeLab(t, 2)
	f.matched = func(sent uint64) uint64 { return 3*sent + 17 } // others share the network
	if _, _, err := f.run(t.Context(), ephemeralScenario(2, "a")); err != nil {
		t.Error(err)
	}
}

// A trial that shows nothing is an error and not recorded.
func TestRunEmptyTrial(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		script
		want string
	}{
		{
			"a rule that is gone after the load",
			script{before: func(call string, n int) error {
				return errorIf(call == callPackets && n == 7, errors.New("the rule is gone"))
			}},
			"round 2, arm a: the rule is gone",
		}, {
			"a rule that one request passes by",
			script{matched: func(sent uint64) uint64 { return min(sent, 121) }}, // 2 + 40 + 40 + 39
			`round 2, arm a: the rule "-j MASQUERADE" matched 39 of 40 connections; no other rule matched them at the postrouting hook, so they did not reach it, or are exempt from NAT`,
		}, {
			"no request that succeeded",
			script{deaf: func(trial int) bool { return trial == 3 }},
			"round 2, arm a: none of 40 requests succeeded: map[refused:40]",
		}, {
			"counters that cannot be compared",
			script{table: func(n int) conntrack.Snapshot {
				s := conntrack.Snapshot{Max: 1000}
				if n == 8 { // the third look of the second trial
					s.CPUs = make([]conntrack.CPUCounters, 1)
				}
				return s
			}},
			"round 2, arm a: conntrack counters of 0 CPUs before and of 1 after",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeLab(t, 2)
			f.script = test.script
			r, _, err := f.run(t.Context(), ephemeralScenario(2, "a"))
			if fmt.Sprint(err) != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
			if countTrials(r) != 1 {
				t.Errorf("%d trials are in the result, want the one before", countTrials(r))
			}
			checkRestored(t, f)
		})
	}
}

// A rule whose counter restarted is an error.
//
// A restart of Docker, or a reload of the firewall, writes the same rule again.
func TestRunReplacedRule(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		at            string
		before, again uint64 // requests sent before that, and packets counted after the next load
		trials        int
	}{{"path check", 0, 2, 0}, {"warm-up", 2, 40, 0}, {"round 1, arm a", 42, 40, 0}, {"round 2, arm a", 82, 40, 1}} {
		t.Run(test.at, func(t *testing.T) {
			f := newFakeLab(t, 2)
			f.matched = func(sent uint64) uint64 {
				if sent > test.before {
					return sent - test.before
				}
				return 1000 + sent
			}
			r, _, err := f.run(t.Context(), ephemeralScenario(2, "a"))
			want := fmt.Sprintf("its counter went from %d to %d", 1000+test.before, test.again)
			if text := fmt.Sprint(err); !strings.HasPrefix(text, test.at+`: the rule "-j MASQUERADE" was replaced meanwhile`) || !strings.Contains(text, want) {
				t.Errorf("error %v, want %s", err, want)
			}
			if countTrials(r) != test.trials {
				t.Errorf("%d trials are in the result, want those before", countTrials(r))
			}
		})
	}
}

// The counters of the server and the table are recorded.
func TestRunCounters(t *testing.T) {
	t.Parallel()
	f := newFakeLab(t, 2)
	f.table = func(n int) conntrack.Snapshot { return conntrack.Snapshot{Entries: uint64(n), Max: 1000} }
	r, _, err := f.run(t.Context(), ephemeralScenario(2, "a"))
	if err != nil {
		t.Fatal(err)
	}
	for i, trial := range r.Arms[0].Trials {
		if got, want := trial.Conntrack.Entries, uint64(3*(i+1)+2); got != want {
			t.Errorf("trial %d: %d entries, want those after the load, %d", i, got, want)
		}
		if trial.Server.Accepted != 40 || trial.Failed != 0 || trial.Latency.Max <= 0 || trial.Seconds <= 0 || trial.Port == 0 {
			t.Errorf("trial %d: %+v", i, trial)
		}
	}
	if r.Memory.Client == 0 || r.Memory.Controller == 0 || r.Seconds <= 0 {
		t.Errorf("memory %+v, %v s", r.Memory, r.Seconds)
	}
}

// Refused requests are failures with their cause.
func TestRunRefused(t *testing.T) {
	t.Parallel()
	f := newFakeLab(t, 2)
	x := experiment{Scenario: ephemeralScenario(2, "a"), lab: f, result: newRecord(ephemeralScenario(2, "a"), RunOptions{})}
	f.deaf = func(int) bool { return true }
	at, err := f.Listen(t.Context(), 0, false)
	if err != nil {
		t.Fatal(err)
	}
	sent, err := x.sendLoad(t.Context(), scenario.Arm{}, at.Arm, 0, x.Load.Requests, trialStart{})
	if err != nil {
		t.Fatal(err)
	}
	trial := x.sumReports(sent.reports)
	causes.Find(trial, causes.Circumstances{Pools: causes.PortPools(scenario.Arm{}, 1)})
	if got := trial.Causes[result.CauseRefused]; trial.Failed != 40 || got != 40 {
		t.Errorf("%d of %d failed, %d refused", trial.Failed, trial.Requests, got)
	}
}

// experimentWithTable returns an experiment with nothing but a conntrack table.
func experimentWithTable(entries func(look int) uint64) (*experiment, *fakeLab) {
	f := &fakeLab{script: script{table: func(n int) conntrack.Snapshot {
		return conntrack.Snapshot{Entries: entries(n), Max: 1000}
	}}}
	s := ephemeralScenario(2, "a")
	return &experiment{Scenario: s, lab: f}, f
}

// A table that stays full ends the run with its figures.
func TestAwaitRoomFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x, _ := experimentWithTable(func(int) uint64 { return 801 })
		begun := time.Now()
		err := x.awaitRoom(t.Context(), 100)
		want := "the conntrack table has 801 of 1000 entries in use, a trial wants room for 200 more (raise net.netfilter.nf_conntrack_max, or send fewer requests)"
		if fmt.Sprint(err) != want {
			t.Errorf("error %v, want %s", err, want)
		}
		if waited := time.Since(begun); waited < expiry || waited > 2*expiry {
			t.Errorf("waited %v", waited)
		}
	})
}

// A trial waits for a table that drains.
func TestAwaitRoomDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x, f := experimentWithTable(func(look int) uint64 { return 805 - uint64(look) })
		if err := x.awaitRoom(t.Context(), 100); err != nil {
			t.Error(err)
		}
		if got := f.countCalls(callConntrack); got != 6 { // 805 to 800
			t.Errorf("went on after %d looks", got)
		}
	})
}

// The wait for room ends with its context.
func TestAwaitRoomCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x, _ := experimentWithTable(func(int) uint64 { return 1000 })
		ctx, cancel := context.WithCancelCause(t.Context())
		interrupted := errors.New("interrupted")
		time.AfterFunc(time.Second, func() { cancel(interrupted) })
		if err := x.awaitRoom(ctx, 100); err != interrupted {
			t.Errorf("error %v", err)
		}
	})
}

// Clients that share no memory keep step by the clock.
func TestRunNoSharedMemory(t *testing.T) {
	t.Parallel()
	f := newFakeLab(t, 1)
	f.barrier = filepath.Join(t.TempDir(), "no such folder", "barrier")
	r, _, err := f.run(t.Context(), lockstepScenario(result.SyncBarrier, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Scenario.Sync != result.SyncClock || countTrials(r) != 2 {
		t.Errorf("sync %s, %d trials", r.Scenario.Sync, countTrials(r))
	}
	want := "clients share no memory (client 0: open barrier: open " + f.barrier +
		": no such file or directory): they keep step by the clock, which misses the race on a busy machine"
	found := 0
	for _, w := range r.Warnings {
		if w == want {
			found++
		}
	}
	if found != 1 {
		t.Errorf("warnings %q, want once %q", r.Warnings, want)
	}
	for _, load := range f.loads[1:] {
		if load.Lockstep.Barrier != "" || load.Lockstep.Start == 0 {
			t.Errorf("a client was told to meet at %q, and to start at %d", load.Lockstep.Barrier, load.Lockstep.Start)
		}
	}
}

// The way in which the clients kept in step is recorded.
func TestRunSync(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		scenario *scenario.Scenario
		want     string
	}{
		{lockstepScenario(result.SyncBarrier, "a"), "barrier"},
		{lockstepScenario(result.SyncClock, "a"), "clock"},
		{ephemeralScenario(1, "a"), "none"},
	} {
		t.Run(test.want, func(t *testing.T) {
			f := newFakeLab(t, 1)
			r, _, err := f.run(t.Context(), test.scenario)
			if err != nil || r.Scenario.Sync != test.want {
				t.Errorf("error %v, sync %q", err, r.Scenario.Sync)
			}
			for _, load := range f.loads[1:] {
				meets := load.Lockstep != nil && load.Lockstep.Barrier == f.barrier
				if meets != (test.want == "barrier") {
					t.Errorf("a client was given %+v", load.Lockstep)
				}
			}
		})
	}
}

// A client that dies while it is asked to share memory ends the run.
func TestRunShareDies(t *testing.T) {
	t.Parallel()
	f := newFakeLab(t, 1)
	f.before = func(call string, _ int) error {
		if call == callForget {
			return f.clients[0].Stream.Close() // after the path check
		}
		return nil
	}
	r, _, err := f.run(t.Context(), lockstepScenario(result.SyncBarrier, "a"))
	if err == nil || !strings.Contains(err.Error(), exitReason) || countTrials(r) != 0 {
		t.Errorf("error %v, %d trials", err, countTrials(r))
	}
	checkRestored(t, f)
}

// The entries of each trial are deleted.
func TestForgetEntries(t *testing.T) {
	t.Parallel()
	for _, s := range []*scenario.Scenario{ephemeralScenario(3, "a", "b"), lockstepScenario(result.SyncBarrier, "a", "b")} {
		t.Run(s.Load.Pattern, func(t *testing.T) {
			f := newFakeLab(t, s.Clients)
			if _, _, err := f.run(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			if want := 2 + 4; len(f.forgotten) != want { // the path check, the warm-up, and 2 rounds of 2 arms
				t.Fatalf("forgot %d times, want %d", len(f.forgotten), want)
			}
			for i, forgot := range f.forgotten {
				if len(forgot.ports) != s.Clients {
					t.Fatalf("call %d: ports of %d clients", i, len(forgot.ports))
				}
				load := f.loads[i*s.Clients]
				if forgot.server != load.Server {
					t.Errorf("call %d: server %v, the load went to %v", i, forgot.server, load.Server)
				}
				for c, ranges := range forgot.ports {
					if got := countPorts(ranges); got != load.Requests {
						t.Errorf("call %d, client %d: %d ports of %d requests: %v", i, c, got, load.Requests, ranges)
					}
				}
			}
		})
	}
}

// countPorts returns the number of ports of ranges.
func countPorts(ranges []scenario.PortRange) (n int) {
	for _, r := range ranges {
		n += int(r.Last-r.First) + 1
	}
	return n
}
