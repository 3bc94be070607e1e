package harness

import (
	"context"
	"errors"
	"fmt"
	"time"

	"snatlab/harness/pace"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/verdict"
)

// A Watcher is called before and after every trial of a run, the warm-up included.
type Watcher interface {
	Start(result.Progress)
	Done(result.Progress, *result.Trial)
}

// runRounds makes the trials: a warm-up, and rounds in which every arm is run once.
func (x *experiment) runRounds(ctx context.Context, watch Watcher) error {
	x.result.Environment = x.lab.Environment()
	if !x.HasFixedRounds() {
		x.mostRequests = scenario.MaxTrial / x.Clients
	}
	if err := x.prepareClients(ctx); err != nil {
		return err
	}
	if err := x.warmUp(ctx, watch); err != nil {
		return fmt.Errorf("warm-up: %w", err)
	}
	rounds, orders := pace.NewRounds(x.Scenario, x.control.exists(), x.mostRequests), pace.NewOrders(x.result.Scenario.Seed, len(x.Arms))
	for begun := time.Now(); !rounds.AreOver(); rounds.End(time.Since(begun)) {
		for _, a := range orders.Next() {
			arm := &x.result.Arms[a]
			at := rounds.Progress(a)
			watch.Start(at)
			t, err := x.runIntactTrial(ctx, x.Arms[a], arm, rounds.Requests())
			if err != nil {
				return fmt.Errorf("round %d, arm %s: %w", at.Round, arm.Name, err)
			}
			t.Round = at.Round
			arm.Trials = append(arm.Trials, *t)
			x.left.RecordIn(arm)
			rounds.Add(a, t)
			watch.Done(rounds.Progress(a), t)
		}
	}
	return nil
}

// warmUpRequests bounds the requests of a client in the warm-up. The phase lock has found
// its delays after some turns of 64 slots.
const warmUpRequests = 500

// warmUp makes a trial of the baseline, which counts for nothing. It is the first of its
// lab: it fills caches, and the phase lock finds the delays that the next one begins with.
func (x *experiment) warmUp(ctx context.Context, watch Watcher) error {
	baseline := newArmRecord(x.Arms[0], x.Clients)
	p := result.Progress{Arm: baseline.Name}
	watch.Start(p)
	t, err := x.runIntactTrial(ctx, x.Arms[0], &baseline, min(x.Load.Requests, warmUpRequests))
	if err != nil {
		return err
	}
	x.result.WarmUp = t
	watch.Done(p, t)
	return nil
}

// runIntactTrial makes a trial, and checks that the lab still has all its parts.
func (x *experiment) runIntactTrial(ctx context.Context, arm scenario.Arm, into *result.Arm, requests int) (*result.Trial, error) {
	t, err := x.runTrial(ctx, arm, into, requests)
	if ctx.Err() == nil { // a broken lab explains an error, and invalidates figures
		err = errors.Join(err, x.lab.Intact(ctx))
	}
	return t, err
}

// CheckEnoughRounds returns a [*verdict.FewRoundsError] if the rounds of a scenario
// cannot decide what it is for, whatever its trials show.
func CheckEnoughRounds(s *scenario.Scenario) error {
	return verdict.CheckRounds(verdict.Plan{Rounds: s.MostRounds(), Arms: len(s.Arms), ByTrials: CountByTrials(s), Expected: listExpectations(s)})
}

// listExpectations returns the expectations of a scenario, without an outcome.
func listExpectations(s *scenario.Scenario) []result.Expectation {
	all := []result.Expectation{}
	for _, e := range s.Expect {
		all = append(all, result.Expectation{Arm: e.Arm, Race: e.Race, Reduction: e.Reduction, P50: e.P50, P99: e.P99, Unexplained: e.Unexplained, Filtered: e.Filtered,
			PortExhaustion: e.PortExhaustion, TableFull: e.TableFull})
	}
	return all
}
