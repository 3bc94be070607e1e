package harness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/lab"
	"snatlab/harness/pace"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// Every trial of every arm sends the same number of requests.
func TestRunEqualWork(t *testing.T) {
	t.Parallel()
	for _, s := range []*scenario.Scenario{
		ephemeralScenario(3, "masquerade", "random-fully", "again"),
		lockstepScenario(result.SyncBarrier, "masquerade", "random-fully"),
	} {
		t.Run(s.Load.Pattern, func(t *testing.T) {
			f := newFakeLab(t, s.Clients)
			r, _, err := f.run(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range r.Arms {
				if len(a.Trials) != s.Rounds {
					t.Errorf("arm %s has %d trials in %d rounds", a.Name, len(a.Trials), s.Rounds)
				}
				for _, trial := range a.Trials {
					if want := s.Clients * s.Load.Requests; trial.Requests != want || trial.RulePackets != uint64(want) || trial.Server.Accepted != uint64(want) {
						t.Errorf("arm %s, round %d: %d requests, %d matched, %d accepted, want %d", a.Name, trial.Round,
							trial.Requests, trial.RulePackets, trial.Server.Accepted, want)
					}
				}
			}
			for _, load := range f.loads[s.Clients:] { // after the path check
				if load.Requests != s.Load.Requests || load.Timeout != s.Load.Timeout {
					t.Errorf("a client was given %d requests with a timeout of %v", load.Requests, load.Timeout)
				}
			}
		})
	}
}

// Every trial has a server port and an epoch of its own.
func TestRunEpochs(t *testing.T) {
	t.Parallel()
	f := newFakeLab(t, 1)
	if _, _, err := f.run(t.Context(), lockstepScenario(result.SyncBarrier, "a", "b")); err != nil {
		t.Fatal(err)
	}
	for i, load := range f.loads[1:] {
		if got := load.Lockstep.Epoch; got != uint64(i+1) {
			t.Errorf("trial %d has epoch %d", i+1, got)
		}
	}
}

// A run follows the drawn order.
func TestRunOrder(t *testing.T) {
	t.Parallel()
	s := ephemeralScenario(1, "a", "b", "c")
	s.Rounds, s.Load.Requests = 5, 1
	f := newFakeLab(t, 1)
	r, watched, err := f.run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	orders := pace.NewOrders(*s.Seed, len(s.Arms))
	for range s.Rounds {
		for _, a := range orders.Next() {
			want = append(want, s.Arms[a].Name)
		}
	}
	if !slices.Equal(watched.started, want) || !slices.Equal(watched.done, want) {
		t.Errorf("drawn %v, started %v, done %v", want, watched.started, watched.done)
	}
	for _, a := range r.Arms {
		for i, trial := range a.Trials {
			if trial.Round != i+1 {
				t.Errorf("trial %d of arm %s says round %d", i, a.Name, trial.Round)
			}
		}
	}
}

// Calls 0 are the path check's; later ones are made in a trial. Conntrack is
// read three times a trial, and the rule's counter twice.
var moments = []struct {
	call string
	n    int
}{
	{callApply, 0}, {callPackets, 0}, {callListen, 0}, {"client 0", 0}, {"client 1", 0}, {callFinish, 0}, {callForget, 0}, {callPackets, 1},
	{callApply, 1}, {callConntrack, 0}, {callListen, 1}, {callPackets, 2}, {callConntrack, 1}, {"client 0", 1}, {"client 1", 1},
	{callPackets, 3}, {callConntrack, 2}, {callFinish, 1}, {callForget, 1}, {callUndo, 0},
	{callApply, 5}, {callConntrack, 12}, {"client 1", 5}, {callForget, 5}, {callUndo, 4}, // of the last trial
}

func isClientCall(call string) bool { return strings.HasPrefix(call, "client") }

// checkRestored checks that the lab was closed once, after each rule of a trial
// had been undone once.
func checkRestored(t *testing.T, f *fakeLab) {
	t.Helper()
	if !f.wasClosedLast() {
		t.Errorf("the lab was closed %d times: %v", f.countCalls(callClose), f.calls)
	}
	if f.closedWith != nil {
		t.Errorf("the context for putting the host back has ended: %v", f.closedWith)
	}
	for i, r := range f.rules[min(1, len(f.rules)):] { // the path check's rule is the driver's own
		if r.undone != 1 {
			t.Errorf("rule %d was undone %d times: %v", i+1, r.undone, f.calls)
		}
	}
}

// The lab is restored after an error at any call.
func TestRestoreAfterError(t *testing.T) {
	t.Parallel()
	for _, m := range moments {
		t.Run(fmt.Sprintf("%s %d", m.call, m.n), func(t *testing.T) {
			f := newFakeLab(t, 2)
			broken := errors.New("broken")
			f.failCall(m.call, m.n, broken)
			r, watched, err := f.run(t.Context(), ephemeralScenario(2, "masquerade", "random-fully"))
			if err == nil || r.Incomplete != err.Error() {
				t.Errorf("error %v, incomplete %q", err, r.Incomplete)
			}
			if !isClientCall(m.call) && !errors.Is(err, broken) {
				t.Errorf("error %v does not lead to its cause", err)
			}
			if countTrials(r) != len(watched.done) || len(watched.done) != max(0, len(watched.started)-1) {
				t.Errorf("%d trials in the result, %d told as done, %d as started", countTrials(r), len(watched.done), len(watched.started))
			}
			checkRestored(t, f)
		})
	}
}

// The lab is restored after a panic at any call.
func TestRestoreAfterPanic(t *testing.T) {
	t.Parallel()
	for _, m := range moments {
		if isClientCall(m.call) {
			continue // a client is another process
		}
		t.Run(fmt.Sprintf("%s %d", m.call, m.n), func(t *testing.T) {
			f := newFakeLab(t, 2)
			f.before = func(call string, n int) error {
				if call == m.call && n == m.n {
					panic("a bug in the lab")
				}
				return nil
			}
			func() {
				defer func() {
					if got := recover(); got != "a bug in the lab" {
						t.Errorf("the panic became %v", got)
					}
				}()
				_, _, _ = f.run(t.Context(), ephemeralScenario(2, "masquerade", "random-fully")) // does not return
			}()
			checkRestored(t, f)
		})
	}
}

// The lab is restored when the context ends at any call.
func TestRestoreAfterCancel(t *testing.T) {
	t.Parallel()
	for _, m := range moments {
		t.Run(fmt.Sprintf("%s %d", m.call, m.n), func(t *testing.T) {
			f := newFakeLab(t, 2)
			interrupted := errors.New("interrupted by SIGINT")
			ctx, cancel := context.WithCancelCause(t.Context())
			f.before = func(call string, n int) error {
				if call == m.call && n == m.n {
					cancel(interrupted)
					if isClientCall(call) {
						return errSilence // ends in the middle of a load
					}
				}
				return nil
			}
			r, _, err := f.run(ctx, ephemeralScenario(2, "masquerade", "random-fully"))
			// The fake's own calls do not look at the context: when it ends
			// in the last of them, all is done.
			if countTrials(r) < 4 && (!errors.Is(err, interrupted) || r.Incomplete != err.Error()) {
				t.Errorf("error %v, incomplete %q", err, r.Incomplete)
			}
			checkRestored(t, f)
		})
	}
}

// The lab is restored after a run that succeeds.
func TestRestoreAfterRun(t *testing.T) {
	t.Parallel()
	f := newFakeLab(t, 2)
	r, _, err := f.run(t.Context(), ephemeralScenario(2, "masquerade", "random-fully"))
	if err != nil || r.Incomplete != "" {
		t.Errorf("error %v, incomplete %q", err, r.Incomplete)
	}
	if r.Arms[0].Rule != "-j MASQUERADE" || r.Arms[1].Rule != "-j MASQUERADE --random-fully" {
		t.Errorf("rules %q and %q", r.Arms[0].Rule, r.Arms[1].Rule)
	}
	if r.Environment.Driver != "fake" {
		t.Errorf("environment %+v is not the lab's", r.Environment)
	}
	checkRestored(t, f)
}

// A rule of the node that draws source ports by itself is recorded with that option.
func TestNodeDrawsPorts(t *testing.T) {
	t.Parallel()
	for _, draws := range []bool{false, true} {
		f := newFakeLab(t, 2)
		f.draws = draws
		r, _, err := f.run(t.Context(), ephemeralScenario(2, "masquerade"))
		if err != nil || r.Arms[0].DrawsPorts() != draws {
			t.Errorf("%v: options %+v, %v", draws, r.Arms[0].Options, err)
		}
	}
}

// An error names everything that cannot be restored.
func TestRestoreFails(t *testing.T) {
	t.Parallel()
	left := &undo.LeftError{Left: []undo.Left{{Step: undo.Step{What: "a network"}, Err: errors.New("in use")}}}
	for _, test := range []struct {
		name       string
		before     func(call string, n int) error
		trials     int
		incomplete string
	}{
		{"after a success", func(call string, _ int) error { return errorIf(call == callClose, left) }, 4, ""},
		{"after an error", func(call string, n int) error {
			return errors.Join(errorIf(call == callClose, left), errorIf(call == callListen && n == 4, errors.New("no port")))
		}, 2, "no port"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeLab(t, 1)
			f.before = test.before
			r, _, err := f.run(t.Context(), ephemeralScenario(1, "a", "b"))
			if got := (*undo.LeftError)(nil); !errors.As(err, &got) || (test.incomplete == "") != (r.Incomplete == "") || !strings.Contains(r.Incomplete, test.incomplete) {
				t.Errorf("error %v, incomplete %q", err, r.Incomplete)
			}
			if countTrials(r) != test.trials {
				t.Errorf("%d trials are kept, want %d", countTrials(r), test.trials)
			}
		})
	}
}

