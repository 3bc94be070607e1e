package export

import (
	"encoding/xml"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
)

func TestWriteJUnit(t *testing.T) {
	t.Parallel()
	for name, n := range reporttest.Nights(t) {
		reporttest.CheckGolden(t, "testdata/night-"+name+".xml", reporttest.Draw(t, WriteJUnit, n))
	}
}

// element is any element of the format.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []element  `xml:",any"`
}

// shape lists, for each element of the format, the attributes that it must have and
// the elements that it may have, in their order.
var shape = map[string]struct{ attrs, children []string }{
	"testsuites": {[]string{"name", "tests", "failures", "errors", "skipped", "time"}, []string{"testsuite"}},
	"testsuite":  {[]string{"name", "tests", "failures", "errors", "skipped", "time"}, []string{"properties", "testcase", "system-out"}},
	"properties": {nil, []string{"property"}},
	"property":   {[]string{"name", "value"}, nil},
	"testcase":   {[]string{"classname", "name", "time"}, []string{"failure", "error", "skipped", "system-out"}},
	"failure":    {[]string{"type", "message"}, nil},
	"error":      {[]string{"type", "message"}, nil},
	"skipped":    {[]string{"message"}, nil},
	"system-out": {nil, nil},
}

func (e element) check(t *testing.T) {
	want, ok := shape[e.XMLName.Local]
	if !ok {
		t.Errorf("element %s", e.XMLName.Local)
	}
	for _, name := range want.attrs {
		if !slices.ContainsFunc(e.Attrs, func(a xml.Attr) bool { return a.Name.Local == name }) {
			t.Errorf("%s has no %s", e.XMLName.Local, name)
		}
	}
	last := 0
	for _, c := range e.Children {
		i := slices.Index(want.children, c.XMLName.Local)
		if i < last {
			t.Errorf("%s in %s", c.XMLName.Local, e.XMLName.Local)
		}
		last = i
		c.check(t)
	}
}

// The XML has the shape that CI systems read.
func TestJUnitShape(t *testing.T) {
	t.Parallel()
	all := reporttest.Nights(t)
	all["hostile"], all["empty"] = reporttest.HostileNight(t), reporttest.NightOf()
	for name, n := range all {
		t.Run(name, func(t *testing.T) {
			decoder := xml.NewDecoder(strings.NewReader(reporttest.Draw(t, WriteJUnit, n)))
			var root element
			if err := decoder.Decode(&root); err != nil {
				t.Fatal(err)
			}
			if root.XMLName.Local != "testsuites" || len(root.Children) != len(n.Runs) {
				t.Errorf("%s with %d suites", root.XMLName.Local, len(root.Children))
			}
			root.check(t)
		})
	}
}

// A suite fails if and only if its scenario does.
func TestSuiteFailures(t *testing.T) {
	t.Parallel()
	n := reporttest.Nights(t)["bad"]
	for _, j := range n.Runs {
		s := newTestsuite(j)
		failed := j.Outcome == result.OutcomeRegression || j.Outcome == result.OutcomeFail
		if (s.Failures > 0) != failed || (s.Errors > 0) != (j.Outcome == result.OutcomeError) {
			t.Errorf("%s is %s: %+v", j.Scenario, j.Outcome, s.caseCounts)
		}
	}
}

// A suite of an inconclusive scenario has a skipped case: a night that ends with exit
// code 4 is not all green.
func TestSuiteInconclusive(t *testing.T) {
	t.Parallel()
	unsettled := reporttest.JudgedRun(t, "docker", result.OutcomeInconclusive)
	unsettled.Reason = "not settled by 3 attempts"
	alone := reporttest.JudgedRun(t, "inconclusive", result.OutcomeInconclusive) // of one arm, which has no comparison
	alone.Reason, alone.Result.Arms, alone.Result.Comparisons, alone.Result.Expected = "no race", alone.Result.Arms[:1], nil, nil
	for _, j := range []result.NightRun{unsettled, alone} {
		s := newTestsuite(j)
		last := s.Cases[len(s.Cases)-1]
		if s.Skipped != 1 || last.Name != "history" || last.Skipped == nil || last.Skipped.Message != j.Reason {
			t.Errorf("%s: %+v, %+v", j.Scenario, s.caseCounts, last)
		}
	}
}

// The case of an undecided arm has the reason that the report has.
func TestSuiteUndecided(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		why       result.Why
		least     int
		remaining *result.Remaining
		want      string
	}{
		{result.WhyNoTrial, 0, nil, "undecided: there is nothing to compare the arm with"},
		{result.WhyFewHits, 11, &result.Remaining{Failed: 1, ControlFailed: 4},
			"undecided: 5 failures in all are too few to show a difference; at least 11 are needed"},
		{result.WhyMoreHits, 764, &result.Remaining{ControlFailed: 41, DecisiveHigh: new(.204)},
			"undecided: 0 to 21 % of the failures may remain (41 hits in the control; 764 are needed to decide)"},
		{result.WhyInstrument, 0, &result.Remaining{},
			"undecided: its control is no measure, since the baseline and its own control differ"},
	} {
		t.Run(string(test.why), func(t *testing.T) {
			j := reporttest.JudgedRun(t, "docker", result.OutcomeInconclusive)
			c := &j.Result.Comparisons[0]
			c.Method, c.Verdict, c.Why, c.Least, c.Remaining = result.ByControl, result.Undecided, test.why, test.least, test.remaining
			if got := newTestsuite(j).Cases[1].Skipped; got == nil || got.Message != test.want {
				t.Errorf("skipped: %+v, want %q", got, test.want)
			}
		})
	}
}

// A finding fails the case of its own claim.
func TestSuiteClaims(t *testing.T) {
	t.Parallel()
	j := reporttest.JudgedRun(t, "docker", result.OutcomeRegression)
	no := false
	j.Result.Expected = []result.Expectation{
		{Arm: "random-fully", Race: "absent", Held: &no, Found: "one"}, {Arm: "random-fully", Race: "reproduced", Held: &no, Found: "two"}}
	j.Findings = []result.Finding{{Kind: result.ExpectationBroken, Arm: "random-fully", Claim: "race reproduced", Text: "it broke"}}
	s := newTestsuite(j)
	messages := map[string]string{}
	for _, c := range s.Cases {
		if c.Failure != nil {
			messages[c.Name] = c.Failure.Message
		}
	}
	if len(messages) != 2 || messages["random-fully: race absent"] != "one" || messages["random-fully: race reproduced"] != "it broke" {
		t.Errorf("failures %q", messages)
	}
}
