package matrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"snatlab/harness/kernel"
	"snatlab/harness/kernel/kerneltest"
	"snatlab/harness/kernel/vm"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// builtTree returns the SPEC of a kernel with all required modules built in.
func builtTree(t *testing.T, release string) string {
	t.Helper()
	return kerneltest.BuiltTree(t, release, kernel.GuestModules)
}

// fakeGuests replaces the guests of a KernelTester and records its calls.
type fakeGuests struct {
	mu     sync.Mutex
	booted []string // release and requests of each guest
	boot   func(release string, requests int) (*result.Result, error)
	kept   []string
	notes  []string
}

func (l *fakeGuests) newTester(t *testing.T, specs ...string) *KernelTester {
	s := scenario.Default()
	s.Name, s.Arms = "test", []scenario.Arm{{Name: "masquerade"}}
	if err := AdaptToGuest(&s); err != nil {
		t.Fatal(err)
	}
	s.Load.Requests = 300
	return &KernelTester{
		Specs: specs, Scenario: &s, Jobs: 1, Machine: &vm.Machine{Accel: vm.TCG, CPUs: 2, Memory: 512},
		boot: func(ctx context.Context, k *kernel.Kernel, s *scenario.Scenario, _ RunWatcher) (*result.Result, string, error) {
			l.mu.Lock()
			l.booted = append(l.booted, fmt.Sprintf("%s %d", k.Release, s.Load.Requests))
			l.mu.Unlock()
			r, err := l.boot(k.Release, s.Load.Requests)
			return r, vm.TCG, err
		},
		Watch: func(string) RunWatcher { return silentWatcher{} },
		Note: func(kernel, text string) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.notes = append(l.notes, kernel+": "+text)
		},
		Keep: func(r *result.Result) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.kept = append(l.kept, r.ID)
			return nil
		},
	}
}

type silentWatcher struct{}

func (silentWatcher) Say(string)                          {}
func (silentWatcher) Start(result.Progress)               {}
func (silentWatcher) Done(result.Progress, *result.Trial) {}

func passingResult(release string, _ int) (*result.Result, error) {
	return &result.Result{ID: "of " + release, Verdict: result.Pass}, nil
}

// A kernel that cannot be tested does not prevent the test of the others.
func TestRunRowErrors(t *testing.T) {
	t.Parallel()
	l := &fakeGuests{boot: func(release string, requests int) (*result.Result, error) {
		if release == "6.1.0-crashes" {
			return nil, &vm.GuestError{Reason: "the kernel panicked: sysrq triggered crash", Console: []string{"[ 2.8] Kernel panic"}}
		}
		return passingResult(release, requests)
	}}
	nowhere := filepath.Join(t.TempDir(), "vmlinuz")
	if err := os.WriteFile(nowhere, []byte("no kernel"), 0o644); err != nil {
		t.Fatal(err)
	}
	crashes, fine := builtTree(t, "6.1.0-crashes"), builtTree(t, "6.12.0-fine")
	m, err := l.newTester(t, nowhere, crashes, fine).Run(t.Context())
	if err != nil || len(m.Rows) != 3 {
		t.Fatalf("%d rows, %v", len(m.Rows), err)
	}
	if r := m.Rows[0]; r.Status != result.RowError || r.Kernel != nowhere || !strings.HasPrefix(r.Reason, "not a kernel that can be booted here") || r.Attempts != 0 {
		t.Errorf("no kernel: %+v", r)
	}
	if r := m.Rows[1]; r.Status != result.RowError || r.Kernel != "6.1.0-crashes" || r.Spec != crashes || r.Accel != vm.TCG ||
		r.Reason != "the kernel panicked: sysrq triggered crash" || len(r.Console) != 1 || r.Attempts != 1 || r.Result != nil {
		t.Errorf("crashes: %+v", r)
	}
	if r := m.Rows[2]; r.Status != result.RowOK || r.Kernel != "6.12.0-fine" || r.Result.ID != "of 6.12.0-fine" || r.Digest == "" {
		t.Errorf("fine: %+v", r)
	}
	if !slices.Equal(l.kept, []string{"of 6.12.0-fine"}) {
		t.Errorf("kept %q", l.kept)
	}
}