func errorIf(yes bool, err error) error {
	if yes {
		return err
	}
	return nil
}

// A lab that does not open is a result without trials.
func TestRunNoLab(t *testing.T) {
	t.Parallel()
	broken := errors.New("no engine")
	s := ephemeralScenario(2, "a", "b")
	r, err := Run(t.Context(), s, func(context.Context) (lab.Lab, error) { return nil, broken }, &recorder{}, RunOptions{})
	if !errors.Is(err, broken) || r == nil || r.Incomplete != "no engine" || countTrials(r) != 0 || len(r.Arms) != 2 {
		t.Errorf("error %v, result %+v", err, r)
	}
}

// A run that is cancelled in a trial keeps the finished trials.
func TestRunCancelled(t *testing.T) {
	t.Parallel()
	f := newFakeLab(t, 2)
	interrupted := errors.New("interrupted by SIGINT")
	ctx, cancel := context.WithCancelCause(t.Context())
	f.before = func(call string, n int) error {
		if call == "client 1" && n == 2+3 { // the fourth trial; before the first come the path check and the warm-up
			cancel(interrupted)
			return errSilence
		}
		return nil
	}
	s := ephemeralScenario(2, "a", "b", "c")
	r, watched, err := f.run(ctx, s)
	orders := pace.NewOrders(*s.Seed, len(s.Arms))
	orders.Next()
	want := fmt.Sprintf("round 2, arm %s: interrupted by SIGINT", s.Arms[orders.Next()[0]].Name)
	if !errors.Is(err, interrupted) || fmt.Sprint(err) != want || r.Incomplete != want {
		t.Errorf("error %v, incomplete %q, want %s", err, r.Incomplete, want)
	}
	if countTrials(r) != 3 || len(watched.done) != 3 || len(watched.started) != 4 {
		t.Errorf("%d trials are kept, %d were done, %d started", countTrials(r), len(watched.done), len(watched.started))
	}
	for _, a := range r.Arms {
		if len(a.Trials) != 1 || a.Trials[0].Requests != 40 {
			t.Errorf("arm %s: %+v", a.Name, a.Trials)
		}
	}
	checkRestored(t, f)
}

