package export

import (
	"cmp"
	"fmt"
	"slices"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// runSuite returns the suite of a run. A suite fails if and only if the run does, has an
// error if the run ended early, and a skipped case if the run is inconclusive.
func runSuite(name string, r *result.Result) testsuite {
	s := testsuite{Name: name, Time: roundMillis(r.Seconds), Out: r.Summary}
	s.describeRun(r)
	if r.HasTrials() {
		for i, a := range r.Arms {
			s.Cases = append(s.Cases, armCase(r, a, i == 0))
		}
		for _, e := range r.Expected {
			s.Cases = append(s.Cases, expectationCase(r, e))
		}
	}
	isSkipped := slices.ContainsFunc(s.Cases, func(c testcase) bool { return c.Skipped != nil })
	switch run := (testcase{Name: "run"}); {
	case r.Incomplete != "" || !r.HasTrials():
		run.Error = &message{Type: "error", Message: cmp.Or(r.Incomplete, "it has no trial")}
		s.Cases = append(s.Cases, run)
	case r.Verdict == result.Inconclusive && !isSkipped:
		run.Skipped = &message{Message: r.Summary}
		s.Cases = append(s.Cases, run)
	}
	for i := range s.Cases {
		s.Cases[i].ClassName = "snatlab." + name
	}
	s.countCases()
	return s
}

// armCase returns the case of an arm. It passes if something can be said of the arm:
// only an expectation claims more.
func armCase(r *result.Result, a result.Arm, baseline bool) testcase {
	c := testcase{Name: "arm " + a.Name, Time: armTime(a)}
	if baseline {
		n := a.SumTotals()
		hits := fmt.Sprintf("%s of %s lost to the race", format.Thousands(n.Race), format.Plural(n.Requests, "request", "requests"))
		if r.ShowsRace() {
			c.Out = hits
		} else {
			c.Skipped = &message{Message: "the race was not triggered, or too rarely: " + hits}
		}
		return c
	}
	i := slices.IndexFunc(r.Comparisons, func(c result.Comparison) bool { return c.Arm == a.Name })
	if i < 0 {
		c.Skipped = &message{Message: "there is nothing to compare the arm with"}
		return c
	}
	c.Out = string(r.Comparisons[i].Verdict)
	if share := r.Comparisons[i].Remaining; share != nil {
		c.Out += fmt.Sprintf(": %s of the failures remain (%s)", wording.Remaining(share), wording.RemainingInterval(share))
	}
	if text := undecidedReason(r, a.Name); text != "" {
		c.Skipped, c.Out = &message{Message: text}, ""
	}
	return c
}

// expectationCase returns the case of an expectation.
func expectationCase(r *result.Result, e result.Expectation) testcase {
	c := testcase{Name: fmt.Sprintf("%s: %s", e.Arm, wording.Claim(e))}
	switch {
	case e.Held == nil, !*e.Held && r.Verdict != result.Fail:
		c.Skipped = &message{Message: e.Found}
	case !*e.Held:
		c.Failure = &message{Type: "expectation", Message: e.Found}
	default:
		c.Out = e.Found
	}
	return c
}

// matrixSuites returns a suite for each kernel, and one with an error if kernels are
// missing.
func matrixSuites(m *result.Matrix) (all []testsuite) {
	for _, row := range m.Rows {
		if row.Status == result.RowOK && row.Result != nil {
			all = append(all, runSuite(row.Kernel, row.Result))
			continue
		}
		all = append(all, brokenSuite(row.Kernel, row.Seconds, row.Reason))
	}
	if m.Incomplete != "" {
		all = append(all, brokenSuite("matrix", 0, m.Incomplete))
	}
	return all
}

// brokenSuite returns the suite of something that could not be run.
func brokenSuite(name string, seconds float64, reason string) testsuite {
	s := testsuite{Name: name, Time: roundMillis(seconds)}
	s.Cases = []testcase{{ClassName: "snatlab." + name, Name: "run", Time: s.Time, Error: &message{Type: "error", Message: reason}}}
	s.countCases()
	return s
}
