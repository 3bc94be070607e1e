package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"snatlab/harness/history/store"
	"snatlab/harness/lab/labtest"
	"snatlab/harness/report/layout"
	"snatlab/harness/report/trend"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// short is a scenario that runs for a second. Of its two arms the first loses
// connections, and the second does not.
const short = `
name: short
driver: netns
load: {requests: 400}
rounds: 5
arms: [{name: masquerade}, {name: random-fully, masquerade: {random_fully: true}}]
expect: [{arm: masquerade, race: reproduced}]
`

// sabotaged is the same scenario, but the rule of its second arm is plain.
var sabotaged = strings.Replace(short, ", masquerade: {random_fully: true}", "", 1)

// testStore is a folder of results.
type testStore struct{ *store.Store }

func newStore(t *testing.T) testStore {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "store"))
	must(t, err)
	return testStore{s}
}

// runNightly runs a night on the store and returns its record. The umask of its shell
// makes new files private.
func (s testStore) runNightly(t *testing.T, codes []int, scenario string, args ...string) *result.Night {
	t.Helper()
	args = append([]string{"-c", `umask 077 && exec "$0" "$@"`, binary, "nightly", scenarioFile(t, scenario), "--store", s.Dir(), "--json"}, args...)
	var out, said bytes.Buffer
	c := exec.Command("sh", args...)
	c.Stdout, c.Stderr = &out, &said
	err := c.Run()
	if err != nil && !errors.As(err, new(*exec.ExitError)) || !slices.Contains(codes, c.ProcessState.ExitCode()) {
		t.Fatalf("%v, want exit code %d\n%s%s", err, codes, out.String(), said.String())
	}
	n := new(result.Night)
	must(t, json.Unmarshal(out.Bytes(), n))
	return n
}

func (s testStore) listRuns(t *testing.T) []result.RunSummary {
	t.Helper()
	runs, warnings, err := s.ListRuns()
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, warnings %q", err, warnings)
	}
	return runs
}

// goodRun returns the result of a run of short in which the race occurred; empty if it
// does not occur in five runs. On a busy machine more than one run is needed.
var goodRun = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "snatlab-good")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "short.yaml")
	if err := os.WriteFile(path, []byte(short), 0o644); err != nil {
		return nil, err
	}
	for range 5 {
		c := exec.Command(binary, "run", path, "--force", "--out", dir)
		if said, err := c.CombinedOutput(); err != nil && c.ProcessState.ExitCode() != exitInconclusive {
			return nil, fmt.Errorf("%w\n%s", err, said)
		}
		r, err := resultfile.ReadResult(dir)
		if err != nil {
			return nil, err
		}
		if r.Verdict == result.Pass && r.Comparisons[0].Verdict == result.Mitigated {
			return os.ReadFile(filepath.Join(dir, resultfile.ResultName))
		}
	}
	return nil, nil
})

func goodResult(t *testing.T) *result.Result {
	t.Helper()
	text, err := goodRun()
	must(t, err)
	if text == nil {
		t.Skip("the race did not occur in five runs")
	}
	r := new(result.Result)
	must(t, json.Unmarshal(text, r))
	r.Command = result.CommandNightly // else it were no night
	return r
}

// putCopies stores a run n times, as the runs of n nights.
func (s testStore) putCopies(t *testing.T, r *result.Result, n int) {
	t.Helper()
	tonight := r.Started
	for i := range n {
		r.ID = fmt.Sprintf("seed-%02d", i)
		r.Started = tonight.AddDate(0, 0, i-n)
		must(t, s.Put(r))
	}
}

func hashOf(t *testing.T, text string) string {
	t.Helper()
	s, err := scenario.Parse("scenario.yaml", []byte(text))
	must(t, err)
	return s.Hash()
}

