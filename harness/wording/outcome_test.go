package wording

import (
	"testing"

	"snatlab/harness/result"
)

// An expectation passes, fails, or is undecided.
func TestExpectationWord(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		held       *bool
		incomplete string
		want       string
	}{
		{new(true), "", "PASS"},
		{new(false), "", "FAIL"},
		{nil, "", "undecided"},
		{new(true), "interrupted", "PASS so far"},
		{new(false), "interrupted", "FAIL so far"},
		{nil, "interrupted", "undecided"},
	} {
		if got := ExpectationWord(&result.Result{Incomplete: tc.incomplete}, result.Expectation{Held: tc.held}); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

// PASS and FAIL are words for runs with expectations.
func TestRunWord(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		verdict result.Verdict
		expects bool
		want    string
	}{
		{result.Pass, true, "PASS"},
		{result.Pass, false, "measured"},
		{result.Fail, true, "FAIL"},
		{result.Inconclusive, true, "inconclusive"},
		{result.Inconclusive, false, "inconclusive"},
	} {
		if got := RunWord(tc.verdict, tc.expects); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.verdict, got, tc.want)
		}
	}
}

// The headline of a night is that of its worst outcome.
func TestNightHeadline(t *testing.T) {
	t.Parallel()
	for want, outcomes := range map[string][]result.Outcome{
		CannotTell: nil, NoRegression: {result.OutcomeOK}, "NO NEW REGRESSION": {result.OutcomeOK, result.OutcomeKnown},
		"EXPECTATION FAILED": {result.OutcomeError, result.OutcomeFail}, Regression: {result.OutcomeFail, result.OutcomeRegression, result.OutcomeOK},
		"NOT ALL COULD BE RUN": {result.OutcomeError, result.OutcomeInconclusive},
	} {
		n := &result.Night{}
		for _, o := range outcomes {
			n.Runs = append(n.Runs, result.NightRun{Outcome: o})
		}
		if got := NightHeadline(n); got != want {
			t.Errorf("%v: got %s, want %s", outcomes, got, want)
		}
	}
}