// A client that dies in a trial ends the run with the reason of its exit.
func TestRunClientDies(t *testing.T) {
	t.Parallel()
	f := newFakeLab(t, 3)
	f.failCall("client 1", 3, errors.New("killed")) // in the second trial
	r, _, err := f.run(t.Context(), ephemeralScenario(3, "a"))
	if want := "round 2, arm a: client 1 died: its stream ended; " + exitReason; fmt.Sprint(err) != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if countTrials(r) != 1 {
		t.Errorf("%d trials are kept, want the one before", countTrials(r))
	}
	checkRestored(t, f)
}

// A lab whose parts were removed ends the run, and its trial is dropped.
//
// Figures may look fine all the same: what could not be sent failed.
func TestRunLabBroken(t *testing.T) {
	t.Parallel()
	apart := errors.New("client 1 was taken off its network")
	for _, test := range []struct {
		name   string
		before func(call string, n int) error
		want   string
	}{
		{"and nothing else is wrong", func(call string, n int) error { return errorIf(call == callIntact && n == 2, apart) },
			"round 2, arm a: " + apart.Error()},
		{"which explains an error", func(call string, n int) error {
			return errors.Join(errorIf(call == callIntact && n == 2, apart), errorIf(call == callFinish && n == 3, errors.New("no answer")))
		}, "round 2, arm a: no answer\n" + apart.Error()},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeLab(t, 2)
			f.before = test.before
			r, _, err := f.run(t.Context(), ephemeralScenario(2, "a"))
			if !errors.Is(err, apart) || err.Error() != test.want || r.Incomplete != test.want {
				t.Errorf("error %v, incomplete %q, want %s", err, r.Incomplete, test.want)
			}
			if countTrials(r) != 1 {
				t.Errorf("%d trials are kept, want the one before", countTrials(r))
			}
			checkRestored(t, f)
		})
	}
}

// The record of a run names it, even where the lab could not be opened.
func TestRunRecord(t *testing.T) {
	t.Parallel()
	open := func(context.Context) (lab.Lab, error) { return nil, errors.New("no lab") }
	r, _ := Run(t.Context(), ephemeralScenario(2, "masquerade", "random-fully"), open, noWatcher{}, RunOptions{ID: "20261127-1", Version: "v1"})
	if r.ID != "20261127-1" || r.Version != "v1" || r.Summary == "" {
		t.Errorf("got %q, %q, %q", r.ID, r.Version, r.Summary)
	}
	t.Run("and the options of each rule", func(t *testing.T) {
		if a, b := r.Arms[0], r.Arms[1]; a.DrawsPorts() || !b.Options.RandomFully {
			t.Errorf("got %+v, %+v", a.Options, b.Options)
		}
	})
}
