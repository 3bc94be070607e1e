// Package harness runs an experiment: it takes the arms of a scenario in
// turns, sends the same number of requests under each, and records what the
// clients, the server and the kernel counted.
//
// It depends on no driver. The caller's function opens a lab, and Run closes it
// whatever happens.
package harness

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"snatlab/harness/lab"
	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
	"snatlab/harness/verdict"
	"snatlab/harness/wording"
)

// RunOptions are the facts about a run that are not in its scenario.
type RunOptions struct {
	ID      string // of the result
	Version string // of this program
	Command string // that makes the run, as the result names it
	Label   string // that the user gave to the run

	// Explain looks up every request that got no answer in the conntrack table.
	Explain bool
}

// Run makes every trial of a scenario in a lab of its own. The result is never
// nil: with an error it holds the trials that were finished before it.
func Run(ctx context.Context, s *scenario.Scenario, open func(context.Context) (lab.Lab, error), watch Watcher, o RunOptions) (r *result.Result, err error) {
	r = newRecord(s, o)
	begun := time.Now()
	defer func() {
		r.Seconds = time.Since(begun).Seconds()
		r.Memory.Controller = probe.PeakRSS()
		verdict.Judge(r)
		wording.DescribeResult(r)
	}()

	l, err := open(ctx)
	if err != nil {
		r.Incomplete = err.Error()
		return r, err
	}
	// The figures hold, whether the host could be restored or not.
	defer func() { err = errors.Join(err, l.Close(undo.Context(ctx))) }()

	x := &experiment{Scenario: s, lab: l, result: r, explain: o.Explain}
	if err := x.runRounds(ctx, watch); err != nil {
		r.Incomplete = err.Error()
		return r, err
	}
	return r, nil
}

// newArmRecord returns the record of an arm without a trial.
func newArmRecord(a scenario.Arm, clients int) result.Arm {
	arm := result.Arm{
		Name: a.Name, Settings: []string{}, Trials: []result.Trial{}, PortsPerClient: a.SNAT.PortsPerClient,
		Options: &result.RuleOptions{Random: a.Masquerade.Random || a.SNAT.Random, RandomFully: a.Masquerade.RandomFully || a.SNAT.RandomFully, Removes: float64(a.Masquerade.Removes)},
	}
	if len(a.SNAT.ToPorts) > 1 {
		for _, r := range a.SNAT.ToPorts {
			arm.ToPortRanges = append(arm.ToPortRanges, result.Ports{First: int(r.First), Last: int(r.Last)})
		}
	} else if to := a.UsedPorts(clients); to.Len() > 0 {
		arm.ToPorts = &result.Ports{First: int(to.First), Last: int(to.Last)}
	}
	for _, address := range a.SNAT.ToSource {
		arm.ToSource = append(arm.ToSource, address.String())
	}
	return arm
}

// newRecord returns a result with everything that is known before the lab is.
func newRecord(s *scenario.Scenario, o RunOptions) *result.Result {
	r := &result.Result{
		Schema: result.Schema, ID: o.ID, Version: o.Version, Command: o.Command, Label: o.Label,
		Started:     time.Now().UTC().Truncate(time.Millisecond),
		Scenario:    s.Summary(),
		Comparisons: []result.Comparison{}, Expected: listExpectations(s), Warnings: []string{},
	}
	if s.Seed == nil {
		r.Scenario.Seed = uint64(rand.Uint32())
	}
	for _, a := range s.Arms {
		r.Arms = append(r.Arms, newArmRecord(a, s.Clients))
	}
	return r
}
