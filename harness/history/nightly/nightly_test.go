package nightly

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"snatlab/harness/history/historytest"
	"snatlab/harness/history/regression"
	"snatlab/harness/history/store"
	"snatlab/harness/report/layout"
	"snatlab/harness/report/trend"
	"snatlab/harness/result"
	"snatlab/harness/undo"
)

// makeRun returns a run of two arms. The second one mitigates, unless it is changed.
func makeRun(t *testing.T, change ...func(*result.Result)) *result.Result {
	t.Helper()
	n := serial.Add(1)
	r := historytest.RunSpec{Day: int(n), Kernel: "6.18.44", Lost: 1000, Change: func(r *result.Result) {
		r.Scenario.Name, r.Environment.Driver, r.Environment.Docker = "docker-masquerade", "docker", new("28.5.2")
		r.Expected = append(r.Expected, result.Expectation{Arm: "random-fully", P99: new(1.0)})
		for _, c := range change {
			c(r)
		}
	}}.MakeResult()
	r.ID = fmt.Sprintf("%s-%d", r.ID, n)
	return r
}

// serial numbers the runs of these tests.
var serial atomic.Int64

// unmitigated sets the failures of the second arm to those of the baseline.
func unmitigated(r *result.Result) {
	for i := range r.Arms[1].Trials {
		r.Arms[1].Trials[i] = historytest.MakeTrial(i, r.Arms[0].Trials[i].Failed, result.SNATRace, r.Arms[0].Trials[i].Failed)
	}
}

// withoutRace removes all failures, also those of the controls.
func withoutRace(r *result.Result) {
	for i := range r.Arms {
		for j := range r.Arms[i].Trials {
			r.Arms[i].Trials[j] = historytest.MakeTrial(j, 0, result.SNATRace, 0)
		}
	}
}

// withHighLatency makes the second arm ten times as slow.
func withHighLatency(r *result.Result) {
	for i := range r.Arms[1].Trials {
		r.Arms[1].Trials[i].Latency.P99 *= 10
	}
}

// withRefusals adds a few failures of another cause to the second arm.
func withRefusals(r *result.Result) {
	for i := range r.Arms[1].Trials {
		trial := &r.Arms[1].Trials[i]
		trial.Failed += 4
		trial.Failures, trial.Causes = map[string]int{result.Refused: trial.Failed}, map[string]int{result.Refused: trial.Failed}
	}
}

func onKernel(kernel string) func(*result.Result) {
	return func(r *result.Result) { r.Environment.Kernel = kernel }
}

// withUnmetExpectation replaces the expectations by one that cannot hold.
func withUnmetExpectation(r *result.Result) {
	r.Expected = []result.Expectation{{Arm: "masquerade", Race: "absent"}}
}

func checkError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// makeStore returns a store with n good runs.
func makeStore(t *testing.T, n int, change ...func(*result.Result)) *store.Store {
	t.Helper()
	s, err := store.Open(t.TempDir())
	checkError(t, err)
	for range n {
		checkError(t, s.Put(makeRun(t, change...)))
	}
	return s
}

// jobWith returns a job whose attempts have these results.
func jobWith(name string, results ...*result.Result) Job {
	return Job{Scenario: name, File: name + ".yaml", Driver: "docker", Run: func(context.Context) (*result.Result, error) {
		if len(results) == 0 {
			return nil, errors.New("an attempt too many")
		}
		r := results[0]
		results = results[1:]
		return r, nil
	}}
}

// failingJob returns a job that ends with an error.
func failingJob(name string, r *result.Result, err error) Job {
	return Job{Scenario: name, File: name + ".yaml", Run: func(context.Context) (*result.Result, error) { return r, err }}
}

func makeRunner(s *store.Store, jobs ...Job) Runner {
	return Runner{ID: "tonight", Machine: result.Env{Kernel: "6.18.44", Arch: "amd64", Virtualisation: new("kvm")}, Store: s, Attempts: 3, Jobs: jobs}
}

