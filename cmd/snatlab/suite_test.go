package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// The suites that take long: see suites.
const (
	crashSuite  = "crash"
	engineSuite = "engines"
	matrixSuite = "matrix"
	windowSuite = "window"
)

// suites are the tests of each suite. With -suite only they run, each to its full
// extent. Without it they run with all other tests, as a sample or not at all.
var suites = map[string][]func(*testing.T){
	// Runs that die at every step, and hosts that change during runs.
	crashSuite: {
		TestCrashEverywhere,
		TestManyClientsCleanup,
		TestNightlyUnstored,
		TestSharedRun,
		TestSharedKill,
		TestSharedNoMasquerade,
		TestEngineRestarts,
		TestForeignRulesAbove,
		TestForeignRulesMatch,
		TestPartsRemoved,
		TestPartsHang,
		TestLockstepClientHangs,
		TestOutFull,
		TestOutRefused,
		TestConntrackFull,
	},
	// Every engine of `make engines`.
	engineSuite: {
		TestEngines,
	},
	// Every kernel of `make kernels`.
	matrixSuite: {
		TestMatrixBootErrors,
		TestMatrixGuestPanics,
		TestMatrixInterrupted,
		TestMatrixEveryKernel,
	},
	// How often clients meet, in figures.
	windowSuite: {
		TestSlowedClient,
		TestWindow,
	},
}

var suite = flag.String("suite", "", "run only the tests of a `suite`, to their full extent: crash (an hour and a half), engines (a minute an engine), matrix (a minute a kernel), window (a few minutes)")

// inSuite reports whether the suite runs.
func inSuite(name string) bool { return *suite == name }

// members contains the names of each suite's tests. It is filled from suites when the
// tests start: a test cannot refer to a variable that refers to the test.
var members = map[string][]string{}

// needSuite skips a slow test, except in its suite. A test in no suite would never
// run, so it fails.
func needSuite(t *testing.T, name string) {
	t.Helper()
	if !slices.Contains(members[name], t.Name()) {
		t.Fatalf("add this test to the suite %s in suite_test.go", name)
	}
	if !inSuite(name) {
		t.Skipf("takes minutes: see make test-%s", name)
	}
}

// selectSuite selects the tests of -suite, and prints the selection. With -run the user
// selects them.
func selectSuite() error {
	for name, tests := range suites {
		members[name] = namesOf(tests)
	}
	if *suite == "" {
		return nil
	}
	tests, known := members[*suite]
	if !known {
		return fmt.Errorf("-suite %s: there is no such suite (%s)", *suite, strings.Join(slices.Sorted(maps.Keys(suites)), ", "))
	}
	run := flag.Lookup("test.run")
	if run.Value.String() == "" {
		if err := run.Value.Set("^(" + strings.Join(tests, "|") + ")$"); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "suite %s: -run '%s'\n", *suite, run.Value)
	return nil
}

// namesOf returns the names of test functions.
func namesOf(tests []func(*testing.T)) (names []string) {
	for _, test := range tests {
		name := runtime.FuncForPC(reflect.ValueOf(test).Pointer()).Name()
		names = append(names, name[strings.LastIndexByte(name, '.')+1:])
	}
	return names
}
