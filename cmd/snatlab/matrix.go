package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"snatlab/harness/history/store"
	"snatlab/harness/kernel"
	"snatlab/harness/kernel/matrix"
	"snatlab/harness/kernel/vm"
	"snatlab/harness/report"
	"snatlab/harness/report/layout"
	"snatlab/harness/report/page"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
	"snatlab/harness/scenario"
)

// matrixFlags are the flags of `snatlab matrix`.
type matrixFlags struct {
	kernels  []string
	modules  string
	out      string
	store    string
	jobs     int
	fresh    bool
	force    bool
	accel    string
	cpus     int
	memory   int
	requests int
	rounds   int
	timeout  time.Duration
	bisect   bool
	formatFlags
}

func matrixCommand() *cobra.Command {
	var f matrixFlags
	c := &cobra.Command{
		Use:   "matrix SCENARIO --kernel SPEC...",
		Short: "Run a scenario on other kernels in QEMU, before a machine boots them",
		Long: `Run a scenario on other kernels, each in a QEMU guest of its own, and print the
verdict of each kernel. The lab is built in the guest from network namespaces and
nftables; nothing on this machine changes, and no root is required.

SPEC is one of:
  running                  the kernel of this machine
  6.1.0-13-amd64           a release under /boot
  ./vmlinuz                an image; its modules under --modules, or /lib/modules
  ./linux                  a build tree, after make bzImage modules
  linux-image-6.1.deb      a package: .deb or .rpm
  binary.deb,modules.deb   several packages: the kernel and its modules

A SPEC without a kernel is an error before the first guest boots. A kernel that
panics, hangs or cannot be booted is a row with the reason, and the other kernels
are still tested. A finished kernel is not tested again while kernel, scenario,
options and this program are the same: an interrupted matrix continues with the
kernels that are left.

Progress goes to standard error, the table to standard output; matrix.json,
matrix.md and matrix.html go to the folder of --out, where they replace those of
an earlier matrix. Every result also goes to the store and stays there.

--json, --ktap, --csv and --markdown print another form of the table, and --junit
FILE writes one more: each kernel has a test for each arm and each expectation. With
$GITHUB_STEP_SUMMARY, the Markdown is appended to that file.

--bisect makes the exit code what "git bisect run" asks for, of exactly one kernel
and a scenario with expectations: 0 good, every expectation held; 1 bad, one is
refuted; 125 cannot tell, the kernel could not be tested or the run was
inconclusive; 255 or a signal's end the bisection, for a wrong command line or an
error that is not the kernel's. docs/bisect.md bisects a kernel tree.

Exit codes, the first that applies: 129, 130, 143 interrupted, finished kernels
are kept; 1 an expectation failed on a kernel; 3 a kernel could not be tested, or
a result could not be stored; 4 inconclusive on a kernel: too little was lost to
compare arms, or an expectation could not be decided; 0 every expectation held
on every kernel. 2 bad usage, an invalid scenario, or too few rounds for a
verdict.`,
		Example: `  snatlab matrix scenarios/quickstart.yaml --kernel running --kernel ./linux-image-6.12.deb
  make kernels && snatlab matrix scenarios/quickstart.yaml $(make -s kernels | sed 's/^/--kernel=/')`,
		ValidArgsFunction: completeScenarios,
		RunE: func(c *cobra.Command, args []string) error {
			s, err := f.readScenario(c, args[0])
			if err != nil {
				return err
			}
			if err := checkReportFile(c, "junit", f.junit); err != nil {
				return err
			}
			return runInterruptible(func(ctx context.Context) error { return f.runMatrix(ctx, s) })
		},
	}
	c.Flags().StringArrayVar(&f.kernels, "kernel", nil, "a kernel to test; repeat the flag for more kernels")
	c.Flags().StringVar(&f.modules, "modules", "", "folder of the modules of a bare vmlinuz, as under /lib/modules/RELEASE")
	c.Flags().StringVar(&f.out, "out", "", "folder for matrix.json, matrix.md and matrix.html (default results/ID)")
	storeFlag(c, &f.store)
	c.Flags().IntVar(&f.jobs, "jobs", 1, "kernels at a time; guests disturb each other if there are few CPUs")
	c.Flags().BoolVar(&f.fresh, "fresh", false, "test finished kernels again")
	c.Flags().BoolVar(&f.force, "force", false, "run even if the rounds are too few for a verdict")
	c.Flags().StringVar(&f.accel, "accel", vm.Auto, "how guests run: kvm, tcg (emulation), or auto, which is kvm if it works, else tcg")
	c.Flags().IntVar(&f.cpus, "cpus", 2, "CPUs of a guest")
	c.Flags().IntVar(&f.memory, "memory", 512, "memory of a guest, in MiB")
	c.Flags().IntVar(&f.requests, "requests", 0, fmt.Sprintf("requests per client and trial, instead of the scenario's (default %d, if that has more)", matrix.DefaultRequests))
	c.Flags().IntVar(&f.rounds, "rounds", 0, "exact number of rounds, instead of the scenario's")
	c.Flags().DurationVar(&f.timeout, "timeout", 10*time.Minute, "time limit of a guest")
	c.Flags().BoolVar(&f.bisect, bisectFlag, false, "end with the exit codes of git bisect run: 0 good, 1 bad, 125 cannot tell")
	f.addFormats(c, "the matrix")
	return c
}