// A panic over a kernel, whose content comes from outside, ends its row only.
func TestRunPanic(t *testing.T) {
	t.Parallel()
	l := &fakeGuests{boot: func(release string, requests int) (*result.Result, error) {
		if release == "6.1.0-odd" {
			panic("odd module")
		}
		return passingResult(release, requests)
	}}
	m, err := l.newTester(t, builtTree(t, "6.1.0-odd"), builtTree(t, "6.12.0")).Run(t.Context())
	if err != nil || len(m.Rows) != 2 {
		t.Fatalf("%d rows, %v", len(m.Rows), err)
	}
	if r := m.Rows[0]; r.Status != result.RowError || r.Reason != "panic while testing it: odd module" || r.Kernel != "6.1.0-odd" {
		t.Errorf("%+v", r)
	}
	if r := m.Rows[1]; r.Status != result.RowOK {
		t.Errorf("%+v", r)
	}
}

// A result without a verdict is a row, and tested again the next time.
func TestRunInconclusive(t *testing.T) {
	t.Parallel()
	l := &fakeGuests{boot: func(string, int) (*result.Result, error) {
		return &result.Result{ID: "first", Verdict: result.Inconclusive}, nil
	}}
	x := l.newTester(t, builtTree(t, "6.1.0"))
	x.Cache = &Cache{Dir: t.TempDir()}
	m, err := x.Run(t.Context())
	if err != nil || m.Rows[0].Status != result.RowOK || m.Rows[0].Result.ID != "first" || m.Rows[0].Attempts != 1 || m.Rows[0].Result.Environment.Guest != vm.TCG {
		t.Errorf("%+v, %v", m.Rows, err)
	}
	if left, _ := os.ReadDir(x.Cache.Dir); len(left) != 0 {
		t.Errorf("an inconclusive row is stored: %v", left)
	}
}

// A kernel with a row in the cache is not tested again.
func TestRunReusesRows(t *testing.T) {
	t.Parallel()
	cache := &Cache{Dir: filepath.Join(t.TempDir(), "rows")}
	broken := true
	l := &fakeGuests{boot: func(release string, requests int) (*result.Result, error) {
		if broken && release == "6.12.0" {
			return nil, &vm.GuestError{Reason: "the guest said nothing for 1m0s"}
		}
		return passingResult(release, requests)
	}}
	old, young := builtTree(t, "6.1.0"), builtTree(t, "6.12.0")
	run := func(change func(*KernelTester), want ...string) *result.Matrix {
		t.Helper()
		l.booted, l.kept = nil, nil
		x := l.newTester(t, old, young)
		x.Cache = cache
		if change != nil {
			change(x)
		}
		m, err := x.Run(t.Context())
		if err != nil || !slices.Equal(l.booted, want) || len(m.Rows) != 2 || m.Rows[0].Result.ID != "of 6.1.0" {
			t.Errorf("booted %q, want %q; %+v, %v", l.booted, want, m.Rows, err)
		}
		return m
	}
	run(nil, "6.1.0 300", "6.12.0 300")
	broken = false
	run(nil, "6.12.0 300")                                                                          // the other one has a row
	if m := run(nil); m.Rows[1].Kernel != "6.12.0" || m.Rows[1].Spec != young || len(l.kept) != 2 { // it may be another store
		t.Errorf("%+v, kept %q", m.Rows, l.kept)
	}
	run(func(x *KernelTester) { x.Fresh = true }, "6.1.0 300", "6.12.0 300")
	run(func(x *KernelTester) { x.Scenario.Load.Requests = 20 }, "6.1.0 20", "6.12.0 20")
	run(func(x *KernelTester) { x.Machine.CPUs = 4 }, "6.1.0 300", "6.12.0 300")
	paths, err := filepath.Glob(filepath.Join(cache.Dir, "*.json"))
	if err != nil || len(paths) != 6 {
		t.Fatalf("%q, %v", paths, err)
	}
	for _, path := range paths { // as a crash leaves them
		if err := os.Truncate(path, 100); err != nil {
			t.Fatal(err)
		}
	}
	run(nil, "6.1.0 300", "6.12.0 300")
}

