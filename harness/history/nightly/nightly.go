// Package nightly runs scenarios one after the other, stores their results, and
// compares them with the results that were stored before.
//
// One run proves little: whether the race occurs is chance. So a scenario with a
// doubtful result is run again, as often as its history requires, up to a bound. The
// outcome rests on all attempts together, as if they were one run: no attempt is chosen,
// neither the best nor the last. When a regression is proven and the history requires
// nothing else, there is no further attempt. Every attempt is stored, good or bad.
//
// Runs by hand (`snatlab run`) are in the same store, and are no part of the history: the
// machine may have been disturbed or changed for them.
//
// In a cluster a job is a scenario on one node. The node is part of the key of a run, so
// each node is compared with its own earlier runs.
//
// A scenario that cannot be run does not keep the others from being run. The night
// ends at once only on a signal, or if the host cannot be restored: the results until
// then are stored and judged. If an attempt ends early, the attempts before it are
// judged: a regression that they prove is one, and anything else is an error.
package nightly

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"snatlab/harness/history/regression"
	"snatlab/harness/history/store"
	"snatlab/harness/result"
	"snatlab/harness/undo"
	"snatlab/harness/wording"
)

// Job is one scenario of a night.
type Job struct {
	Scenario string // its name; that of the file if it cannot be read
	File     string
	Driver   string // empty if it cannot be read
	Node     string // of a cluster; empty: this machine, or a node that its result names
	// Run makes one attempt. With an error, the result has the trials that were
	// finished before it, or is nil.
	Run func(context.Context) (*result.Result, error)
}

// Runner runs the jobs of a night.
type Runner struct {
	ID       string
	Version  string
	Node     string     // the name of this machine
	Machine  result.Env // this machine: its kernel, and what distinguishes it from guests on it
	Store    *store.Store
	Known    []regression.KnownFailure
	Attempts int // at most, of each scenario
	Jobs     []Job
}

// Run runs the jobs. The record is never nil. The error is that of a host that cannot
// be restored, the cause of the end of ctx, or that of a store that cannot be read.
func (n Runner) Run(ctx context.Context) (*result.Night, error) {
	begun := time.Now()
	record := &result.Night{
		Schema: result.NightSchema, ID: n.ID, Version: n.Version, Node: n.Node, Started: begun.UTC().Truncate(time.Millisecond),
		Kernel: n.Machine.Kernel, Runs: []result.NightRun{}, Warnings: []string{}, Store: result.StoreState{Path: n.Store.Dir()},
	}
	before, warnings, err := n.Store.ListRuns()
	record.Warnings = append(record.Warnings, warnings...)
	if err != nil {
		record.Incomplete = err.Error()
		return record, err
	}
	before = slices.DeleteFunc(before, result.RunSummary.IsByHand)
	n.findPreviousKernel(record, before)
	err = n.runJobs(ctx, record, before)
	n.recordStoreState(record)
	record.Seconds = time.Since(begun).Seconds()
	return record, err
}

// findPreviousKernel records the kernel of the last run of this machine. Runs of its
// guests, and those on nodes of a cluster, were on other kernels.
func (n Runner) findPreviousKernel(record *result.Night, before []result.RunSummary) {
	for _, r := range slices.Backward(before) {
		if r.Key.Guest == "" && r.Key.Node == "" && r.Command != result.CommandFleet && r.Key.Arch == n.Machine.Arch {
			record.KernelBefore, record.LastRun = r.Kernel, &r.Started
			return
		}
	}
}

// runJobs runs the jobs one after the other.
func (n Runner) runJobs(ctx context.Context, record *result.Night, before []result.RunSummary) error {
	for i, job := range n.Jobs {
		t := &scenarioRun{Runner: n, job: job, before: job.selectEarlier(before), record: record}
		j, err := t.runAttempts(ctx)
		record.Runs = append(record.Runs, j)
		if err != nil {
			record.Incomplete = j.Reason + listNotRun(n.Jobs[i+1:])
			return err
		}
	}
	return nil
}