// mustRun runs a night that ends by itself.
func mustRun(t *testing.T, n Runner) *result.Night {
	t.Helper()
	record, err := n.Run(t.Context())
	checkError(t, err)
	return record
}

func countStored(t *testing.T, s *store.Store) int {
	t.Helper()
	all, warnings, err := s.ListRuns()
	checkError(t, err)
	if len(warnings) > 0 {
		t.Errorf("warnings %q", warnings)
	}
	return len(all)
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	known := []regression.KnownFailure{knownFailure(t)}
	for name, c := range map[string]struct {
		before   int // good runs in the store
		attempts []*result.Result
		known    []regression.KnownFailure
		want     result.Outcome
		findings bool
	}{
		"a good run":                                {20, []*result.Result{makeRun(t)}, nil, result.OutcomeOK, false},
		"a good first run":                          {0, []*result.Result{makeRun(t)}, nil, result.OutcomeOK, false},
		"every attempt is bad":                      {20, []*result.Result{makeRun(t, unmitigated), makeRun(t, unmitigated), makeRun(t, unmitigated)}, nil, result.OutcomeRegression, true},
		"every attempt is bad, as known":            {20, []*result.Result{makeRun(t, unmitigated), makeRun(t, unmitigated), makeRun(t, unmitigated)}, known, result.OutcomeKnown, true},
		"the second attempt is good":                {20, []*result.Result{makeRun(t, unmitigated), makeRun(t), makeRun(t)}, nil, result.OutcomeRegression, true},
		"a burst in the first attempt":              {20, []*result.Result{makeRun(t, withRefusals), makeRun(t), makeRun(t)}, nil, result.OutcomeOK, false},
		"bad, after too few nights":                 {4, []*result.Result{makeRun(t, unmitigated), makeRun(t, unmitigated)}, nil, result.OutcomeFail, false},
		"no race in any attempt":                    {20, []*result.Result{makeRun(t, withoutRace), makeRun(t, withoutRace), makeRun(t, withoutRace)}, nil, result.OutcomeInconclusive, false},
		"a race in the second attempt":              {20, []*result.Result{makeRun(t, withoutRace), makeRun(t)}, nil, result.OutcomeOK, false},
		"an expectation that cannot hold":           {0, []*result.Result{makeRun(t, withUnmetExpectation), makeRun(t, withUnmetExpectation), makeRun(t, withUnmetExpectation)}, nil, result.OutcomeFail, false},
		"an expectation that held only at the last": {0, []*result.Result{makeRun(t, withUnmetExpectation), makeRun(t)}, nil, result.OutcomeOK, false},
		"an expectation that held only at first":    {20, []*result.Result{makeRun(t, withRefusals), makeRun(t, withHighLatency), makeRun(t, withHighLatency)}, nil, result.OutcomeFail, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := makeStore(t, c.before)
			n := makeRunner(s, jobWith("docker-masquerade", c.attempts...))
			n.Known = c.known
			record := mustRun(t, n)
			j := record.Runs[0]
			if regression := slices.ContainsFunc(j.Findings, isNoShift); j.Outcome != c.want || regression != c.findings {
				t.Errorf("%s, want %s: %s %+v", j.Outcome, c.want, j.Reason, j.Findings)
			}
			if (j.Reason == "") != (j.Outcome == result.OutcomeOK || c.findings) {
				t.Errorf("%s for %q", j.Outcome, j.Reason)
			}
			if j.Compared != c.before || j.Result == nil || j.Attempts == 0 || j.Attempts > len(c.attempts) {
				t.Errorf("%d attempts set against %d runs", j.Attempts, j.Compared)
			}
			if n := countStored(t, s); n != c.before+j.Attempts || record.Store.Runs != n {
				t.Errorf("%d runs stored, %d told", n, record.Store.Runs)
			}
		})
	}
}

func isNoShift(f result.Finding) bool { return f.Kind != result.Shift }

func knownFailure(t *testing.T) regression.KnownFailure {
	t.Helper()
	all, err := regression.ParseKnown("known.yaml", []byte(`[{scenario: docker-masquerade, arm: random-fully, kernel: ">=6.12", reason: ticket 4711, until: 2099-01-01}]`))
	checkError(t, err)
	return all[0]
}

