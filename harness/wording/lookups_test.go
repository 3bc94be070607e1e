package wording

import (
	"testing"

	"snatlab/harness/result"
)

func TestDescribeLookups(t *testing.T) {
	t.Parallel()
	of := func(pattern string, unanswered result.Unanswered, resolved *uint64) *result.Result {
		trial := result.Trial{Unanswered: &unanswered}
		trial.Conntrack.ClashResolve = resolved
		return &result.Result{Scenario: result.ScenarioSummary{Pattern: pattern}, Arms: []result.Arm{
			{Name: "masquerade", Trials: []result.Trial{trial, trial}}, {Name: "use-vc", Trials: []result.Trial{trial}}}}
	}
	for _, test := range []struct {
		of   *result.Result
		want string
	}{
		{of(result.Lockstep, result.Unanswered{A: 1}, new(uint64(1))), ""},
		{&result.Result{Scenario: result.ScenarioSummary{Pattern: result.DNS}}, ""},
		{of(result.DNS, result.Unanswered{}, new(uint64(0))), "the kernel resolved no clash (clash_resolve)"},
		{of(result.DNS, result.Unanswered{}, new(uint64(700))), "the kernel resolved 2,100 clashes of two queries from one socket, which lost nothing (clash_resolve)"},
		{of(result.DNS, result.Unanswered{A: 600, AAAA: 2, Both: 1}, nil), "of 1,206 look-ups of masquerade that took longer than the timeout, 1,200 had no answer to the query for A, 4 to that for AAAA, 2 to both; " +
			"this kernel does not count the clashes that it resolves (Linux 5.10 does: clash_resolve)"},
	} {
		if got := DescribeLookups(test.of); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}
