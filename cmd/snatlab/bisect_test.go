package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"snatlab/harness/kernel"
	"snatlab/harness/kernel/kerneltest"
	"snatlab/harness/result"
)

// Only an answer about the kernel is one for git. Everything else ends the bisection.
func TestBisectCode(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]int{
		exitPass: 0, exitFail: 1, exitSkip: 125, exitUsage: 255, exitUnable: 255, exitInconclusive: 255, exitLeft: 255, 77: 255,
		128: 255, 130: 130, 134: 134, 143: 143, 255: 255,
	} {
		if got := bisectCode(code); got != want {
			t.Errorf("code %d is %d for git, want %d", code, got, want)
		}
	}
	for line, want := range map[string]bool{
		"matrix x.yaml --bisect --kernel k": true, "matrix --bisect=true": true, "matrix --bisect --nope": true,
		"matrix --bisect=false": false, "matrix x.yaml": false, "run --bisect": false, "": false,
	} {
		if isBisect(strings.Fields(line)) != want {
			t.Errorf("%q", line)
		}
	}
}

// A kernel is good, bad, or undecided.
func TestBisectExit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		row  result.Row
		want int
	}{
		{result.Row{Status: result.RowOK, Result: &result.Result{Verdict: result.Pass}}, 0},
		{result.Row{Status: result.RowOK, Result: &result.Result{Verdict: result.Fail}}, 1},
		{result.Row{Status: result.RowOK, Result: &result.Result{Verdict: result.Inconclusive}}, 125},
		{result.Row{Status: result.RowError, Reason: "the kernel panicked"}, 125},
	} {
		if got := codeOf(bisectExit(c.row)); got != c.want {
			t.Errorf("%+v: code %d, want %d", c.row, got, c.want)
		}
	}
}

// The first kernel that a history of five made bad is found, by the script of
// docs/bisect.md. Recorded results stand for the guests.
func TestBisect(t *testing.T) {
	for _, c := range []struct{ name, kernels, first string }{
		{"bad from the third on", "pass pass fail fail fail", "6.0.3"},
		{"the last one is bad", "pass pass pass pass fail", "6.0.5"},
		{"one that cannot be told is skipped", "pass pass inconclusive pass fail", "6.0.5"},
		{"one that cannot be booted is skipped", "pass fail panics fail fail", "6.0.2"},
		{"one that cannot be built is skipped", "pass fail broken fail fail", "6.0.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBisection(t, strings.Fields(c.kernels))
			out, code := b.run(t, "../bisect.yaml")
			if code != 0 || !strings.Contains(out, "is the first bad commit") || !strings.Contains(out, "\n    kernel "+c.first+"\n") {
				t.Errorf("exit code %d, want the first bad commit %s\n%s", code, c.first, out)
			}
		})
	}
}

// A scenario that is wrong ends the bisection. It does not make every kernel bad.
func TestBisectStops(t *testing.T) {
	b := newBisection(t, []string{"pass", "pass", "fail", "fail", "fail"})
	for scenario, want := range map[string]string{
		"../missing.yaml": "open ../missing.yaml: no such file or directory",
		"../nothing.yaml": "--bisect: the scenario expects nothing",
	} {
		out, code := b.run(t, scenario)
		if code == 0 || strings.Contains(out, "first bad commit") || !strings.Contains(out, want) {
			t.Errorf("%s: exit code %d\n%s", scenario, code, out)
		}
	}
}

// A script that is called wrong ends the bisection as well.
func TestBisectScriptUsage(t *testing.T) {
	b := newBisection(t, []string{"pass"})
	c := exec.CommandContext(t.Context(), b.path("judge"))
	c.Dir, c.Env = b.path("linux"), b.env
	if out, err := c.CombinedOutput(); c.ProcessState.ExitCode() != exitStop {
		t.Errorf("%v, want exit code %d\n%s", err, exitStop, out)
	}
}

// A bisection is a repository with a kernel in each commit, and the programs that the
// script of docs/bisect.md calls.
type bisection struct {
	folder string // of the repository, the script, the scenarios and the build
	env    []string
}

