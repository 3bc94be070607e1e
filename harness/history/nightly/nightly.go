// Package nightly runs scenarios one after the other, keeps what they give, and
// sets it against what the store held before.
//
// One run proves little: whether the race occurs is chance. So what gives reason
// to doubt is run again before it is believed, as often as the history asks for
// it, up to a bound. Where a regression is proven and the history asks for nothing
// else, no further attempt could add to it, but one could take it back: there is
// none. Every attempt is kept, the good ones and the bad ones.
//
// A scenario that cannot be run keeps none of the others from being run. Only a
// host that could not be put back ends the night at once, and so does a signal:
// what was done until then is kept and judged. So is what a scenario gave before
// an attempt that broke off: a regression that was proven by then stays one, and
// whatever else it was is an error.
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
)

// Job is a scenario that has its turn.
type Job struct {
	Scenario string // its name; the file's, where that could not be read
	File     string
	Driver   string // empty where it could not be read
	// Run makes one attempt. With an error, the result has the trials that were
	// finished before it, or is nil.
	Run func(context.Context) (*result.Result, error)
}

// Runner is what there is to do, and where.
type Runner struct {
	ID       string
	Version  string
	Machine  result.Env // this one: its kernel, and what tells it from guests on it
	Store    *store.Store
	Known    []regression.KnownFailure
	Attempts int // at most, of each scenario
	Jobs     []Job
}

// Run does it. The record is never nil; the error is that of a host that could
// not be put back, or of what ended ctx, or that of a store that cannot be read.
func (n Runner) Run(ctx context.Context) (*result.Night, error) {
	begun := time.Now()
	record := &result.Night{
		Schema: result.NightSchema, ID: n.ID, Version: n.Version, Started: begun.UTC().Truncate(time.Millisecond),
		Kernel: n.Machine.Kernel, Runs: []result.Judged{}, Warnings: []string{}, Store: result.StoreState{Path: n.Store.Dir()},
	}
	before, warnings, err := n.Store.ListRuns()
	record.Warnings = append(record.Warnings, warnings...)
	if err != nil {
		record.Incomplete = err.Error()
		return record, err
	}
	n.findPreviousKernel(record, before)
	err = n.runJobs(ctx, record, before)
	n.recordStoreState(record)
	record.Seconds = time.Since(begun).Seconds()
	return record, err
}

// findPreviousKernel looks for the last run of this machine. That of a guest on it says
// nothing about its own kernel.
func (n Runner) findPreviousKernel(record *result.Night, before []result.RunSummary) {
	for _, r := range slices.Backward(before) {
		if r.Key.Guest == "" && r.Key.Arch == n.Machine.Arch {
			record.KernelBefore, record.LastRun = r.Kernel, &r.Started
			return
		}
	}
}

// runJobs does one after the other.
func (n Runner) runJobs(ctx context.Context, record *result.Night, before []result.RunSummary) error {
	for i, job := range n.Jobs {
		t := &scenarioRun{Runner: n, job: job, before: before, record: record}
		j, err := t.runAttempts(ctx)
		record.Runs = append(record.Runs, j)
		if err != nil {
			record.Incomplete = j.Reason + listNotRun(n.Jobs[i+1:])
			return err
		}
	}
	return nil
}

func listNotRun(jobs []Job) string {
	var names []string
	for _, j := range jobs {
		names = append(names, j.Scenario)
	}
	if len(names) == 0 {
		return ""
	}
	return "; not run: " + strings.Join(names, ", ")
}

// recordStoreState says what the store holds now.
func (n Runner) recordStoreState(record *result.Night) {
	size, err := n.Store.ReadState()
	if err != nil {
		record.Warnings = append(record.Warnings, err.Error())
	}
	record.Store.Runs, record.Store.Bytes = size.Runs, size.Bytes
}

// scenarioRun is that of one scenario.
type scenarioRun struct {
	Runner
	job      Job
	before   []result.RunSummary
	record   *result.Night
	attempts []*result.Result
}

// runAttempts makes attempts until there is no reason to doubt, or no more may be made.
// Its error ends the night.
func (t *scenarioRun) runAttempts(ctx context.Context) (j result.Judged, err error) {
	begun := time.Now()
	j = result.Judged{Scenario: t.job.Scenario, File: t.job.File, Driver: t.job.Driver, Before: []result.ArmBefore{}, Findings: []result.Finding{}}
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
		if isSettled(r, h) || len(t.attempts) >= t.Attempts {
			t.recordOutcome(&j, h)
			return j, nil
		}
	}
}

// makeAttempt makes one, and keeps what it gives.
func (t *scenarioRun) makeAttempt(ctx context.Context, j *result.Judged) (*result.Result, error) {
	r, err := t.job.Run(ctx)
	if r == nil || !hasTrials(r) {
		return r, err
	}
	j.Result = r
	if putErr := t.Store.Put(r); putErr != nil {
		j.Unstored = append(j.Unstored, r)
		t.record.Store.Error = putErr.Error()
	}
	return r, err
}

func hasTrials(r *result.Result) bool {
	return slices.ContainsFunc(r.Arms, func(a result.Arm) bool { return len(a.Trials) > 0 })
}

// recordBreak judges what was finished before err ended an attempt.
func (t *scenarioRun) recordBreak(j *result.Judged, err error) {
	if n := len(t.attempts); n > 0 {
		t.recordOutcome(j, regression.Evaluate(t.attempts, t.before, t.Known))
		if j.Outcome == result.OutcomeRegression {
			j.Result = t.attempts[n-1] // it shows what the findings say
		}
	}
	if j.Outcome != result.OutcomeRegression {
		j.Outcome = result.OutcomeError
	}
	j.Reason = t.describeBreak(err)
}

// describeBreak says in one sentence what ended an attempt, and which. All of it is what
// the caller gets, or what Run has told already.
func (t *scenarioRun) describeBreak(err error) string {
	text, rest, more := strings.Cut(err.Error(), "\n")
	switch {
	case errors.As(err, new(*undo.LeftError)):
		text = "the host could not be put back"
	case more:
		text += fmt.Sprintf(" (and %d more)", 1+strings.Count(rest, "\n"))
	}
	if len(t.attempts) == 0 {
		return text
	}
	return fmt.Sprintf("attempt %d: %s", len(t.attempts)+1, text)
}

// endsNight gives the error of an attempt if it ends the night, too.
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