// selectEarlier returns the earlier runs on the node of the job; all of them if it names
// none.
func (j Job) selectEarlier(all []result.RunSummary) []result.RunSummary {
	if j.Node == "" {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(r result.RunSummary) bool { return r.Key.Node != j.Node })
}

// listNotRun names the jobs that are left.
func listNotRun(jobs []Job) string {
	var names []string
	for _, j := range jobs {
		names = append(names, wording.ScenarioOn(j.Scenario, j.Node))
	}
	if len(names) == 0 {
		return ""
	}
	return "; not run: " + strings.Join(names, ", ")
}

// recordStoreState records the size of the store.
func (n Runner) recordStoreState(record *result.Night) {
	size, err := n.Store.ReadState()
	if err != nil {
		record.Warnings = append(record.Warnings, err.Error())
	}
	record.Store.Runs, record.Store.Bytes = size.Runs, size.Bytes
}

// scenarioRun is the attempts at one scenario.
type scenarioRun struct {
	Runner
	job      Job
	before   []result.RunSummary
	record   *result.Night
	attempts []*result.Result
}

// runAttempts makes attempts until there is no doubt left, or no attempt. Its error
// ends the night.
func (t *scenarioRun) runAttempts(ctx context.Context) (j result.NightRun, err error) {
	begun := time.Now()
	j = result.NightRun{Scenario: t.job.Scenario, File: t.job.File, Driver: t.job.Driver, Node: t.job.Node, Before: []result.ArmBefore{}, Findings: []result.Finding{}}
	defer func() { j.Seconds = time.Since(begun).Seconds() }()
	for {
		r, err := t.makeAttempt(ctx, &j)
		if err != nil {
			end := endsNight(ctx, err)
			t.recordBreak(&j, cmp.Or(end, err))
			return j, end
		}
		t.attempts = append(t.attempts, r)
		h := regression.Evaluate(t.attempts, t.before, t.Known)
		if h.Again == "" || len(t.attempts) >= t.Attempts {
			t.recordOutcome(&j, h)
			return j, nil
		}
	}
}

// makeAttempt makes one attempt, and stores its result.
func (t *scenarioRun) makeAttempt(ctx context.Context, j *result.NightRun) (*result.Result, error) {
	r, err := t.job.Run(ctx)
	if r == nil || !r.HasTrials() {
		return r, err
	}
	j.Result, j.Node = r, cmp.Or(j.Node, result.KeyOf(r).Node)
	if putErr := t.Store.Put(r); putErr != nil {
		j.Unstored = append(j.Unstored, r)
		t.record.Store.Error = putErr.Error()
	}
	return r, err
}

// recordBreak judges the attempts before the one that err ended.
func (t *scenarioRun) recordBreak(j *result.NightRun, err error) {
	partial := j.Result
	if len(t.attempts) > 0 {
		t.recordOutcome(j, regression.Evaluate(t.attempts, t.before, t.Known))
	}
	if j.Outcome != result.OutcomeRegression { // else the findings are about the attempts before
		j.Outcome, j.Result = result.OutcomeError, partial
	}
	j.Reason = t.describeBreak(err)
}

// describeBreak returns one sentence about the attempt that err ended. The caller gets
// all of err, or Run has reported it.
func (t *scenarioRun) describeBreak(err error) string {
	text, rest, more := strings.Cut(err.Error(), "\n")
	switch {
	case errors.As(err, new(*undo.LeftError)):
		text = "the host could not be restored"
	case more:
		text += fmt.Sprintf(" (and %d more)", 1+strings.Count(rest, "\n"))
	}
	if len(t.attempts) == 0 {
		return text
	}
	return fmt.Sprintf("attempt %d: %s", len(t.attempts)+1, text)
}

// endsNight returns the error of an attempt if it ends the night as well.
func endsNight(ctx context.Context, err error) error {
	switch {
	case errors.As(err, new(*undo.LeftError)):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return nil
	}
}