// readScenario checks the command line and returns the scenario for the guests.
func (f matrixFlags) readScenario(c *cobra.Command, path string) (*scenario.Scenario, error) {
	if err := cmp.Or(f.checkFlags(), kernel.CheckSpecs(f.kernels, f.modules)); err != nil {
		return nil, usageError{c, err}
	}
	if err := f.checkFormats(c); err != nil {
		return nil, err
	}
	s, err := readScenario(c, path, runFlags{rounds: f.rounds})
	if err != nil {
		return nil, err
	}
	if err := matrix.AdaptToGuest(s); err != nil {
		return nil, usageError{c, fmt.Errorf("a guest can only use the driver netns: %w", err)}
	}
	if f.bisect && len(s.Expect) == 0 {
		return nil, usageError{c, errors.New("--bisect: the scenario expects nothing, so no kernel could be bad (add expect)")}
	}
	if c.Flags().Changed("requests") {
		if most := s.MaxRequests(); f.requests < 1 || f.requests > most {
			return nil, usageError{c, fmt.Errorf("--requests: %d is out of range; allowed: 1 to %d", f.requests, most)}
		}
		s.Load.Requests = f.requests
	}
	return s, checkRounds(c, s, f.force)
}

// checkFlags returns the first flag that is out of range.
func (f matrixFlags) checkFlags() error {
	for _, b := range []struct {
		flag           string
		n, least, most int
	}{{"jobs", f.jobs, 1, 64}, {"cpus", f.cpus, 1, 64}, {"memory", f.memory, 64, 1 << 20}} {
		if b.n < b.least || b.n > b.most {
			return fmt.Errorf("--%s: %d is out of range; allowed: %d to %d", b.flag, b.n, b.least, b.most)
		}
	}
	accels := []string{vm.Auto, vm.KVM, vm.TCG}
	switch {
	case f.bisect && len(f.kernels) > 1:
		return fmt.Errorf("--bisect: %d kernels are given; allowed: exactly one", len(f.kernels))
	case len(f.kernels) == 0:
		return errors.New("--kernel is missing; allowed: running, a release under /boot, a vmlinuz, a build tree, a .deb or .rpm")
	case !slices.Contains(accels, f.accel):
		return fmt.Errorf("--accel: %q is not allowed; allowed: %s", f.accel, strings.Join(accels, ", "))
	case f.timeout < time.Second:
		return fmt.Errorf("--timeout: %v is out of range; allowed: 1s and more", f.timeout)
	}
	return nil
}

