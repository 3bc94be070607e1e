// Package historytest makes results of runs for the tests of the packages beside it.
package historytest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"snatlab/harness/result"
	"snatlab/harness/verdict"
	"snatlab/harness/wording"
)

// FirstDay is the day of the first run.
var FirstDay = time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)

// RunSpec describes the differences of a run from an ordinary run. In an ordinary run,
// the baseline and all controls lost connections, and the mitigation did not.
type RunSpec struct {
	Day    int
	Kernel string // 6.12.107 if empty
	Failed int    // requests of random-fully that failed in each of 8 trials of 6,000
	Cause  string // of these failures; the race if empty
	Lost   int    // requests of the baseline, and of each control, that failed in each trial; about 1,000 if 0
	Change func(*result.Result)
}

// MakeResult returns the result of the run, as package verdict judges it.
func (n RunSpec) MakeResult() *result.Result {
	draw := rand.New(rand.NewPCG(uint64(n.Day), 7))
	if n.Kernel == "" {
		n.Kernel = "6.12.107"
	}
	if n.Cause == "" {
		n.Cause = result.SNATRace
	}
	started := FirstDay.AddDate(0, 0, n.Day)
	r := &result.Result{
		Schema: result.Schema, ID: started.Format("20060102-150405-") + fmt.Sprintf("%06x", draw.Uint32()>>8), Version: "v0-test", Started: started, Seconds: 14,
		Scenario: result.ScenarioSummary{Name: "quickstart", Hash: "sha256:5b0c94d2e1a7", Clients: 2, Pattern: "lockstep", Sync: "barrier", Requests: 3000, Rounds: 8, Seed: 1},
		Environment: result.Env{Kernel: n.Kernel, Arch: "amd64", CPUs: 2, CPUsOnline: 2, Driver: "netns", NAT: "nftables", Virtualisation: new("kvm"),
			CPUModel: new("Model 1"), ClientNetwork: "198.18.0.0/24", Server: "198.18.1.2:9"},
		Arms:        []result.Arm{{Name: "masquerade", Settings: []string{}}, {Name: "random-fully", Settings: []string{}}},
		Expected:    []result.Expectation{{Arm: "masquerade", Race: "reproduced"}, {Arm: "random-fully", Reduction: new(0.99)}},
		Comparisons: []result.Comparison{}, Warnings: []string{},
	}
	for round := range 8 {
		lost := n.Lost
		if lost == 0 {
			lost = 800 + draw.IntN(400)
		}
		r.Arms[0].Trials = append(r.Arms[0].Trials, MakeTrial(round, lost, result.SNATRace, lost))
		r.Arms[1].Trials = append(r.Arms[1].Trials, MakeTrial(round, n.Failed, n.Cause, lost))
	}
	if n.Change != nil {
		n.Change(r)
	}
	verdict.Judge(r)
	wording.DescribeResult(r)
	return r
}

// DimRun makes a run lose so little that no arm can be told from its control.
func DimRun(r *result.Result) {
	for i := range r.Arms {
		for j := range r.Arms[i].Trials {
			r.Arms[i].Trials[j] = MakeTrial(j, 0, result.SNATRace, j%2)
		}
	}
}

// WithoutControl removes the controls from a result that is not judged yet.
func WithoutControl(r *result.Result) {
	for i := range r.Arms {
		for j := range r.Arms[i].Trials {
			r.Arms[i].Trials[j].Control = nil
		}
	}
}

// AsOld returns the summary of a run as versions before shares were recorded have it.
func AsOld(r *result.Result) result.RunSummary {
	run := result.NewRunSummary(r)
	for i := range run.Arms {
		a := &run.Arms[i]
		a.Method, a.Why, a.Remaining, a.Counts = "", "", nil, nil
	}
	return run
}

// MakeTrial returns one trial of 6,000 requests, and as many of its control, of which
// lost were lost to the race.
func MakeTrial(round, failed int, cause string, lost int) result.Trial {
	return result.Trial{
		Round: round + 1, Requests: 6000, Failed: failed,
		Failures: map[string]int{result.Timeout: failed}, Causes: map[string]int{cause: failed},
		Latency:   result.Latency{P50: 30, P95: 50, P99: 90, Max: 900},
		Conntrack: result.Conntrack{ConntrackCounters: result.ConntrackCounters{InsertFailed: uint64(failed + lost), Drop: uint64(failed + lost)}},
		Control: &result.Control{Requests: 6000, Failed: lost, Failures: map[string]int{result.Timeout: lost}, Causes: map[string]int{result.SNATRace: lost},
			Latency: result.Latency{P50: 30, P95: 50, P99: 90, Max: 900}},
	}
}
