package export

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// WriteJUnit writes a night in the format of CI systems: a suite for each scenario,
// with a case for each arm and each expectation. A regression fails its case. A known
// failure and an undecided arm or expectation are skipped. A finding about no arm and
// no expectation, or about all attempts together, belongs to a case "history". A
// scenario that could not be run is an error, and the only case of its suite.
func WriteJUnit(w io.Writer, n *result.Night) error {
	return writeSuites(w, "snatlab nightly", n.Seconds, nightSuites(n))
}

// WriteRunJUnit writes a run: a suite with a case for each arm and each expectation. A
// refuted expectation fails its case; what could not be decided is skipped.
func WriteRunJUnit(w io.Writer, r *result.Result) error {
	return writeSuites(w, "snatlab run", r.Seconds, []testsuite{runSuite(r.Scenario.Name, r)})
}

// WriteMatrixJUnit writes a matrix: a suite for each kernel, as [WriteRunJUnit] writes it.
// A kernel that could not be tested is an error.
func WriteMatrixJUnit(w io.Writer, m *result.Matrix) error {
	return writeSuites(w, "snatlab matrix", m.Seconds, matrixSuites(m))
}

// writeSuites writes suites as a document.
func writeSuites(w io.Writer, name string, seconds float64, suites []testsuite) error {
	all := testsuites{Name: name, Time: roundMillis(seconds), Suites: suites}
	for _, s := range suites {
		all.addCounts(s.caseCounts)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// The elements of the format that Jenkins, GitLab and GitHub's actions read.
type (
	testsuites struct {
		XMLName xml.Name `xml:"testsuites"`
		Name    string   `xml:"name,attr"`
		caseCounts
		Time   float64 `xml:"time,attr"`
		Suites []testsuite
	}
	testsuite struct {
		XMLName xml.Name `xml:"testsuite"`
		Name    string   `xml:"name,attr"`
		caseCounts
		Time       float64     `xml:"time,attr"`
		Timestamp  string      `xml:"timestamp,attr,omitempty"`
		Properties *properties `xml:"properties"`
		Cases      []testcase
		Out        string `xml:"system-out,omitempty"`
	}
	caseCounts struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Skipped  int `xml:"skipped,attr"`
	}
	properties struct {
		Properties []property `xml:"property"`
	}
	property struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	testcase struct {
		XMLName   xml.Name `xml:"testcase"`
		ClassName string   `xml:"classname,attr"`
		Name      string   `xml:"name,attr"`
		Time      float64  `xml:"time,attr"`
		Failure   *message `xml:"failure"`
		Error     *message `xml:"error"`
		Skipped   *message `xml:"skipped"`
		Out       string   `xml:"system-out,omitempty"`
	}
	message struct {
		Type    string `xml:"type,attr,omitempty"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

func (c *caseCounts) addCounts(d caseCounts) {
	c.Tests += d.Tests
	c.Failures += d.Failures
	c.Errors += d.Errors
	c.Skipped += d.Skipped
}

// nightSuites returns a suite for each scenario of a night, on each node that it was run on.
func nightSuites(n *result.Night) (all []testsuite) {
	for _, j := range n.Runs {
		all = append(all, newTestsuite(j))
	}
	return all
}

func newTestsuite(j result.NightRun) testsuite {
	s := testsuite{Name: wording.ScenarioOn(j.Scenario, j.Node), Time: roundMillis(j.Seconds), Cases: suiteCases(j), Out: suiteOutput(j)}
	if r := j.Result; r != nil {
		s.describeRun(r)
		s.Properties.Properties = append(s.Properties.Properties, property{"kernel_before", j.KernelBefore}, property{"compared", fmt.Sprint(j.Compared)})
	}
	s.countCases()
	return s
}

// describeRun sets what identifies a run.
func (s *testsuite) describeRun(r *result.Result) {
	s.Timestamp = r.Started.UTC().Format("2006-01-02T15:04:05")
	s.Properties = &properties{[]property{{"run", r.ID}, {"hash", r.Scenario.Hash}, {"driver", r.Environment.Driver}, {"kernel", r.Environment.Kernel}}}
}

// countCases sets the counts of a suite.
func (s *testsuite) countCases() {
	for _, c := range s.Cases {
		s.Tests++
		switch {
		case c.Error != nil:
			s.Errors++
		case c.Failure != nil:
			s.Failures++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
}

func suiteCases(j result.NightRun) (all []testcase) {
	class := "snatlab." + wording.ScenarioOn(j.Scenario, j.Node)
	if j.Outcome == result.OutcomeError || j.Result == nil {
		return []testcase{{ClassName: class, Name: "run", Time: roundMillis(j.Seconds), Error: &message{Type: "error", Message: j.Reason}}}
	}
	findings := slices.Clone(j.Findings)
	for _, a := range j.Result.Arms {
		c := testcase{ClassName: class, Name: "arm " + a.Name, Time: armTime(a)}
		findings = c.takeFindings(findings, func(f result.Finding) bool { return f.Arm == a.Name && f.Kind != result.ExpectationBroken })
		if text := undecidedReason(j.Result, a.Name); c.Failure == nil && c.Skipped == nil && text != "" {
			c.Skipped = &message{Message: text}
		}
		all = append(all, c)
	}
	for _, e := range j.Result.Expected {
		c := testcase{ClassName: class, Name: fmt.Sprintf("%s: %s", e.Arm, wording.Claim(e))}
		own := func(f result.Finding) bool {
			// A record that was read from JSON has the claim as it is printed.
			return f.IsBroken(e) || f.Kind == result.ExpectationBroken && f.Arm == e.Arm && f.Claim == wording.Claim(e)
		}
		switch {
		case e.Held == nil, !*e.Held && j.Outcome == result.OutcomeInconclusive:
			c.Skipped = &message{Message: e.Found}
		case !*e.Held && !slices.ContainsFunc(j.Findings, own):
			c.Failure = &message{Type: "expectation", Message: e.Found}
		case !*e.Held:
			findings = c.takeFindings(findings, own)
		}
		all = append(all, c)
	}
	history := testcase{ClassName: class, Name: "history"}
	history.takeFindings(findings, func(result.Finding) bool { return true }) // about an arm or an expectation that is not in this result
	if history.Failure == nil && isUnsettled(j, all) {
		history.Skipped = &message{Message: j.Reason}
	}
	if len(findings) > 0 || history.Skipped != nil {
		all = append(all, history)
	}
	return all
}

// isUnsettled reports whether a scenario is inconclusive for a reason that none of its
// cases has: its last attempt shows the race, or it has one arm.
func isUnsettled(j result.NightRun, all []testcase) bool {
	return j.Outcome == result.OutcomeInconclusive && (j.Result.Verdict != result.Inconclusive ||
		!slices.ContainsFunc(all, func(c testcase) bool { return c.Skipped != nil }))
}

// suiteOutput returns the screen's lines about a scenario, without its findings and
// its reason.
func suiteOutput(j result.NightRun) string {
	lines := []string{wording.NightRunName(j) + ": " + wording.NightRunFigures(j)}
	if j.KeyChange != "" {
		lines = append(lines, "history restarted: "+j.KeyChange)
	}
	for _, text := range j.Doubts {
		lines = append(lines, "doubt: "+text)
	}
	return strings.Join(lines, "\n")
}

// takeFindings makes the case's own findings its outcome, and returns the others.
func (c *testcase) takeFindings(findings []result.Finding, own func(result.Finding) bool) (others []result.Finding) {
	var bad, known, shifts []string
	kind := ""
	for _, f := range findings {
		switch {
		case !own(f):
			others = append(others, f)
		case f.Kind == result.Shift:
			shifts = append(shifts, f.Text)
		case f.Known != "":
			known = append(known, fmt.Sprintf("%s (known: %s)", f.Text, f.Known))
		default:
			bad, kind = append(bad, f.Text), cmp.Or(kind, string(f.Kind))
		}
	}
	switch {
	case len(bad) > 0:
		all := append(bad, known...)
		c.Failure = &message{Type: kind, Message: bad[0], Text: strings.Join(all, "\n")}
	case len(known) > 0:
		c.Skipped = &message{Message: strings.Join(known, "; ")}
	}
	c.Out = strings.Join(shifts, "\n")
	return others
}

// undecidedReason returns why an arm could not be decided; empty if it was.
func undecidedReason(r *result.Result, arm string) string {
	i := slices.IndexFunc(r.Comparisons, func(c result.Comparison) bool { return c.Arm == arm })
	if i < 0 {
		return ""
	}
	c := r.Comparisons[i]
	switch {
	case c.Verdict == result.ArmInconclusive: // of an old result
		return "the race did not occur in the baseline, or too rarely to judge"
	case c.Verdict == result.Undecided && c.Remaining == nil:
		return "undecided: there is nothing to compare the arm with"
	case c.Verdict == result.Undecided:
		return "undecided: " + wording.WhyUndecided(c)
	}
	return ""
}

func armTime(a result.Arm) (seconds float64) {
	for _, t := range a.Trials {
		seconds += t.Seconds
	}
	return roundMillis(seconds)
}

// roundMillis rounds seconds to milliseconds.
func roundMillis(seconds float64) float64 { return math.Round(1000*seconds) / 1000 }
