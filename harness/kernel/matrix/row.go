package matrix

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"snatlab/harness/kernel"
	"snatlab/harness/kernel/vm"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// maxAttempts is how many guests a kernel gets whose baseline shows no race, each
// with twice the requests of the one before.
const maxAttempts = 3

// testKernel tests one kernel. Its error is that the matrix was interrupted, or that a
// result could not be kept.
func (x *Runner) testKernel(ctx context.Context, spec string) (result.Row, error) {
	row := result.Row{Kernel: spec, Spec: spec}
	begun := time.Now()
	err := x.bootUntilRace(ctx, &row)
	row.Seconds = time.Since(begun).Seconds()
	switch fault := (*vm.GuestError)(nil); {
	case ctx.Err() != nil:
		return row, context.Cause(ctx)
	case errors.As(err, &fault):
		row.Console = fault.Console
		fallthrough
	case err != nil:
		row.Status, row.Reason = result.RowError, err.Error()
		for _, of := range []string{strconv.Quote(spec), row.Kernel} { // which is said already
			row.Reason = strings.TrimPrefix(row.Reason, "kernel "+of+": ")
		}
		return row, nil
	}
	row.Status = result.RowOK
	return row, nil
}

// bootUntilRace boots the kernel until its baseline has shown the race, or often enough.
// One that has given a result once keeps it, whatever becomes of later attempts.
func (x *Runner) bootUntilRace(ctx context.Context, row *result.Row) error {
	k, err := x.readKernel(ctx, row.Spec)
	if err != nil {
		return err
	}
	row.Kernel = k.Release
	watch := x.Watch(k.Release)
	defer watch.Say("") // what a terminal writes over
	s := *x.Scenario
	for {
		row.Attempts++
		watch.Say("booting")
		r, accel, err := x.boot(ctx, k, &s, watch)
		row.Accel = accel
		switch {
		case err != nil && row.Result != nil && ctx.Err() == nil:
			x.Note(k.Release, fmt.Sprintf("attempt %d gave no result: %v", row.Attempts, err))
			return nil
		case err != nil:
			return err
		}
		// All kernels were asked the same, some of them longer: they are compared.
		r.Environment.Guest, r.Scenario.Hash = accel, x.Scenario.Hash()
		row.Result = r
		if !needsMoreRequests(row.Result) || row.Attempts == maxAttempts || !doubleRequests(&s) {
			return nil
		}
		watch.Say(fmt.Sprintf("too little of the race in the baseline: once more, with %d requests", s.Load.Requests))
	}
}

// readKernel is kernel.ReadSpec. What packages hold comes from outside: a parser that panics over
// it ends this row only.
func (x *Runner) readKernel(ctx context.Context, spec string) (k *kernel.Kernel, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while it was read: %v", p)
		}
	}()
	return kernel.ReadSpec(ctx, spec, x.Modules)
}

// needsMoreRequests reports whether more requests can make a result a verdict: the
// baseline hardly shows the race, or not in each of its trials. An expectation that
// does not hold stands, if any arm shows the race.
func needsMoreRequests(r *result.Result) bool {
	switch {
	case r.Verdict == result.Pass:
		return false
	case len(r.Arms) == 0:
		return true
	case r.Verdict == result.Fail:
		return !slices.ContainsFunc(r.Arms, func(a result.Arm) bool { return racedRequests(a) >= result.Floor })
	}
	return racedRequests(r.Arms[0]) < result.Floor || slices.ContainsFunc(r.Arms[0].Trials, func(t result.Trial) bool { return t.Failed == 0 })
}

// racedRequests is how many requests of an arm were lost to the race.
func racedRequests(a result.Arm) (n int) {
	for _, t := range a.Trials {
		n += t.Causes[result.SNATRace]
	}
	return n
}

// doubleRequests doubles the requests, as far as a trial may have so many. It tells whether
// there are more now.
func doubleRequests(s *scenario.Scenario) bool {
	before := s.Load.Requests
	s.Load.Requests = max(before, min(2*before, s.MaxRequests()))
	return s.Load.Requests > before
}

// digestRow is of all that a row follows from, but for chance.
func (x *Runner) digestRow(ctx context.Context, spec, program string) (string, error) {
	of, err := kernel.DigestSpec(ctx, spec, x.Modules, kernel.RequiredModules)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	conditions := fmt.Sprintf("%s, %d CPUs, %d MiB", x.Machine.Accel, x.Machine.CPUs, x.Machine.Memory)
	fmt.Fprintf(sum, "%s\n%s\n%s\n%s\n%s", result.MatrixSchema, of, program, conditions, x.Scenario.Canonical())
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// digestProgram is the digest of what is init in a guest.
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
