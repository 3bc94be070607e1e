package export

import (
	"strings"
	"testing"

	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
)

func TestWriteKTAP(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"docker", "footnotes", "inconclusive", "interrupted"} {
		reporttest.CheckGolden(t, "testdata/run-"+name+".ktap", reporttest.Draw(t, WriteRunKTAP, reporttest.ReadFixture(t, name)))
	}
	reporttest.CheckGolden(t, "testdata/matrix.ktap", reporttest.Draw(t, WriteMatrixKTAP, someMatrix(t)))
	reporttest.CheckGolden(t, "testdata/night-bad.ktap", reporttest.Draw(t, WriteNightKTAP, reporttest.Nights(t)["bad"]))
}

// someMatrix returns a matrix with a row of each kind.
func someMatrix(t *testing.T) *result.Matrix {
	t.Helper()
	m := &result.Matrix{Schema: result.MatrixSchema, Seconds: 130, Incomplete: "interrupted by SIGINT"}
	for _, name := range []string{"docker", "inconclusive", "footnotes"} {
		r := reporttest.ReadFixture(t, name)
		m.Rows = append(m.Rows, result.Row{Kernel: "6.12.0-" + name, Status: result.RowOK, Seconds: 40, Result: r})
	}
	m.Rows = append(m.Rows, result.Row{Kernel: "5.10.0-hangs", Status: result.RowError, Seconds: 10, Reason: "the guest said nothing for 1m0s"})
	return m
}

// The tests of a run are those of its suite in JUnit, with the same outcomes.
func TestRunKTAPCases(t *testing.T) {
	t.Parallel()
	for _, path := range reporttest.Fixtures(t) {
		name := strings.TrimSuffix(path[strings.LastIndex(path, "/")+1:], ".json")
		t.Run(name, func(t *testing.T) {
			r := reporttest.ReadFixture(t, name)
			tests, err := parseKTAP(reporttest.Draw(t, WriteRunKTAP, r))
			s := runSuite(r.Scenario.Name, r)
			if err != nil || len(tests) != len(s.Cases) {
				t.Fatalf("%d tests of %d cases, %v", len(tests), len(s.Cases), err)
			}
			n := map[string]int{}
			for i, test := range tests {
				if n[test.outcome()]++; test.description != s.Cases[i].Name {
					t.Errorf("test %d is %q, and not %q", i+1, test.description, s.Cases[i].Name)
				}
			}
			if n["not ok"] != s.Failures || n["SKIP"] != s.Skipped || n["ERROR"] != s.Errors {
				t.Errorf("tests %v, suite %+v", n, s.caseCounts)
			}
		})
	}
}

// A run that did not trigger the race has no test that passes for it.
func TestRunKTAPWithoutRace(t *testing.T) {
	t.Parallel()
	tests, err := parseKTAP(reporttest.Draw(t, WriteRunKTAP, reporttest.ReadFixture(t, "inconclusive")))
	if err != nil || len(tests) == 0 {
		t.Fatalf("%d tests, %v", len(tests), err)
	}
	if first := tests[0]; first.directive != "SKIP" || !strings.HasPrefix(first.data, "the race was not triggered, or too rarely: 3 of 12,000 ") {
		t.Errorf("%+v", first)
	}
}

// A machine that cannot run a scenario has one test, an ERROR with the reason.
func TestRunKTAPWithoutTrials(t *testing.T) {
	t.Parallel()
	r := &result.Result{Scenario: result.ScenarioSummary{Name: "quickstart"}, Verdict: result.Inconclusive, Incomplete: "privilege: user 1000 has no CAP_NET_ADMIN (run as root)"}
	tests, err := parseKTAP(reporttest.Draw(t, WriteRunKTAP, r))
	if err != nil || len(tests) != 1 || tests[0].outcome() != "ERROR" || tests[0].data != r.Incomplete {
		t.Errorf("%+v, %v", tests, err)
	}
}

// Nested tests agree with the test that they are in. A test whose subtests are all
// skipped is skipped.
func TestMatrixKTAP(t *testing.T) {
	t.Parallel()
	tests, err := parseKTAP(reporttest.Draw(t, WriteMatrixKTAP, someMatrix(t)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, test := range tests {
		got = append(got, test.description+": "+test.outcome())
	}
	if want := "6.12.0-docker: ok, 6.12.0-inconclusive: SKIP, 6.12.0-footnotes: not ok, 5.10.0-hangs: not ok, matrix: not ok"; strings.Join(got, ", ") != want {
		t.Errorf("%s, want %s", strings.Join(got, ", "), want)
	}
}

// Names and texts of strangers break neither a line nor its parts.
func TestKTAPHostileText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{reporttest.HostileName, "a # SKIP b", "#", "SKIP", "skip all", "not ok 1 x\nok 2 y", "1..7", " ", ""} {
		n := reporttest.HostileNight(t)
		n.Runs[0].Scenario, n.Runs[0].Findings[0].Text, n.Runs[0].Findings[0].Arm = text, text, text
		n.Runs[0].Result.Arms[1].Name, n.Runs[0].Result.Summary = text, text
		tests, err := parseKTAP(reporttest.Draw(t, WriteNightKTAP, n))
		if err != nil || len(tests) != 1 || tests[0].outcome() != "not ok" {
			t.Errorf("night of %q: %+v, %v", text, tests, err)
		}
		r := n.Runs[0].Result
		r.Expected = append(r.Expected, result.Expectation{Arm: text, Race: text, Held: new(bool), Found: text})
		r.Verdict = result.Fail
		tests, err = parseKTAP(reporttest.Draw(t, WriteRunKTAP, r))
		if err != nil || tests[len(tests)-1].outcome() != "not ok" {
			t.Errorf("run of %q: %+v, %v", text, tests, err)
		}
	}
}

// The parser of these tests accepts what the kernel's documentation shows, and refuses
// what it forbids.
func TestParseKTAP(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		valid      bool
	}{
		{"nested", "KTAP version 1\n1..1\n  KTAP version 1\n  1..2\n  ok 1 test_1\n  not ok 2 test_2\n# example failed\nnot ok 1 example\n", true},
		{"skipped", "KTAP version 1\n1..1\nok 1 test # SKIP necessary dependency unavailable\n", true},
		{"data without a directive", "KTAP version 1\n1..1\nok 1 check return code # rcode=0\n", true},
		{"without a version", "1..1\nok 1 test\n", false},
		{"another number", "KTAP version 1\n1..1\nok 2 test\n", false},
		{"fewer tests than planned", "KTAP version 1\n1..2\nok 1 test\n", false},
		{"more tests than planned", "KTAP version 1\n1..1\nok 1 test\nok 2 test\n", false},
		{"an error that is ok", "KTAP version 1\n1..1\nok 1 test # ERROR broken\n", false},
		{"a parent that hides a failure", "KTAP version 1\n1..1\n  KTAP version 1\n  1..1\n  not ok 1 test\nok 1 example\n", false},
		{"subtests without a parent", "KTAP version 1\n1..1\n  KTAP version 1\n  1..1\n  ok 1 test\n", false},
		{"an unknown line", "KTAP version 1\n1..1\nhello\nok 1 test\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := parseKTAP(c.text); (err == nil) != c.valid {
				t.Errorf("error %v, valid %v", err, c.valid)
			}
		})
	}
}
