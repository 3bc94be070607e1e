package matrix

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"snatlab/harness/kernel"
	"snatlab/harness/kernel/vm"
	"snatlab/harness/result"
)

// testKernel tests one kernel. A kernel that cannot be tested is a row. testKernel
// returns an error only if the matrix is interrupted.
func (x *KernelTester) testKernel(ctx context.Context, spec string) (result.Row, error) {
	row := result.Row{Kernel: spec, Spec: spec}
	begun := time.Now()
	err := catchPanic(func() error { return x.testInGuest(ctx, &row) })
	row.Seconds = time.Since(begun).Seconds()
	switch guest := (*vm.GuestError)(nil); {
	case ctx.Err() != nil:
		return row, context.Cause(ctx)
	case errors.As(err, &guest):
		row.Console = guest.Console
		fallthrough
	case err != nil:
		row.Status, row.Reason = result.RowError, err.Error()
		for _, of := range []string{strconv.Quote(spec), row.Kernel} { // the row names it already
			row.Reason = strings.TrimPrefix(row.Reason, "kernel "+of+": ")
		}
		return row, nil
	}
	row.Status = result.RowOK
	return row, nil
}

// testInGuest runs the scenario in a guest with the kernel of a row.
func (x *KernelTester) testInGuest(ctx context.Context, row *result.Row) error {
	k, err := kernel.ReadSpec(ctx, row.Spec, x.Modules)
	if err != nil {
		return err
	}
	row.Kernel = k.Release
	watch := x.Watch(k.Release)
	defer watch.Say("") // erase the last phase from a terminal
	watch.Say("booting")
	row.Attempts = 1
	if row.Result, row.Accel, err = x.boot(ctx, k, x.Scenario, watch); err != nil {
		return err
	}
	row.Result.Environment.Guest = row.Accel
	return nil
}

// catchPanic returns a panic of f as an error. Images, packages and modules come from
// outside: if one of them makes a parser panic, only its row ends.
func catchPanic(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while testing it: %v", p)
		}
	}()
	return f()
}

// digestRow returns a digest of everything that determines a row, except chance.
func (x *KernelTester) digestRow(ctx context.Context, spec, program string) (string, error) {
	of, err := kernel.DigestSpec(ctx, spec, x.Modules, kernel.GuestModules)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	conditions := fmt.Sprintf("%s, %d CPUs, %d MiB", x.Machine.Accel, x.Machine.CPUs, x.Machine.Memory)
	fmt.Fprintf(sum, "%s\n%s\n%s\n%s\n%s", result.MatrixSchema, of, program, conditions, x.Scenario.Canonical())
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// digestProgram returns the digest of this program, which is init in a guest.
func digestProgram() (string, error) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
