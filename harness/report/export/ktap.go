package export

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"snatlab/harness/printable"
	"snatlab/harness/result"
)

// WriteRunKTAP writes a run in KTAP, version 1, which kernel CI reads
// (Documentation/dev-tools/ktap.rst): a test for each arm and each expectation. What
// could not be decided is SKIP, and a run that ended early an ERROR.
func WriteRunKTAP(w io.Writer, r *result.Result) error {
	var k ktap
	s := runSuite(r.Scenario.Name, r)
	k.writeHead(0, "", len(s.Cases))
	k.writeSuite(0, s)
	_, err := io.WriteString(w, k.String())
	return err
}

// WriteMatrixKTAP writes a matrix in KTAP: a test for each kernel, with the tests of
// [WriteRunKTAP] nested in it.
func WriteMatrixKTAP(w io.Writer, m *result.Matrix) error { return writeNested(w, matrixSuites(m)) }

// WriteNightKTAP writes a night in KTAP: a test for each scenario, with the cases of
// [WriteJUnit] nested in it. A known failure is SKIP.
func WriteNightKTAP(w io.Writer, n *result.Night) error { return writeNested(w, nightSuites(n)) }

// writeNested writes each suite as a test with subtests.
func writeNested(w io.Writer, suites []testsuite) error {
	var k ktap
	k.writeHead(0, "", len(suites))
	for i, s := range suites {
		k.writeHead(1, s.Name, len(s.Cases))
		k.writeSuite(1, s)
		k.writeResult(0, i+1, s.Failures+s.Errors == 0, s.Name, sumDirective(s))
	}
	_, err := io.WriteString(w, k.String())
	return err
}

// A ktap is a document in KTAP. Each level of nesting is indented by two spaces.
type ktap struct{ strings.Builder }

// writeLine writes one line, whatever text holds.
func (k *ktap) writeLine(level int, text string) {
	k.WriteString(strings.Repeat("  ", level) + strings.TrimRight(printable.Line(text), " ") + "\n")
}

// writeHead writes the version and the number of tests of a level, and between them, as
// KUnit does, the name of the test that they are in.
func (k *ktap) writeHead(level int, subtest string, tests int) {
	k.writeLine(level, "KTAP version 1")
	if subtest != "" {
		k.writeLine(level, "# Subtest: "+subtest)
	}
	k.writeLine(level, fmt.Sprintf("1..%d", tests))
}

// writeSuite writes the tests of a suite. Lines about a test are before its result.
func (k *ktap) writeSuite(level int, s testsuite) {
	k.writeDiagnostics(level, s.Out)
	for i, c := range s.Cases {
		if c.Failure != nil {
			k.writeDiagnostics(level, c.Failure.Text)
		}
		k.writeResult(level, i+1, c.Failure == nil && c.Error == nil, c.Name, caseData(c))
	}
}

// writeDiagnostics writes the lines of a text, if it has any.
func (k *ktap) writeDiagnostics(level int, text string) {
	if text == "" {
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		k.writeLine(level, "# "+line)
	}
}

// writeResult writes the result of a test. A description has no "#", which begins the
// data.
func (k *ktap) writeResult(level, number int, passed bool, description, data string) {
	word := "ok"
	if !passed {
		word = "not ok"
	}
	line := fmt.Sprintf("%s %d %s", word, number, strings.TrimSpace(strings.ReplaceAll(printable.Line(description), "#", "?")))
	if data = strings.TrimSpace(printable.Line(data)); data != "" {
		line = strings.TrimRight(line, " ") + " # " + data
	}
	k.writeLine(level, line)
}

// caseData returns the directive of a case, if it has one, and what is known about it.
func caseData(c testcase) string {
	switch {
	case c.Error != nil:
		return "ERROR " + c.Error.Message
	case c.Skipped != nil:
		return "SKIP " + c.Skipped.Message
	case c.Failure != nil:
		return withoutDirective(c.Failure.Message)
	}
	return withoutDirective(c.Out)
}

// sumDirective returns SKIP for a suite of which every case is skipped.
func sumDirective(s testsuite) string {
	if s.Skipped > 0 && s.Skipped == s.Tests {
		return "SKIP"
	}
	return ""
}

// directives are the words that change the outcome of a test if they begin its data.
var directives = []string{"SKIP", "TODO", "XFAIL", "TIMEOUT", "ERROR"}

// withoutDirective returns text that does not begin with a directive.
func withoutDirective(text string) string {
	first, _, _ := strings.Cut(strings.TrimLeft(text, " "), " ")
	if slices.ContainsFunc(directives, func(d string) bool { return strings.EqualFold(d, first) }) {
		return "(" + text + ")"
	}
	return text
}
