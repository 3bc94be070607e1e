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

// maxAttempts is the most guests of a kernel whose baseline shows no race. Each guest
// has twice the requests of the one before.
const maxAttempts = 3

// testKernel tests one kernel. A kernel that cannot be tested is a row. testKernel
// returns an error only if the matrix is interrupted.
func (x *KernelTester) testKernel(ctx context.Context, spec string) (result.Row, error) {
	row := result.Row{Kernel: spec, Spec: spec}
	begun := time.Now()
	err := catchPanic(func() error { return x.bootUntilRace(ctx, &row) })
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

// bootUntilRace boots the kernel until its baseline shows the race, at most maxAttempts
// times. If a later attempt fails, the row keeps the result of the earlier one.
func (x *KernelTester) bootUntilRace(ctx context.Context, row *result.Row) error {
	k, err := kernel.ReadSpec(ctx, row.Spec, x.Modules)
	if err != nil {
		return err
	}
	row.Kernel = k.Release
	watch := x.Watch(k.Release)
	defer watch.Say("") // erase the last phase from a terminal
	s := *x.Scenario
	for {
		row.Attempts++
		watch.Say("booting")
		r, accel, err := x.boot(ctx, k, &s, watch)
		row.Accel = accel
		switch {
		case err != nil && row.Result != nil && ctx.Err() == nil:
			x.Note(k.Release, fmt.Sprintf("attempt %d has no result: %v", row.Attempts, err))
			return nil
		case err != nil:
			return err
		}
		// Kernels with more requests have the same hash, so that all are compared.
		r.Environment.Guest, r.Scenario.Hash = accel, x.Scenario.Hash()
		row.Result = r
		if !needsMoreRequests(row.Result) || row.Attempts == maxAttempts || !doubleRequests(&s) {
			return nil
		}
		watch.Say(fmt.Sprintf("the baseline shows too little of the race: trying again with %d requests", s.Load.Requests))
	}
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

// needsMoreRequests reports whether more requests may lead to a verdict: the baseline
// hardly shows the race, or not in each trial. A failed expectation is final if any arm
// shows the race.
func needsMoreRequests(r *result.Result) bool {
	switch {
	case r.Verdict == result.Pass:
		return false
	case len(r.Arms) == 0:
		return true
	case r.Verdict == result.Fail:
		return !slices.ContainsFunc(r.Arms, func(a result.Arm) bool { return countRaced(a) >= result.Floor })
	}
	return countRaced(r.Arms[0]) < result.Floor || slices.ContainsFunc(r.Arms[0].Trials, func(t result.Trial) bool { return t.Failed == 0 })
}

// countRaced returns how many requests of an arm were lost to the race.
func countRaced(a result.Arm) (n int) {
	for _, t := range a.Trials {
		n += t.Causes[result.SNATRace]
	}
	return n
}

// doubleRequests doubles the requests, up to the most that a trial may have. It reports
// whether there are more now.
func doubleRequests(s *scenario.Scenario) bool {
	before := s.Load.Requests
	s.Load.Requests = max(before, min(2*before, s.MaxRequests()))
	return s.Load.Requests > before
}

// digestRow returns a digest of everything that determines a row, except chance.
func (x *KernelTester) digestRow(ctx context.Context, spec, program string) (string, error) {
	of, err := kernel.DigestSpec(ctx, spec, x.Modules, kernel.RequiredModules)
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