// runMatrix runs the matrix, writes it, and returns its exit code.
func (f matrixFlags) runMatrix(ctx context.Context, s *scenario.Scenario) error {
	qemu, err := vm.FindQEMU()
	if err != nil {
		return err
	}
	if err := vm.CheckMemory(min(f.jobs, len(f.kernels)), f.memory); err != nil {
		return err
	}
	results, err := openStore(f.store)
	if err != nil {
		return err
	}
	dir := f.out
	if dir == "" {
		dir = filepath.Join("results", resultfile.NewRunID(time.Now()))
	}
	folder, err := resultfile.PrepareFolder(dir)
	if err != nil {
		return fmt.Errorf("prepare the folder of the matrix: %w", err)
	}
	defer folder.Close()
	warnOfRounds(os.Stderr, s)
	progress := newMatrixProgress(f.jobs, len(f.kernels))
	m, runErr := f.newTester(qemu, s, results, progress).Run(ctx)
	progress.close()
	m.Version = version
	if len(m.Rows) == 0 {
		folder.RemoveEmpty() // there is nothing to report
		return runErr
	}
	err = errors.Join(runErr, f.writeMatrix(dir, folder, m))
	if f.bisect && ctx.Err() == nil { // an answer about the kernel counts, whatever else failed
		printError(err)
		return bisectExit(m.Rows[0])
	}
	if err == nil || ctx.Err() == nil && codeOf(matrixExit(m)) == exitFail {
		printError(err)
		return matrixExit(m)
	}
	return err
}

// newTester returns the matrix that the flags describe.
func (f matrixFlags) newTester(qemu string, s *scenario.Scenario, results *store.Store, progress *matrixProgress) *matrix.KernelTester {
	return &matrix.KernelTester{
		Specs: f.kernels, Modules: f.modules, Scenario: s, Jobs: f.jobs,
		Machine: &vm.Machine{QEMU: qemu, Accel: f.accel, CPUs: f.cpus, Memory: f.memory, Timeout: f.timeout},
		Cache:   matrix.UserCache(), Fresh: f.fresh,
		Watch: progress.watchKernel, Note: progress.noteKernel, Keep: results.Put,
	}
}

// writeMatrix writes the matrix to its folder and prints the table. A matrix that cannot
// be written is printed as JSON, so that it is not lost.
func (f matrixFlags) writeMatrix(dir string, folder *resultfile.Folder, m *result.Matrix) error {
	kept := errors.Join(
		folder.Write(resultfile.MatrixName, func(w io.Writer) error { return resultfile.WriteJSON(w, m) }),
		folder.Write("matrix.md", func(w io.Writer) error { return report.WriteMatrixMarkdown(w, m) }),
		folder.Write("matrix.html", func(w io.Writer) error { return page.WriteMatrix(w, m) }))
	if kept != nil {
		fmt.Fprintln(os.Stderr, "the matrix could not be written to its folder; it is on standard output, as JSON")
	}
	if kept != nil {
		return errors.Join(kept, resultfile.WriteJSON(os.Stdout, m), matrixRenderers.writeFiles(f.formatFlags, m))
	}
	screen := func(w io.Writer, m *result.Matrix) error {
		if err := report.WriteMatrixText(w, m, screenOf(os.Stdout)); err != nil {
			return err
		}
		last := layout.NewPage(screenOf(os.Stdout))
		last.WriteLine("")
		last.WriteHanging("", fmt.Sprintf("%s, matrix.md and matrix.html are in %s", resultfile.MatrixName, dir))
		_, err := io.WriteString(w, last.String())
		return err
	}
	return errors.Join(matrixRenderers.choose(f.formatFlags, screen)(os.Stdout, m), matrixRenderers.writeFiles(f.formatFlags, m))
}

// matrixExit returns the exit code of a matrix that was not interrupted. A failed
// expectation takes precedence over a kernel that could not be tested.
func matrixExit(m *result.Matrix) error {
	worst := exitPass
	for _, code := range []int{exitInconclusive, exitUnable, exitFail} {
		if slices.ContainsFunc(m.Rows, func(r result.Row) bool { return rowExit(r) == code }) {
			worst = code
		}
	}
	if worst == exitPass {
		return nil
	}
	return exitCode(worst)
}

// rowExit returns the exit code of a kernel.
func rowExit(r result.Row) int {
	switch {
	case r.Status != result.RowOK:
		return exitUnable
	case r.Result.Verdict == result.Fail:
		return exitFail
	case r.Result.Verdict == result.Inconclusive:
		return exitInconclusive
	}
	return exitPass
}