// A regression is one in the nights after, too.
func TestRegressionLasts(t *testing.T) {
	t.Parallel()
	s := makeStore(t, 20)
	for range 5 {
		j := mustRun(t, makeRunner(s, jobWith("docker-masquerade", makeRun(t, unmitigated), makeRun(t, unmitigated), makeRun(t, unmitigated)))).Runs[0]
		if j.Outcome != result.OutcomeRegression {
			t.Fatalf("%s: %s", j.Outcome, j.Reason)
		}
	}
}

// A new kernel is reported first, and that it changes nothing.
func TestNewKernel(t *testing.T) {
	t.Parallel()
	s := makeStore(t, 20, onKernel("6.12.107"))
	record := mustRun(t, makeRunner(s, jobWith("docker-masquerade", makeRun(t))))
	if record.KernelBefore != "6.12.107" || record.LastRun == nil || record.Runs[0].KernelBefore != "6.12.107" {
		t.Errorf("kernel before: %q; of the scenario: %q", record.KernelBefore, record.Runs[0].KernelBefore)
	}
	var screen bytes.Buffer
	checkError(t, trend.WriteNight(&screen, record, layout.Screen{Width: 200}))
	if text := screen.String(); !strings.HasPrefix(text, "kernel 6.12.107 -> 6.18.44 since the last run (") || !strings.Contains(text, "no change on 6.18.44") {
		t.Errorf("said:\n%s", text)
	}
}

// The kernel of a guest, or of a node of a fleet, is not that of the machine.
func TestGuestKernel(t *testing.T) {
	t.Parallel()
	s := makeStore(t, 1)
	checkError(t, s.Put(makeRun(t, onKernel("7.3.4"), func(r *result.Result) { r.Environment.Guest = "tcg" })))
	checkError(t, s.Put(makeRun(t, onKernel("7.3.5"), func(r *result.Result) { r.Command = result.CommandFleet })))
	record := mustRun(t, makeRunner(s, jobWith("docker-masquerade", makeRun(t))))
	if record.KernelBefore != "6.18.44" {
		t.Errorf("kernel before: %q", record.KernelBefore)
	}
}

// onNode makes a run one on a node of a cluster.
func onNode(node, kernel string) func(*result.Result) {
	return func(r *result.Result) {
		r.Scenario.Name, r.Environment.Driver, r.Environment.Docker = "pods", result.DriverKubernetes, nil
		r.Environment.Kernel, r.Environment.Kubernetes = kernel, &result.Kubernetes{Node: node}
	}
}

// podsOn returns a job on a node.
func podsOn(node string, results ...*result.Result) Job {
	j := jobWith("pods", results...)
	j.Driver, j.Node = result.DriverKubernetes, node
	return j
}

