package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/result"
)

// guestDeadline bounds the time of a guest. A guest runs for 20 s on a quiet machine.
const guestDeadline = 6 * time.Minute

// canarySeries is the series of the kernel that every test uses: Debian's stable one.
const canarySeries = "6.12"

// needKernels returns SPECs of real kernels, of the given series or of all. Without
// kernels it skips the test, and with CI=true it fails.
func needKernels(t *testing.T, series ...string) []string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs kernels and QEMU; make check leaves it out")
	}
	miss := t.Skipf
	if os.Getenv("CI") == "true" {
		miss = t.Fatalf
	}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		miss("needs QEMU: %v", err)
	}
	c := exec.Command("../../scripts/kernels", series...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	specs, err := c.Output()
	if err != nil {
		miss("needs kernels: %v\n%s", err, stderr.String())
	}
	return strings.Fields(string(specs))
}

// smallScenario is a comparison that runs for seconds in a guest. It does not wait for the
// hits that a verdict needs: a guest beside other tests has few.
const smallScenario = `
name: small
driver: netns
load: {requests: 150}
rounds: 2
until: {rounds_max: 2}
arms: [{name: masquerade}, {name: random-fully, masquerade: {random_fully: true}}]
expect: [{arm: random-fully, race: absent}]
`

// startMatrix starts a matrix whose folders are all temporary.
func startMatrix(t *testing.T, args []string, specs ...string) *process {
	t.Helper()
	return startMatrixBinary(t, binary, args, specs...)
}

// startMatrixBinary starts a matrix of another build of the program.
func startMatrixBinary(t *testing.T, program string, args []string, specs ...string) *process {
	t.Helper()
	dir := t.TempDir()
	for _, spec := range specs {
		args = append(args, "--kernel", spec)
	}
	c := exec.Command(program, append([]string{"matrix", "--force", "--out", filepath.Join(dir, "out"), "--store", filepath.Join(dir, "store")}, args...)...)
	c.Env = append(os.Environ(), "XDG_CACHE_HOME="+dir, "TMPDIR="+dir)
	c.Dir = dir
	p := startCommand(t, c)
	p.out = filepath.Join(dir, "out")
	return p
}

// waitExit returns the exit code of a matrix. A busy machine emulates slowly.
func (p *process) waitExit(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case err := <-p.end:
		if err != nil && !errors.As(err, new(*exec.ExitError)) {
			t.Fatal(err)
		}
	case <-time.After(within):
		t.Fatalf("%v does not end\n%s", p.Args, p.said(t))
	}
	return p.ProcessState.ExitCode()
}

// readMatrix reads the matrix.json that the process wrote.
func (p *process) readMatrix(t *testing.T) *result.Matrix {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.out, "matrix.json"))
	must(t, err)
	m := new(result.Matrix)
	must(t, json.Unmarshal(text, m))
	return m
}

// checkTestedRow checks that a kernel was tested and that its figures agree.
func checkTestedRow(t *testing.T, r result.Row) {
	t.Helper()
	if r.Status != result.RowOK || r.Result == nil {
		t.Fatalf("%s: %s: %s\n%s", r.Kernel, r.Status, r.Reason, strings.Join(r.Console, "\n"))
	}
	if r.Result.Verdict == result.Fail || r.Result.Environment.Kernel != r.Kernel || r.Result.Environment.Driver != "netns" {
		t.Errorf("%s: verdict %s: %s; environment %+v", r.Kernel, r.Result.Verdict, r.Result.Summary, r.Result.Environment)
	}
	if v := r.Result.Environment.Virtualisation; v == nil || *v != map[string]string{"kvm": "kvm", "tcg": "qemu"}[r.Accel] {
		t.Errorf("%s ran under %s, and says %v", r.Kernel, r.Accel, v)
	}
	for _, a := range r.Result.Arms {
		for _, trial := range a.Trials {
			if causes, kinds := sum(trial.Causes), sum(trial.Failures); causes != trial.Failed || kinds != trial.Failed {
				t.Errorf("%s, %s, round %d: %d failed, %d by cause, %d by kind", r.Kernel, a.Name, trial.Round, trial.Failed, causes, kinds)
			}
		}
	}
}

// unpackKernel unpacks packages and returns the paths of the image and of the folder
// with the modules.
func unpackKernel(t *testing.T, spec string) (image, modules string) {
	t.Helper()
	dir := t.TempDir()
	for pkg := range strings.SplitSeq(spec, ",") {
		if out, err := exec.Command("dpkg-deb", "-x", pkg, dir).CombinedOutput(); err != nil {
			t.Fatalf("dpkg-deb: %v\n%s", err, out)
		}
	}
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(entry.Name(), "vmlinuz"):
			image = path
		case entry.Name() == "modules.order":
			modules = filepath.Dir(path)
		}
		return nil
	}))
	if image == "" || modules == "" {
		t.Fatalf("%s has image %q and modules %q", spec, image, modules)
	}
	return image, modules
}

// damageImage returns a copy of an image with a valid header and damaged content.
func damageImage(t *testing.T, image string) string {
	t.Helper()
	data, err := os.ReadFile(image)
	must(t, err)
	for i := range 4096 {
		data[len(data)/2+i] ^= 0x5a
	}
	path := filepath.Join(t.TempDir(), "vmlinuz")
	must(t, os.WriteFile(path, data, 0o644))
	return path
}

