package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"snatlab/harness/scenario/strictyaml"
	"snatlab/harness/undo"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is full")
	left := &undo.LeftError{Left: []undo.Left{{Step: undo.Step{What: "a rule", Manual: "remove it"}, Err: errors.New("busy")}}}
	const leftText = "snatlab: 1 change to this host could not be undone; `snatlab cleanup` tries again, or by hand:\n  a rule: busy\n    remove it\n"
	stopped := interrupted{unix.SIGTERM}
	faults := strictyaml.Faults{}
	for _, c := range []struct {
		name string
		err  error
		code int
		text string
	}{
		{"none", nil, exitPass, ""},
		{"joined of none", errors.Join(nil, nil), exitPass, ""},
		{"exit code alone", exitCode(exitInconclusive), exitInconclusive, ""},
		{"joined exit code alone", errors.Join(nil, exitCode(exitFail)), exitFail, ""},
		{"error alone", broken, exitUnable, "snatlab: the disk is full\n"},
		{"error beside an exit code", errors.Join(broken, exitCode(exitInconclusive)), exitUnable, "snatlab: the disk is full\n"},
		{"error beside a failed expectation", errors.Join(broken, exitCode(exitFail)), exitFail, "snatlab: the disk is full\n"},
		{"left beside an exit code", errors.Join(exitCode(exitInconclusive), errors.Join(left, nil)), exitLeft, leftText},
		{"left inside another error", errors.Join(exitCode(exitPass), fmt.Errorf("keep the lab: %w", left)), exitLeft, strings.Replace(leftText, "snatlab: ", "snatlab: keep the lab: ", 1)},
		{"the same error twice", errors.Join(broken, errors.Join(broken, exitCode(exitInconclusive))), exitUnable, "snatlab: the disk is full\n"},
		{"two errors", errors.Join(broken, errors.New("so is the other")), exitUnable, "snatlab: the disk is full\nsnatlab: so is the other\n"},
		{"interrupted beside an error", errors.Join(stopped, broken), 143, "snatlab: interrupted by SIGTERM\nsnatlab: the disk is full\n"},
		{"interrupted and left", errors.Join(stopped, left), exitLeft, "snatlab: interrupted by SIGTERM\n" + leftText},
		{"exit code of a child that a signal ended", exitCode(137), 137, ""},
		{"unknown exit code of a child", exitCode(77), 77, ""},
		{"text that controls the terminal", errors.New("open \x1b[2J"), exitUnable, "snatlab: open ?[2J\n"},
		{"exit code that an error wraps", fmt.Errorf("stay: %w", exitCode(exitInconclusive)), exitInconclusive, "snatlab: stay: exit code 4\n"},
		{"faults beside an error", errors.Join(faults, broken), exitUsage, faults.Error() + "\nsnatlab: the disk is full\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := codeOf(c.err); got != c.code {
				t.Errorf("exit code %d, want %d", got, c.code)
			}
			var said strings.Builder
			printErrors(&said, c.err)
			if said.String() != c.text {
				t.Errorf("says\n%swant\n%s", said.String(), c.text)
			}
		})
	}
}

// The end of a context replaces only the errors that it explains.
func TestInterruptedErrors(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(interrupted{unix.SIGINT})
	full := errors.New("the disk is full")
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"explained", fmt.Errorf("read: %w", context.Canceled), "interrupted by SIGINT"},
		{"not explained", full, "interrupted by SIGINT\nthe disk is full"},
		{"both", errors.Join(full, context.Canceled, exitCode(exitFail)), "interrupted by SIGINT\nthe disk is full"},
		{"reported already", errors.Join(full, interrupted{unix.SIGINT}), "the disk is full\ninterrupted by SIGINT"},
		{"none", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := withCause(ctx, c.err)
			if got := fmt.Sprint(err); err != nil && got != c.want || err == nil && c.want != "" {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

// After a panic, the error names what is left on the host.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, err := undo.CreateJournal(dir, "20260102-030405-c0ffee", undo.Undoers{})
	must(t, err)
	step := undo.NewStep("strange", "a rule", "remove it", 1)
	_, err = j.Do(t.Context(), step, func(context.Context) error { return nil })
	must(t, err)
	const want = "1 change to this host could not be undone; `snatlab cleanup` tries again, or by hand:\n  a rule: not undone before the panic ended the run\n    remove it"
	if err := leftBehind(dir); err == nil || err.Error() != want || codeOf(err) != exitLeft {
		t.Errorf("error %v, want %s", err, want)
	}
	must(t, j.Keep())
	if err := leftBehind(dir); err != nil {
		t.Errorf("of a journal that is kept: %v", err)
	}
	if err := leftBehind(dir + "/none"); err != nil {
		t.Errorf("where there is nothing: %v", err)
	}
}
