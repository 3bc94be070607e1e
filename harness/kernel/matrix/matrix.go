package matrix

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"snatlab/harness/kernel"
	"snatlab/harness/kernel/vm"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// Runner is a scenario that is run in one kernel after the other.
type Runner struct {
	Specs    []string
	Modules  string             // of a bare vmlinuz
	Scenario *scenario.Scenario // see AdaptToGuest
	Jobs     int                // kernels at a time
	Machine  *vm.Machine        // that they are booted in

	Cache *Cache // of finished rows; nil: none
	Fresh bool   // finished rows are done again

	Watch func(kernel string) RunWatcher // who is told how a kernel's run goes on
	Note  func(spec, text string)        // told what else there is to know of a kernel
	Keep  func(r *result.Result) error   // takes the result of a kernel that was tested

	boot func(context.Context, *kernel.Kernel, *scenario.Scenario, RunWatcher) (r *result.Result, accel string, err error) // nil: bootGuest
}

// Run tests every kernel. With an error, which is that it was interrupted or that
// a result could not be kept, the matrix has the rows that were finished.
func (x *Runner) Run(ctx context.Context) (*result.Matrix, error) {
	if x.boot == nil {
		x.boot = x.bootGuest
	}
	begun := time.Now()
	m := &result.Matrix{Schema: result.MatrixSchema, Started: time.Now().UTC().Truncate(time.Millisecond), Rows: []result.Row{},
		Scenario: result.Scenario{
			Name: x.Scenario.Name, Hash: x.Scenario.Hash(), Clients: x.Scenario.Clients, Pattern: x.Scenario.Load.Pattern,
			Sync: x.Scenario.Load.Sync, Requests: x.Scenario.Load.Requests, Rounds: x.Scenario.Rounds, Seed: x.Scenario.Seed,
		}}
	program, err := digestProgram()
	if err != nil {
		return m, fmt.Errorf("read this program, which is init in a guest: %w", err)
	}
	rows := make([]*result.Row, len(x.Specs))
	errs := make([]error, len(x.Specs))
	var wait sync.WaitGroup
	free := make(chan struct{}, max(1, x.Jobs))
	for i, spec := range x.Specs {
		free <- struct{}{} // in the order given
		if ctx.Err() != nil {
			break
		}
		wait.Go(func() {
			defer func() { <-free }()
			rows[i], errs[i] = x.finishRow(ctx, spec, program)
		})
	}
	wait.Wait()
	for _, row := range rows {
		if row != nil {
			m.Rows = append(m.Rows, *row)
		}
	}
	m.Seconds = time.Since(begun).Seconds()
	if ctx.Err() != nil {
		if len(m.Rows) < len(x.Specs) {
			m.Incomplete = context.Cause(ctx).Error()
		}
		return m, context.Cause(ctx)
	}
	return m, errors.Join(errs...)
}

// finishRow gives the row of a kernel, an old one where that will do; nil if the
// matrix was interrupted before there was one.
func (x *Runner) finishRow(ctx context.Context, spec, program string) (*result.Row, error) {
	digest, err := x.digestRow(ctx, spec, program)
	if err == nil && !x.Fresh {
		if row := x.Cache.findRow(digest); row != nil {
			row.Spec = spec
			x.Note(row.Kernel, "done before (--fresh does it again)")
			return row, x.keepResult(row)
		}
	}
	row, err := x.testKernel(ctx, spec)
	if err != nil {
		return nil, err
	}
	row.Digest = digest
	if row.Status != result.RowOK {
		x.Note(row.Kernel, "error: "+row.Reason)
		return &row, nil
	}
	if digest != "" && row.Result.Verdict != result.Inconclusive { // which another time may not be
		if err := x.Cache.storeRow(&row); err != nil {
			x.Note(row.Kernel, err.Error())
		}
	}
	return &row, x.keepResult(&row)
}

// keepResult has the result of a row kept, if it is not already. That it cannot be is
// said at once: the last row may be hours away.
func (x *Runner) keepResult(row *result.Row) error {
	err := x.Keep(row.Result)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	err = fmt.Errorf("keep the result of %s: %w", row.Kernel, err)
	x.Note(row.Kernel, err.Error())
	return err
}
