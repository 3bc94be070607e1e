package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"snatlab/harness/history/store"
)

// binary is the program as it is shipped: one static binary.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	flag.Parse()
	if err := selectSuite(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	// Under nohup, SIGHUP is ignored, and would be by the runs that tests start. A signal
	// that is received is not ignored by children.
	signal.Notify(make(chan os.Signal, 1), unix.SIGHUP)
	dir, err := os.MkdirTemp("", "snatlab")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // every user must be able to run it
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// Runs of these tests are kept here, and not in the store of this machine.
	if err := os.Setenv(store.Variable, filepath.Join(dir, "store")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binary = filepath.Join(dir, "snatlab")
	if err := build(binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// build builds the program like `make build`, with further flags. It does not use the
// build tags of these tests. With -short the paths in it are not trimmed: otherwise
// all imports, including Go's own packages, would be compiled again.
func build(path string, flags ...string) error {
	args := append([]string{"build", "-trimpath=" + strconv.FormatBool(!testing.Short()), "-buildvcs=false", "-ldflags", "-X main.version=v0-test", "-tags=", "-o", path}, flags...)
	c := exec.Command("go", append(args, ".")...)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}

// buildHooked builds the program that tests can make crash or panic: see package undo
// and package vm. Only tests that need it run it.
var buildHooked = sync.OnceValues(func() (path string, err error) {
	path = filepath.Join(filepath.Dir(binary), "testhooks", "snatlab")
	return path, build(path, "-tags", "testhooks")
})

// hooked returns the path of that program.
func hooked(t *testing.T) string {
	t.Helper()
	path, err := buildHooked()
	must(t, err)
	return path
}

// The scripts in testdata are the manual of the command line.
func TestCommandLine(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			here, err := os.Getwd()
			e.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("SCENARIOS", filepath.Join(here, "../../scenarios"))
			e.Setenv("RESULTS", filepath.Join(here, "../../harness/report/testdata"))
			e.Setenv("LC_ALL", "C.UTF-8")
			e.Setenv(store.Variable, filepath.Join(e.WorkDir, "kept"))
			e.Setenv("TESTDATA", filepath.Join(here, "testdata"))
			return err
		},
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Geteuid() == 0, nil
			}
			if name == "conntrack" {
				_, err := os.Stat("/proc/net/stat/nf_conntrack")
				return err == nil, nil
			}
			return false, fmt.Errorf("unknown condition %s", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": code},
	})
}

// code runs a program and compares its exit code with the given one.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exited *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exited) {
		got = exited.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
