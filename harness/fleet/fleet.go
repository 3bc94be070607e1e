// Package fleet runs one scenario on several nodes of a cluster. It knows no cluster: a
// function of its caller runs the scenario on one node.
package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"snatlab/harness/result"
)

// Runner runs a scenario on nodes.
type Runner struct {
	Nodes    []string
	Scenario result.ScenarioSummary
	Parallel int // nodes at a time
	Version  string

	// Earlier is a fleet of the same scenario that this one continues: a node that was
	// finished there is not run again. Nil: none.
	Earlier *result.Fleet

	// Run runs the scenario on a node. A result that comes with an error is incomplete.
	Run func(ctx context.Context, node string) (*result.Result, error)
	// Keep stores the result of a node.
	Keep func(*result.Result) error
	// Write writes the nodes that are finished so far: an interrupted fleet can be
	// continued from there.
	Write func(*result.Fleet) error
	// Note is called with news of a node.
	Note func(node, text string)

	mu   sync.Mutex
	done map[string]result.FleetNode
}

// RunAll runs the scenario on each node. A node on which it fails is a row, and the others are
// still run. It returns an error if it is interrupted, or cannot store a result; the fleet
// has the finished nodes then.
func (r *Runner) RunAll(ctx context.Context) (*result.Fleet, error) {
	begun := time.Now()
	f := &result.Fleet{Schema: result.FleetSchema, Version: r.Version, Scenario: r.Scenario, Started: begun.UTC().Truncate(time.Millisecond)}
	r.done = r.finishedEarlier()
	var errs []error
	var wait sync.WaitGroup
	free := make(chan struct{}, max(1, r.Parallel))
	for _, node := range r.Nodes {
		if _, done := r.done[node]; done {
			r.Note(node, "run before")
			continue
		}
		free <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wait.Go(func() {
			defer func() { <-free }()
			if err := r.runNode(ctx, node, f); err != nil {
				r.mu.Lock()
				errs = append(errs, err)
				r.mu.Unlock()
			}
		})
	}
	wait.Wait()
	f.Seconds = time.Since(begun).Seconds()
	r.fill(f)
	if ctx.Err() != nil && len(f.Nodes) < len(r.Nodes) {
		f.Incomplete = context.Cause(ctx).Error()
		errs = append(errs, context.Cause(ctx))
	}
	return f, errors.Join(append(errs, r.Write(f))...)
}

// finishedEarlier returns the nodes that need not be run again.
func (r *Runner) finishedEarlier() map[string]result.FleetNode {
	done := map[string]result.FleetNode{}
	if r.Earlier == nil || r.Earlier.Scenario.Hash != r.Scenario.Hash {
		return done
	}
	for _, n := range r.Earlier.Nodes {
		if n.Status == result.RowOK && n.Result != nil && slices.Contains(r.Nodes, n.Node) {
			n.Earlier = true
			done[n.Node] = n
		}
	}
	return done
}

// runNode runs the scenario on one node. An interrupted node is not finished.
func (r *Runner) runNode(ctx context.Context, node string, f *result.Fleet) error {
	begun := time.Now()
	row := result.FleetNode{Node: node, Status: result.RowOK}
	run, err := r.runGuarded(ctx, node)
	row.Seconds = time.Since(begun).Seconds()
	if run != nil && run.HasTrials() {
		row.Result = run
	}
	if ctx.Err() != nil && (err != nil || row.Result == nil) {
		return err // what could not be undone is an error as well
	}
	var failed error
	if err != nil {
		row.Status, row.Reason = result.RowError, strings.TrimPrefix(err.Error(), "node "+node+": ")
		r.Note(node, "error: "+row.Reason)
	} else if kept := r.Keep(run); kept != nil && !errors.Is(kept, fs.ErrExist) {
		failed = fmt.Errorf("store the result of node %s: %w", node, kept)
	}
	r.mu.Lock()
	r.done[node] = row
	r.mu.Unlock()
	r.fill(f)
	return errors.Join(failed, r.Write(f))
}

// runGuarded returns a panic as an error: one node is not the end.
func (r *Runner) runGuarded(ctx context.Context, node string) (run *result.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return r.Run(ctx, node)
}

// fill sets the rows of a fleet to those that are finished, by name.
func (r *Runner) fill(f *result.Fleet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows := []result.FleetNode{}
	for _, row := range r.done {
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b result.FleetNode) int { return cmp.Compare(a.Node, b.Node) })
	f.Nodes = rows
}