// Nights with equal results raise no alarm.
func TestNightlyNoAlarm(t *testing.T) {
	labtest.TakeMachine(t)
	s := newStore(t)
	before := goodResult(t)
	before.Environment.Kernel = "6.12.107"
	s.putCopies(t, before, 20)
	junit, metrics := filepath.Join(t.TempDir(), "junit.xml"), filepath.Join(t.TempDir(), "snatlab.prom")
	for range 3 { // the race occurs by chance
		n := s.runNightly(t, []int{exitPass, exitInconclusive}, short, "--junit", junit, "--metrics", metrics)
		j := n.Runs[0]
		if slices.ContainsFunc(j.Findings, func(f result.Finding) bool { return f.Kind != result.Shift }) {
			t.Fatalf("%s: %+v", j.Outcome, j.Findings)
		}
		for _, path := range []string{junit, metrics} {
			if info, err := os.Stat(path); err != nil || info.Mode() != 0o644 {
				t.Errorf("%s: %v, %v", path, info, err)
			}
		}
		if j.Outcome != result.OutcomeOK {
			continue
		}
		if n.KernelBefore != "6.12.107" || j.KernelBefore != "6.12.107" || j.Compared != 20 {
			t.Errorf("before: %s, %s, %d runs", n.KernelBefore, j.KernelBefore, j.Compared)
		}
		var screen bytes.Buffer
		must(t, trend.WriteNight(&screen, n, layout.Screen{}))
		if text := screen.String(); !strings.HasPrefix(text, "kernel 6.12.107 -> "+n.Kernel) ||
			len(j.Findings)+len(j.Doubts) == 0 && !strings.Contains(strings.Join(strings.Fields(text), " "), "no change on "+n.Kernel) {
			t.Errorf("said:\n%s", text)
		}
		return
	}
	t.Skip("the race did not occur in three nights")
}

// runUntilConclusive runs nights until one is not inconclusive, because the race occurs by
// chance. It checks that every attempt is in the store.
func (s testStore) runUntilConclusive(t *testing.T, code int, scenario string, args ...string) (j result.NightRun) {
	t.Helper()
	stored := len(s.listRuns(t))
	for range 3 {
		j = s.runNightly(t, []int{code, exitInconclusive}, scenario, args...).Runs[0]
		stored += j.Attempts
		if runs := s.listRuns(t); len(runs) != stored {
			t.Errorf("%d runs in the store, want %d", len(runs), stored)
		}
		if j.Outcome != result.OutcomeInconclusive {
			return j
		}
	}
	t.Skip("the race did not occur in three nights")
	return j
}

// A lost mitigation is a regression. The history is that of the correct
// scenario, with the hash of the sabotaged one that is run.
func TestNightlyRegression(t *testing.T) {
	labtest.TakeMachine(t)
	s := newStore(t)
	good := goodResult(t)
	good.Scenario.Hash = hashOf(t, sabotaged)
	s.putCopies(t, good, 20)
	known := filepath.Join(t.TempDir(), "known.yaml")
	must(t, os.WriteFile(known, []byte(`[{scenario: short, kernel: ">=1.0", reason: sabotage, until: 2099-12-31}]`), 0o644))

	j := s.runUntilConclusive(t, exitFail, sabotaged)
	fell := slices.IndexFunc(j.Findings, func(f result.Finding) bool { return f.Kind == result.RemainingRose && f.Arm == "random-fully" })
	if j.Outcome != result.OutcomeRegression || j.Attempts < 2 || fell < 0 {
		t.Errorf("%s by %d attempts: %+v", j.Outcome, j.Attempts, j.Findings)
	}
	if j := s.runUntilConclusive(t, exitPass, sabotaged, "--known", known); j.Outcome != result.OutcomeKnown {
		t.Errorf("%s, although it is known: %+v", j.Outcome, j.Findings)
	}
}