// newBisection makes a repository with a kernel for each outcome: a verdict of its recorded
// result, "panics" for none, or "broken" for one that cannot be built.
func newBisection(t *testing.T, outcomes []string) bisection {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git")
	}
	b := bisection{folder: t.TempDir()}
	b.env = append(os.Environ(), "PATH="+b.path("bin")+":"+filepath.Dir(hooked(t))+":"+os.Getenv("PATH"), "KERNELS="+b.path("kernels"),
		"SNATLAB_TEST_GUESTS="+b.path("guests"), "HOME="+b.folder, "XDG_CACHE_HOME="+b.folder, "XDG_STATE_HOME="+b.folder,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
	b.writeProgram(t, "judge", findBlock(t, "bisect.md", "#!/bin/sh"))
	b.writeProgram(t, "bin/qemu-system-x86_64", "#!/bin/sh\nexit 1\n") // it is looked for, and not started
	// make copies a kernel instead of compiling it, and fails where there is none.
	b.writeProgram(t, "bin/make", "#!/bin/sh\ncase \"$*\" in *bzImage*) cp -r \"$KERNELS/$(cat RELEASE)/.\" ../build/;; esac\n")
	const expecting = "name: bisect\ndriver: netns\narms: [{name: masquerade}, {name: random-fully, masquerade: {random_fully: true}}]\n"
	kerneltest.FileTree{
		"bisect.yaml":      expecting + "expect: [{arm: random-fully, race: absent}]\n",
		"nothing.yaml":     expecting,
		"linux/.gitignore": "scripts\n",
	}.WriteBelow(t, b.folder)
	b.writeProgram(t, "linux/scripts/config", "#!/bin/sh\n")
	b.git(t, "init", "--quiet", "--initial-branch=main")
	for i, outcome := range outcomes {
		b.commitKernel(t, "6.0."+string(rune('1'+i)), outcome)
	}
	return b
}

func (b bisection) path(name string) string { return filepath.Join(b.folder, name) }

func (b bisection) writeProgram(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(b.path(name)), 0o755))
	must(t, os.WriteFile(b.path(name), []byte(text), 0o755))
}

// commitKernel commits a kernel, and records the result of its guest.
func (b bisection) commitKernel(t *testing.T, release, outcome string) {
	t.Helper()
	must(t, os.WriteFile(b.path("linux/RELEASE"), []byte(release+"\n"), 0o644))
	b.git(t, "add", ".")
	b.git(t, "commit", "--quiet", "--message", "kernel "+release)
	if outcome == "broken" {
		return
	}
	must(t, os.MkdirAll(b.path("kernels"), 0o755))
	must(t, os.Rename(kerneltest.BuiltTree(t, release, kernel.GuestModules), b.path("kernels/"+release)))
	if outcome == "panics" {
		return
	}
	text, err := json.Marshal(result.Result{Schema: result.Schema, ID: release, Verdict: result.Verdict(outcome), Environment: result.Env{Kernel: release},
		Scenario: result.ScenarioSummary{Name: "bisect"}})
	must(t, err)
	must(t, os.MkdirAll(b.path("guests"), 0o755))
	must(t, os.WriteFile(b.path("guests/"+release+".json"), text, 0o644))
}

// run bisects between the first commit and the last, and returns what git printed.
func (b bisection) run(t *testing.T, scenario string) (out string, code int) {
	t.Helper()
	b.git(t, "bisect", "start", "main", "main~4")
	defer b.git(t, "bisect", "reset")
	c := b.command(t, "bisect", "run", "../judge", scenario)
	text, err := c.CombinedOutput()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	return string(text), c.ProcessState.ExitCode()
}

func (b bisection) git(t *testing.T, args ...string) {
	t.Helper()
	if out, err := b.command(t, args...).CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func (b bisection) command(t *testing.T, args ...string) *exec.Cmd {
	c := exec.CommandContext(t.Context(), "git", args...)
	c.Dir, c.Env = b.path("linux"), b.env
	return c
}

// findBlock returns the block of a document that begins with a line.
func findBlock(t *testing.T, document, first string) string {
	t.Helper()
	for _, block := range readBlocks(t) {
		if filepath.Base(block.file) == document && len(block.lines) > 0 && block.lines[0] == first {
			return strings.Join(block.lines, "\n") + "\n"
		}
	}
	t.Fatalf("%s has no block that begins with %s", document, first)
	return ""
}
