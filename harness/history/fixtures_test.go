package history

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"snatlab/harness/result"
	"snatlab/harness/verdict"
)

var firstDay = time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)

// ran says what differs from an ordinary run, in which the baseline lost
// connections and the mitigation did not.
type ran struct {
	day    int
	kernel string // 6.12.107 if empty
	// requests of random-fully that failed in each of 8 trials of 6,000, and why
	failed int
	cause  string
	lost   int // requests of the baseline that failed in each trial; about 1,000 if 0
	change func(*result.Result)
}

// result makes the result of a run, as package verdict judges it.
func (n ran) result() *result.Result {
	draw := rand.New(rand.NewPCG(uint64(n.day), 7))
	if n.kernel == "" {
		n.kernel = "6.12.107"
	}
	if n.cause == "" {
		n.cause = result.SNATRace
	}
	started := firstDay.AddDate(0, 0, n.day)
	r := &result.Result{
		Schema: result.Schema, ID: started.Format("20060102-150405-") + fmt.Sprintf("%06x", draw.Uint32()>>8), Version: "v0-test", Started: started, Seconds: 14,
		Scenario: result.Scenario{Name: "quickstart", Hash: "sha256:5b0c94d2e1a7", Clients: 2, Pattern: "lockstep", Sync: "barrier", Requests: 3000, Rounds: 8, Seed: 1},
		Environment: result.Env{Kernel: n.kernel, Arch: "amd64", CPUs: 2, CPUsOnline: 2, Driver: "netns", NAT: "nftables", Virtualisation: new("kvm"),
			CPUModel: new("Model 1"), ClientNetwork: "198.18.0.0/24", Server: "198.18.1.2:9"},
		Arms:        []result.Arm{{Name: "masquerade", Settings: []string{}}, {Name: "random-fully", Settings: []string{}}},
		Expected:    []result.Expect{{Arm: "masquerade", Race: "reproduced"}, {Arm: "random-fully", Reduction: new(0.99)}},
		Comparisons: []result.Compare{}, Warnings: []string{},
	}
	for round := range 8 {
		lost := n.lost
		if lost == 0 {
			lost = 800 + draw.IntN(400)
		}
		r.Arms[0].Trials = append(r.Arms[0].Trials, trial(round, lost, result.SNATRace))
		r.Arms[1].Trials = append(r.Arms[1].Trials, trial(round, n.failed, n.cause))
	}
	if n.change != nil {
		n.change(r)
	}
	verdict.Judge(r)
	return r
}

// short leaves three rounds, which decide nothing.
func short(r *result.Result) {
	r.Scenario.Rounds = 3
	for i := range r.Arms {
		r.Arms[i].Trials = r.Arms[i].Trials[:3]
	}
}

func trial(round, failed int, cause string) result.Trial {
	return result.Trial{
		Round: round + 1, Requests: 6000, Failed: failed,
		Failures: map[string]int{result.Timeout: failed}, Causes: map[string]int{cause: failed},
		Latency:   result.Latency{P50: 30, P95: 50, P99: 90, Max: 900},
		Conntrack: result.Conntrack{Counters: result.Counters{InsertFailed: uint64(failed), Drop: uint64(failed)}},
	}
}

// past are ordinary runs, one a day, before the day given.
func past(days int) (runs []Run) {
	for day := range days {
		runs = append(runs, Summarise(ran{day: day}.result()))
	}
	return runs
}

// attempts are n runs alike, of a night.
func attempts(n int, like ran) (all []*result.Result) {
	for i := range n {
		r := like.result()
		r.ID = fmt.Sprintf("%s-%d", r.ID, i)
		all = append(all, r)
	}
	return all
}

func store(t *testing.T, results ...*result.Result) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "state", "snatlab"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if err := s.Put(r); err != nil {
			t.Fatal(err)
		}
	}
	return s
}
