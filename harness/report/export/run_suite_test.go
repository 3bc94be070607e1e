package export

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
)

// A suite of a run says what the run's verdict says.
func TestRunSuite(t *testing.T) {
	t.Parallel()
	for _, path := range reporttest.Fixtures(t) {
		name := strings.TrimSuffix(path[strings.LastIndex(path, "/")+1:], ".json")
		r := reporttest.ReadFixture(t, name)
		s := runSuite(r.Scenario.Name, r)
		if (s.Failures > 0) != (r.Verdict == result.Fail) || (s.Errors > 0) != (r.Incomplete != "") ||
			r.Verdict == result.Inconclusive && s.Skipped+s.Errors == 0 {
			t.Errorf("%s is %s (%s): %+v", name, r.Verdict, r.Incomplete, s.caseCounts)
		}
	}
}

// The XML of a run and of a matrix has the shape that CI systems read.
func TestRunJUnitShape(t *testing.T) {
	t.Parallel()
	checkShape := func(text string, suites int) {
		t.Helper()
		var root element
		if err := xml.NewDecoder(strings.NewReader(text)).Decode(&root); err != nil {
			t.Fatal(err)
		}
		if root.XMLName.Local != "testsuites" || len(root.Children) != suites {
			t.Errorf("%s with %d suites", root.XMLName.Local, len(root.Children))
		}
		root.check(t)
	}
	for _, name := range []string{"docker", "footnotes", "inconclusive", "interrupted"} {
		text := reporttest.Draw(t, WriteRunJUnit, reporttest.ReadFixture(t, name))
		checkShape(text, 1)
		reporttest.CheckGolden(t, "testdata/run-"+name+".xml", text)
	}
	hostile := reporttest.HostileNight(t).Runs[0].Result
	hostile.Scenario.Name, hostile.Incomplete = reporttest.HostileName, reporttest.HostileName
	checkShape(reporttest.Draw(t, WriteRunJUnit, hostile), 1)
	checkShape(reporttest.Draw(t, WriteMatrixJUnit, someMatrix(t)), 5)
}

// A run, a matrix and a night have the columns of a history, and a line for each arm.
func TestWriteRunCSV(t *testing.T) {
	t.Parallel()
	lines := func(draw func(io.Writer) error) [][]string {
		t.Helper()
		var out bytes.Buffer
		if err := draw(&out); err != nil {
			t.Fatal(err)
		}
		all, err := csv.NewReader(&out).ReadAll() // refuses lines of different length
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	head := lines(func(w io.Writer) error { return WriteHistoryCSV(w, reporttest.PastNights()) })[0]
	r := reporttest.ReadFixture(t, "many")
	m := someMatrix(t)
	n := reporttest.Nights(t)["bad"]
	arms := map[string]int{"run": len(r.Arms)}
	for _, row := range m.Rows {
		if row.Result != nil {
			arms["matrix"] += len(row.Result.Arms)
		}
	}
	for _, j := range n.Runs {
		if j.Result != nil {
			arms["night"] += len(j.Result.Arms)
		}
	}
	for name, draw := range map[string]func(io.Writer) error{
		"run":    func(w io.Writer) error { return WriteRunCSV(w, r) },
		"matrix": func(w io.Writer) error { return WriteMatrixCSV(w, m) },
		"night":  func(w io.Writer) error { return WriteNightCSV(w, n) },
	} {
		all := lines(draw)
		if len(all) != 1+arms[name] || strings.Join(all[0], ",") != strings.Join(head, ",") {
			t.Errorf("%s: %d lines for %d arms, headings %q", name, len(all), arms[name], all[0])
		}
	}
	reporttest.CheckGolden(t, "testdata/run-docker.csv", reporttest.Draw(t, WriteRunCSV, reporttest.ReadFixture(t, "docker")))
}
