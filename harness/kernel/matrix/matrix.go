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

// KernelTester runs a scenario on one kernel after the other.
type KernelTester struct {
	Specs    []string
	Modules  string             // folder of the modules of a bare vmlinuz
	Scenario *scenario.Scenario // adapted by AdaptToGuest
	Jobs     int                // kernels at a time
	Machine  *vm.Machine        // the hardware of each guest

	Cache *Cache // of finished rows; nil: none
	Fresh bool   // test kernels again that have a row in the cache

	Watch func(kernel string) RunWatcher // returns the watcher of a kernel's run
	Note  func(kernel, text string)      // is called with other news of a kernel
	Keep  func(r *result.Result) error   // stores the result of a tested kernel

	boot bootFunc // nil: bootGuest
}

// bootFunc runs a scenario in a guest with a kernel. It returns the result and the
// accelerator of the guest.
type bootFunc func(context.Context, *kernel.Kernel, *scenario.Scenario, RunWatcher) (r *result.Result, accel string, err error)

// Run tests every kernel. If it is interrupted, or cannot store a result, it returns an
// error and a matrix with the finished rows.
func (x *KernelTester) Run(ctx context.Context) (*result.Matrix, error) {
	if x.boot == nil {
		x.boot = replaceGuests(x.bootGuest)
	}
	begun := time.Now()
	m := &result.Matrix{Schema: result.MatrixSchema, Started: time.Now().UTC().Truncate(time.Millisecond), Rows: []result.Row{},
		Scenario: x.Scenario.Summary()}
	program, err := digestProgram()
	if err != nil {
		return m, fmt.Errorf("read this program, which is init in a guest: %w", err)
	}
	rows := make([]*result.Row, len(x.Specs))
	errs := make([]error, len(x.Specs))
	var wait sync.WaitGroup
	free := make(chan struct{}, max(1, x.Jobs))
	for i, spec := range x.Specs {
		free <- struct{}{} // wait here, so that kernels start in the order given
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

// finishRow returns the row of a kernel, from the cache or from a test. It returns nil
// if the matrix was interrupted before the row was finished.
func (x *KernelTester) finishRow(ctx context.Context, spec, program string) (*result.Row, error) {
	var digest string
	err := catchPanic(func() (err error) {
		digest, err = x.digestRow(ctx, spec, program)
		return err
	})
	if err == nil && !x.Fresh {
		if row := x.Cache.findRow(digest); row != nil {
			row.Spec = spec
			x.Note(row.Kernel, "tested before (--fresh tests it again)")
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
	if digest != "" && row.Result.Verdict != result.Inconclusive { // another attempt may be conclusive
		if err := x.Cache.storeRow(&row); err != nil {
			x.Note(row.Kernel, err.Error())
		}
	}
	return &row, x.keepResult(&row)
}

// keepResult stores the result of a row, if it is not stored yet. It notes an error at
// once: the matrix may end hours later.
func (x *KernelTester) keepResult(row *result.Row) error {
	err := x.Keep(row.Result)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	err = fmt.Errorf("store the result of %s: %w", row.Kernel, err)
	x.Note(row.Kernel, err.Error())
	return err
}