// Each node of a fleet is compared with its own earlier runs: a new kernel on one node that
// breaks a mitigation is a regression there, whatever the others show.
func TestFleetHistory(t *testing.T) {
	t.Parallel()
	s := makeStore(t, 20, onNode("worker-1", "6.12.107"))
	for range 20 {
		checkError(t, s.Put(makeRun(t, onNode("worker-2", "6.12.107"))))
		checkError(t, s.Put(makeRun(t, onNode("worker-3", "6.1.0"), unmitigated)))
	}
	without := func(node, kernel string) Job { // the mitigation
		run := func() *result.Result { return makeRun(t, onNode(node, kernel), unmitigated) }
		return podsOn(node, run(), run(), run())
	}
	runner := makeRunner(s,
		podsOn("worker-1", makeRun(t, onNode("worker-1", "6.12.107"))),
		without("worker-2", "6.18.44"),
		without("worker-3", "6.1.0"),
		podsOn("worker-4", makeRun(t, onNode("worker-4", "6.18.44"))),
		Job{Scenario: "pods", Driver: result.DriverKubernetes, Node: "worker-5", Run: failingJob("pods", nil, errors.New("node worker-5 is in use")).Run})
	record := mustRun(t, runner)
	var got []string
	for _, j := range record.Runs {
		got = append(got, fmt.Sprintf("%s %s, %d before on %q, changed %q", j.Node, j.Outcome, j.Compared, j.KernelBefore, j.KeyChange))
	}
	want := []string{
		`worker-1 ok, 20 before on "6.12.107", changed ""`, `worker-2 regression, 20 before on "6.12.107", changed ""`,
		`worker-3 fail, 20 before on "6.1.0", changed ""`, `worker-4 ok, 0 before on "", changed ""`, `worker-5 error, 0 before on "", changed ""`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if record.KernelBefore != "" {
		t.Errorf("kernel of this machine before: %q", record.KernelBefore)
	}
	var screen bytes.Buffer
	checkError(t, trend.WriteNight(&screen, record, layout.Screen{Width: 200}))
	for _, line := range []string{
		"4 nodes: kernel 6.12.107 (1), 6.18.44 (2), 6.1.0 (1); new: 6.12.107 -> 6.18.44 on worker-2\n",
		"REGRESSION    pods (kubernetes) on worker-2, 2 attempts: ",
		"1 regression, 1 FAIL, 1 error, 2 ok (pods on worker-2, pods on worker-3, pods on worker-5)\n",
	} {
		if !strings.Contains(screen.String(), line) {
			t.Errorf("%q is missing in:\n%s", line, &screen)
		}
	}
}

// A run in a cluster without --fleet has the node that its result names.
func TestNodeOfResult(t *testing.T) {
	t.Parallel()
	j := mustRun(t, makeRunner(makeStore(t, 0), podsOn("", makeRun(t, onNode("worker-1", "6.12.107"))))).Runs[0]
	if j.Node != "worker-1" {
		t.Errorf("node %q", j.Node)
	}
}

// Runs by hand are no part of the history, and are not the last run of this machine.
func TestByHand(t *testing.T) {
	t.Parallel()
	s := makeStore(t, 20)
	byHand := func(r *result.Result) { r.Command = result.CommandRun }
	checkError(t, s.Put(makeRun(t, onKernel("7.3.4"), byHand, unmitigated)))
	checkError(t, s.Put(makeRun(t, byHand, func(r *result.Result) { r.Scenario.Hash = "another" })))
	record := mustRun(t, makeRunner(s, jobWith("docker-masquerade", makeRun(t))))
	if j := record.Runs[0]; record.KernelBefore != "6.18.44" || j.Compared != 20 || j.Before[0].Runs != 20 || j.Outcome != result.OutcomeOK {
		t.Errorf("kernel before: %q; %+v", record.KernelBefore, j)
	}
}

// The record has the history of each arm.
func TestArmsBefore(t *testing.T) {
	t.Parallel()
	half := func(r *result.Result) {
		for i := range r.Arms[0].Trials {
			r.Arms[0].Trials[i].Requests *= 2
		}
	}
	s := makeStore(t, 2)
	checkError(t, s.Put(makeRun(t, half)))
	checkError(t, s.Put(makeRun(t, func(r *result.Result) { r.Incomplete = "interrupted" })))
	checkError(t, s.Put(makeRun(t, func(r *result.Result) { r.Scenario.Hash = "another" })))
	r := makeRun(t)
	j := mustRun(t, makeRunner(s, jobWith("docker-masquerade", r))).Runs[0]
	want := []result.ArmBefore{{Arm: "masquerade", Runs: 3, Lowest: 1000. / 12000, Median: 1. / 6, Highest: 1. / 6}, {Arm: "random-fully", Runs: 3}}
	if !slices.Equal(j.Before, want) {
		t.Errorf("got %+v, want %+v", j.Before, want)
	}
}

// A scenario that cannot be run does not keep the others from being run.
func TestBrokenScenario(t *testing.T) {
	t.Parallel()
	s := makeStore(t, 0)
	record := mustRun(t, makeRunner(s, failingJob("broken", nil, errors.New("broken.yaml:1:1: no")), jobWith("docker-masquerade", makeRun(t))))
	if j := record.Runs[0]; j.Outcome != result.OutcomeError || j.Reason != "broken.yaml:1:1: no" || j.Result != nil {
		t.Errorf("%+v", j)
	}
	if j := record.Runs[1]; j.Outcome != result.OutcomeOK || record.Incomplete != "" {
		t.Errorf("%+v, %s", j, record.Incomplete)
	}
}

// An attempt that ends early confirms nothing.
func TestAbortedAttempt(t *testing.T) {
	t.Parallel()
	attempts := 0
	s := makeStore(t, 20)
	record := mustRun(t, makeRunner(s, Job{Scenario: "docker-masquerade", Run: func(context.Context) (*result.Result, error) {
		if attempts++; attempts == 1 {
			return makeRun(t, unmitigated), nil
		}
		return nil, errors.New("Docker engine: gone")
	}}))
	if j := record.Runs[0]; j.Outcome != result.OutcomeError || j.Reason != "attempt 2: Docker engine: gone" || len(j.Findings) > 0 {
		t.Errorf("%+v", j)
	}
}

// A proven regression is not run again.
func TestProvenIsNotRetried(t *testing.T) {
	t.Parallel()
	n := makeRunner(makeStore(t, 20), jobWith("docker-masquerade", makeRun(t, unmitigated), makeRun(t, unmitigated), makeRun(t)))
	n.Attempts = 10
	if j := mustRun(t, n).Runs[0]; j.Outcome != result.OutcomeRegression || j.Attempts != 2 {
		t.Errorf("%s by %d attempts: %s", j.Outcome, j.Attempts, j.Reason)
	}
}

// A regression stays proven if a later attempt ends early. Of 8 earlier runs two
// attempts prove that more failures remain, and the new cause needs a third.
func TestProvenThenAborted(t *testing.T) {
	t.Parallel()
	for name, broke := range map[string]error{"engine": errors.New("Docker engine: gone"), "host": &undo.LeftError{}} {
		t.Run(name, func(t *testing.T) {
			attempts := 0
			record, err := makeRunner(makeStore(t, 8), Job{Scenario: "docker-masquerade", Run: func(context.Context) (*result.Result, error) {
				if attempts++; attempts == 3 {
					return makeRun(t, func(r *result.Result) { r.Incomplete = broke.Error() }), broke
				}
				return makeRun(t, unmitigated, withRefusals), nil
			}}).Run(t.Context())
			j := record.Runs[0]
			if j.Outcome != result.OutcomeRegression || !slices.ContainsFunc(j.Findings, isNoShift) || j.Attempts != 2 || len(j.Result.Arms[0].Trials) != 16 {
				t.Errorf("%s by %d attempts: %+v", j.Outcome, j.Attempts, j.Findings)
			}
			if !strings.HasPrefix(j.Reason, "attempt 3: ") {
				t.Errorf("reason %q", j.Reason)
			}
			if isLeft := errors.As(broke, new(*undo.LeftError)); errors.Is(err, broke) != isLeft || (record.Incomplete != "") != isLeft {
				t.Errorf("%v, %q", err, record.Incomplete)
			}
		})
	}
}

// A finding excuses no other expectation about its arm.
func TestOtherExpectation(t *testing.T) {
	t.Parallel()
	no := false
	last := makeRun(t)
	last.Verdict = result.Fail
	last.Expected = []result.Expectation{{Arm: "random-fully", Race: "absent", Held: &no}, {Arm: "random-fully", Race: "reproduced", Held: &no}}
	found := result.Finding{Kind: result.ExpectationBroken, Arm: "random-fully", Expectation: last.Expected[0].Key(), Known: "ticket 4711"}
	for want, findings := range map[result.Outcome][]result.Finding{
		result.OutcomeFail:  {found},
		result.OutcomeKnown: {found, {Kind: result.ExpectationBroken, Arm: "random-fully", Expectation: last.Expected[1].Key(), Known: "ticket 4712"}},
	} {
		if got, _ := decideOutcome(1, regression.Evaluation{Tonight: last, Findings: findings}); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// A new kernel that may make a difference is not reported to make none.
func TestNewKernelDoubt(t *testing.T) {
	t.Parallel()
	record := mustRun(t, makeRunner(makeStore(t, 3, onKernel("6.12.107")), jobWith("docker-masquerade", makeRun(t, withRefusals))))
	j := record.Runs[0]
	if j.Outcome != result.OutcomeOK || j.Attempts != 1 || len(j.Doubts) == 0 || len(j.Findings) > 0 {
		t.Fatalf("%s by %d attempts, doubts %q, %+v", j.Outcome, j.Attempts, j.Doubts, j.Findings)
	}
	var screen bytes.Buffer
	checkError(t, trend.WriteNight(&screen, record, layout.Screen{Width: 200}))
	if text := screen.String(); strings.Contains(text, "no change") || !strings.Contains(text, "- doubt: ") {
		t.Errorf("said:\n%s", text)
	}
}

// A host that cannot be restored ends the night.
func TestHostNotRestored(t *testing.T) {
	t.Parallel()
	s := makeStore(t, 0)
	left := &undo.LeftError{}
	record, err := makeRunner(s, failingJob("docker-masquerade", makeRun(t), left), jobWith("never", makeRun(t))).Run(t.Context())
	if !errors.Is(err, left) || len(record.Runs) != 1 || record.Runs[0].Outcome != result.OutcomeError {
		t.Errorf("%v, %+v", err, record.Runs)
	}
	if !strings.HasSuffix(record.Incomplete, "; not run: never") || countStored(t, s) != 1 {
		t.Errorf("%q, %d stored", record.Incomplete, countStored(t, s))
	}
}

// A signal ends the night, and the runs until then are kept.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := makeStore(t, 0)
	ctx, cancel := context.WithCancelCause(t.Context())
	asked := errors.New("interrupted by SIGTERM")
	partial := makeRun(t, func(r *result.Result) { r.Incomplete = asked.Error() })
	record, err := makeRunner(s,
		jobWith("docker-masquerade", makeRun(t)),
		Job{Scenario: "second", Run: func(context.Context) (*result.Result, error) {
			cancel(asked)
			return partial, fmt.Errorf("round 3 of 8: %w", context.Canceled)
		}},
		jobWith("third", makeRun(t)), jobWith("fourth", makeRun(t))).Run(ctx)
	if !errors.Is(err, asked) || len(record.Runs) != 2 || record.Incomplete != "interrupted by SIGTERM; not run: third, fourth" {
		t.Errorf("%v, %d runs, %q", err, len(record.Runs), record.Incomplete)
	}
	if countStored(t, s) != 2 {
		t.Errorf("%d runs stored", countStored(t, s))
	}
}

// A result that cannot be stored is in the record.
func TestUnstoredResult(t *testing.T) {
	t.Parallel()
	s := makeStore(t, 1)
	r := makeRun(t)
	record := mustRun(t, makeRunner(s, Job{Scenario: "docker-masquerade", Run: func(context.Context) (*result.Result, error) {
		checkError(t, os.RemoveAll(s.Dir()))
		return r, os.WriteFile(s.Dir(), nil, 0o600)
	}}))
	j := record.Runs[0]
	if j.Outcome != result.OutcomeOK || len(j.Unstored) != 1 || j.Unstored[0] != r || record.Store.Error == "" {
		t.Errorf("%s, %d not stored, %q", j.Outcome, len(j.Unstored), record.Store.Error)
	}
}

// A store that cannot be read ends the night before it begins.
func TestUnreadableStore(t *testing.T) {
	t.Parallel()
	s := makeStore(t, 0)
	checkError(t, errors.Join(os.Remove(s.Dir()), os.WriteFile(s.Dir(), nil, 0o600)))
	record, err := makeRunner(s, jobWith("never")).Run(t.Context())
	if err == nil || record.Incomplete == "" || len(record.Runs) > 0 {
		t.Errorf("%v, %+v", err, record)
	}
}