// An ordinary user runs nightly: the labs are in a user namespace, and the store
// is in the home folder. A lab in Docker is refused.
func TestNightlyOrdinaryUser(t *testing.T) {
	needNamespaces(t)
	home, err := os.MkdirTemp("", "snatlab-user")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(home) })
	must(t, errors.Join(os.Chown(home, nobody, nobody), os.Chmod(home, 0o755)))
	path := filepath.Join(home, "scenario.yaml")
	docker := filepath.Join(home, "docker.yaml")
	must(t, errors.Join(os.WriteFile(path, []byte(short), 0o644), os.WriteFile(docker, []byte(once), 0o644)))
	c := exec.Command(binary, "nightly", docker, path)
	var out bytes.Buffer
	c.Dir, c.Env, c.Stdout = home, []string{"HOME=" + home}, &out
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	p := startCommand(t, c)
	if code := p.wait(t); code != exitUnable || !strings.Contains(out.String(), "a lab in Docker requires root: ") {
		t.Fatalf("exit code %d\n%s%s", code, out.String(), p.said(t))
	}
	s, err := store.Open(filepath.Join(home, ".local/state/snatlab"))
	must(t, err)
	runs := testStore{s}.listRuns(t)
	if len(runs) == 0 || !runs[0].Key.Rootless {
		t.Fatalf("runs %+v", runs)
	}
	info, err := os.Stat(filepath.Join(s.Dir(), runs[0].Folder, "result.json"))
	must(t, err)
	if owner := info.Sys().(*syscall.Stat_t); owner.Uid != nobody || owner.Gid != nobody {
		t.Errorf("owned by %d:%d", owner.Uid, owner.Gid)
	}
}

// A second nightly waits, or ends at once with --no-wait.
func TestNightlySecond(t *testing.T) {
	s := newStore(t)
	lock, err := undo.TakeLock(s.Dir(), "nightly")
	must(t, err)
	path := scenarioFile(t, strings.Replace(once, "name: once", "name: once\ndriver: docker", 1))
	second := func(args ...string) *process {
		c := exec.Command(binary, append([]string{"nightly", path, "--store", s.Dir()}, args...)...)
		c.Env = append(os.Environ(), "DOCKER_HOST=unix:///nowhere.sock")
		return startCommand(t, c)
	}

	leaves := second("--no-wait")
	if code := leaves.wait(t); code != exitUnable {
		t.Errorf("exit code %d", code)
	}
	at := fmt.Sprintf("another snatlab is active on this host: nightly (pid %d, started ", os.Getpid())
	if said := leaves.said(t); !strings.HasPrefix(said, "snatlab: "+at) {
		t.Errorf("said: %s", said)
	}

	asked := second()
	asked.await(t, "it waits", func() bool { return strings.HasPrefix(asked.said(t), "waiting: "+at) })
	asked.Process.Signal(unix.SIGTERM)
	if code := asked.wait(t); code != 128+int(unix.SIGTERM) {
		t.Errorf("exit code %d\n%s", code, asked.said(t))
	}

	waits := second()
	waits.await(t, "it waits", func() bool { return strings.HasPrefix(waits.said(t), "waiting: "+at) })
	must(t, lock.Release())
	if code := waits.wait(t); code != exitUnable || len(s.listRuns(t)) > 0 { // there is no engine
		t.Errorf("exit code %d\n%s", code, waits.said(t))
	}
}

// A signal ends a night, and the finished runs are kept.
func TestNightlySignal(t *testing.T) {
	needNamespaces(t)
	s := newStore(t)
	metrics := filepath.Join(t.TempDir(), "snatlab.prom")
	c := exec.Command(binary, "nightly", scenarioFile(t, short), scenarioFile(t, "driver: netns\n"+slow), "--store", s.Dir(), "--metrics", metrics)
	var out bytes.Buffer
	c.Stdout = &out
	p := startCommand(t, c)
	// The signal comes in the second scenario, or in a second attempt of the first.
	p.await(t, "a run in the store", func() bool { return len(s.listRuns(t)) > 0 })
	p.Process.Signal(unix.SIGTERM)
	if code := p.wait(t); code != 128+int(unix.SIGTERM) {
		t.Errorf("exit code %d\n%s", code, p.said(t))
	}
	if text := out.String(); !strings.Contains(text, "short (netns)") || !strings.Contains(strings.Join(strings.Fields(text), " "), "interrupted by SIGTERM") {
		t.Errorf("said:\n%s", text)
	}
	text, err := os.ReadFile(metrics)
	if err != nil || !regexp.MustCompile(`(?m)^snatlab_nightly_complete\{node="[^"]*"\} 0$`).Match(text) {
		t.Errorf("metrics: %v\n%s", err, text)
	}
}