// A kernel is tested beside kernels that cannot be booted.
func TestMatrixBootErrors(t *testing.T) {
	spec := needKernels(t, canarySeries)[0]
	image, modules := unpackKernel(t, spec)
	all := os.DirFS(modules)
	paths, err := fs.Glob(all, "kernel/net/netfilter/nf_nat.ko*")
	if err != nil || len(paths) != 1 {
		t.Fatalf("nf_nat is %q, %v", paths, err)
	}
	nat := filepath.Join(modules, paths[0])

	must(t, os.Rename(nat, nat+".aside"))
	p := startMatrix(t, []string{scenarioFile(t, smallScenario), "--modules", modules}, image, spec)
	if code := p.waitExit(t, guestDeadline); code != exitUnable {
		t.Errorf("exit code %d\n%s", code, p.said(t))
	}
	rows := p.readMatrix(t).Rows
	if r := rows[0]; r.Status != result.RowError || !strings.HasPrefix(r.Reason, "nf_nat: neither built in nor a module here (CONFIG_NF_NAT)") {
		t.Errorf("without nf_nat: %+v", r)
	}
	if r := rows[1]; r.Status != result.RowOK && strings.Contains(r.Reason, "no answer within") { // the machine is too busy
		p = startMatrix(t, []string{scenarioFile(t, smallScenario)}, spec)
		p.waitExit(t, guestDeadline)
		rows[1] = p.readMatrix(t).Rows[0]
	}
	checkTestedRow(t, rows[1])

	must(t, os.Rename(nat+".aside", nat))
	p = startMatrix(t, []string{scenarioFile(t, smallScenario), "--modules", modules}, damageImage(t, image))
	if code := p.waitExit(t, guestDeadline); code != exitUnable {
		t.Errorf("exit code %d\n%s", code, p.said(t))
	}
	if r := p.readMatrix(t).Rows[0]; r.Status != result.RowError || !strings.HasPrefix(r.Reason, "the kernel's image cannot be unpacked: ") || len(r.Console) == 0 {
		t.Errorf("damaged: %+v", r)
	}
}

// A guest that panics is a row with its console.
func TestMatrixGuestPanics(t *testing.T) {
	needSuite(t, matrixSuite)
	spec := needKernels(t, canarySeries)[0]
	release, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(spec), "linux-image-"), "_")
	t.Setenv("SNATLAB_TEST_PANIC_IN", release)
	p := startMatrixBinary(t, hooked(t), []string{scenarioFile(t, smallScenario)}, spec)
	if code := p.waitExit(t, guestDeadline); code != exitUnable {
		t.Errorf("exit code %d\n%s", code, p.said(t))
	}
	r := p.readMatrix(t).Rows[0]
	if r.Status != result.RowError || !strings.HasPrefix(r.Reason, "the kernel panicked: sysrq triggered crash") || !strings.Contains(strings.Join(r.Console, "\n"), "Call Trace:") {
		t.Errorf("%+v", r)
	}
}

// An interrupted matrix leaves no guest.
func TestMatrixInterrupted(t *testing.T) {
	spec := needKernels(t, canarySeries)[0]
	p := startMatrix(t, []string{scenarioFile(t, smallScenario), "--accel", "tcg"}, spec, spec)
	for deadline := time.Now().Add(guestDeadline); !strings.Contains(p.said(t), "making the router"); time.Sleep(25 * time.Millisecond) {
		if time.Now().After(deadline) || len(p.end) > 0 {
			t.Fatalf("no guest runs\n%s", p.said(t))
		}
	}
	below := descendants(t, p.Process.Pid)
	if len(below) != 1 {
		t.Errorf("processes %v below %d", below, p.Process.Pid)
	}
	p.Process.Signal(unix.SIGINT)
	if code := p.waitExit(t, guestDeadline); code != 130 {
		t.Errorf("exit code %d\n%s", code, p.said(t))
	}
	awaitGone(t, below)
	if left, err := os.ReadDir(filepath.Dir(p.out)); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// Every kernel is tested, and its row is reused.
func TestMatrixEveryKernel(t *testing.T) {
	needSuite(t, matrixSuite)
	specs := needKernels(t)
	quickstart, err := filepath.Abs("../../scenarios/quickstart.yaml")
	must(t, err)
	p := startMatrix(t, []string{quickstart}, specs...)
	if code := p.waitExit(t, time.Hour); code != exitPass && code != exitInconclusive {
		t.Fatalf("exit code %d\n%s", code, p.said(t))
	}
	m := p.readMatrix(t)
	for i, r := range m.Rows {
		if r.Spec != specs[i] {
			t.Errorf("row %d is of %s, and not of %s", i, r.Spec, specs[i])
		}
		checkTestedRow(t, r)
	}
	if len(m.Rows) != len(specs) || len(m.Rows) < 5 {
		t.Errorf("%d rows of %d kernels", len(m.Rows), len(specs))
	}
	again := exec.Command(p.Path, p.Args[1:]...)
	again.Env, again.Dir = p.Env, p.Dir
	output, err := again.CombinedOutput()
	if n := strings.Count(string(output), "tested before"); n != len(specs) {
		t.Errorf("%d rows are reused, %v\n%s", n, err, output)
	}
}