// Rows older than maxRowAge are removed, others are not.
func TestRemoveOldRows(t *testing.T) {
	t.Parallel()
	c := &Cache{Dir: t.TempDir()}
	for _, name := range []string{"old", "young"} {
		if err := c.storeRow(&result.Row{Digest: name, Status: result.RowOK, Result: new(result.Result)}); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-maxRowAge - time.Hour)
	if err := os.Chtimes(c.rowPath("old"), long, long); err != nil {
		t.Fatal(err)
	}
	c.removeOldRows()
	if c.findRow("old") != nil || c.findRow("young") == nil {
		t.Error("the old row is there, or the young one is not")
	}
}

// An interrupted matrix has the rows that were finished.
func TestRunInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	l := &fakeGuests{boot: func(release string, requests int) (*result.Result, error) {
		if release == "6.12.0" {
			cancel(errors.New("interrupted by SIGINT"))
			return nil, context.Cause(ctx)
		}
		return passingResult(release, requests)
	}}
	m, err := l.newTester(t, builtTree(t, "6.1.0"), builtTree(t, "6.12.0"), builtTree(t, "7.3.0")).Run(ctx)
	if err == nil || err.Error() != "interrupted by SIGINT" || m.Incomplete != err.Error() || len(m.Rows) != 1 || m.Rows[0].Kernel != "6.1.0" {
		t.Errorf("%+v, %v", m, err)
	}
}

// A result that cannot be stored is an error, and a row.
func TestRunKeepFails(t *testing.T) {
	t.Parallel()
	l := &fakeGuests{boot: passingResult}
	x := l.newTester(t, builtTree(t, "6.1.0"), builtTree(t, "6.12.0"))
	x.Keep = func(r *result.Result) error {
		if r.ID == "of 6.1.0" {
			return errors.New("the disk is full")
		}
		return nil
	}
	x.Cache = &Cache{Dir: "/proc/nowhere"}
	m, err := x.Run(t.Context())
	if err == nil || err.Error() != "store the result of 6.1.0: the disk is full" || len(m.Rows) != 2 {
		t.Errorf("%+v, %v", m.Rows, err)
	}
	if len(l.notes) != 3 || l.notes[1] != "6.1.0: store the result of 6.1.0: the disk is full" || !strings.HasPrefix(l.notes[0], "6.1.0: store the row in the cache (its kernel will be tested again next time): ") {
		t.Errorf("notes %q", l.notes)
	}
}

// Kernels that are tested at the same time are rows in the order given.
func TestRunJobsKeepOrder(t *testing.T) {
	t.Parallel()
	both := make(chan struct{})
	var first sync.Once
	l := &fakeGuests{boot: func(release string, requests int) (*result.Result, error) {
		if release == "6.1.0" {
			<-both
		} else {
			first.Do(func() { close(both) })
		}
		return passingResult(release, requests)
	}}
	x := l.newTester(t, builtTree(t, "6.1.0"), builtTree(t, "6.12.0"), builtTree(t, "7.3.0"))
	x.Jobs = 2
	m, err := x.Run(t.Context())
	if err != nil || len(m.Rows) != 3 || m.Rows[0].Kernel != "6.1.0" || m.Rows[1].Kernel != "6.12.0" || m.Rows[2].Kernel != "7.3.0" {
		t.Errorf("%+v, %v", m.Rows, err)
	}
}