// long is a scenario whose result is larger than the disks of these tests.
const long = `
name: long
driver: netns
load: {requests: 50}
rounds: 25
arms: [{name: masquerade}, {name: random-fully, masquerade: {random_fully: true}}]
`

// runOnDisk runs a night on a store in a separate file system, which a shell command
// prepares.
func runOnDisk(t *testing.T, options, prepare string) (code int, out, said string) {
	t.Helper()
	disk := t.TempDir()
	script := fmt.Sprintf("mount -t tmpfs -o %s none %s && cd %[2]s && { %s; } && exec %s nightly %s --store %[2]s", options, disk, prepare, binary, scenarioFile(t, long))
	c := exec.Command("unshare", "--mount", "sh", "-c", script)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// A store that cannot be written to is reported before the night.
func TestNightlyBadStore(t *testing.T) {
	needNamespaces(t)
	for _, c := range []struct{ options, prepare, want string }{
		{"size=256k,ro", "true", "read-only file system"},
		{"size=256k", "! dd if=/dev/zero of=filling bs=4k 2>/dev/null", "no space left on device"},
	} {
		code, out, said := runOnDisk(t, c.options, c.prepare)
		if code != exitUnable || out != "" || !strings.HasPrefix(said, "snatlab: make room for results: ") || !strings.Contains(said, c.want+" (another folder: --store)") {
			t.Errorf("%s: exit code %d\n%s%s", c.options, code, out, said)
		}
	}
}

// A result that could not be stored is printed.
func TestNightlyUnstored(t *testing.T) {
	needNamespaces(t)
	code, out, said := runOnDisk(t, "size=144k", "true")
	n := new(result.Night)
	if err := json.Unmarshal([]byte(out), n); err != nil || code != exitUnable {
		t.Fatalf("exit code %d, %v\n%s%s", code, err, out, said)
	}
	j := n.Runs[0]
	if len(j.Unstored) != j.Attempts || countTrials(j.Unstored[0]) != 50 || !strings.Contains(n.Store.Error, "no space left on device") || n.Store.Runs != 0 {
		t.Errorf("%d of %d runs are printed, the store holds %d: %s", len(j.Unstored), j.Attempts, n.Store.Runs, n.Store.Error)
	}
	if said != "results could not be stored: they are on standard output, as JSON\n" {
		t.Errorf("said: %s", said)
	}
}

// The worst outcome of a night sets its exit code.
func TestNightlyCode(t *testing.T) {
	t.Parallel()
	night := func(stored string, outcomes ...result.Outcome) *result.Night {
		n := &result.Night{Store: result.StoreState{Error: stored}}
		for _, o := range outcomes {
			n.Runs = append(n.Runs, result.NightRun{Outcome: o})
		}
		return n
	}
	const ok, known = result.OutcomeOK, result.OutcomeKnown
	for _, c := range []struct {
		night  *result.Night
		failed error // to write a report
		want   int
	}{
		{night("", ok, known), nil, exitPass},
		{night("", ok, result.OutcomeInconclusive), nil, exitInconclusive},
		{night("", result.OutcomeInconclusive, result.OutcomeError), nil, exitUnable},
		{night("disk full", result.OutcomeInconclusive), nil, exitUnable},
		{night("", ok), errors.New("disk full"), exitUnable},
		{night("disk full", result.OutcomeError, result.OutcomeFail), errors.New("disk full"), exitFail},
		{night("", result.OutcomeError, result.OutcomeRegression, ok), nil, exitFail},
	} {
		if got := codeOf(nightlyCode(c.night, c.failed)); got != c.want {
			t.Errorf("%+v, %v: exit code %d, want %d", c.night, c.failed, got, c.want)
		}
	}
}
