package wording

import (
	"testing"

	"snatlab/harness/result"
)

// lostTo returns an arm of one trial that lost so many of 8,000 requests to the race, and
// its control so many of as many.
func lostTo(name string, lost, control int) result.Arm {
	return result.Arm{Name: name, Trials: []result.Trial{{
		Requests: 8000, Failed: lost, Causes: map[string]int{result.SNATRace: lost},
		Control: &result.Control{Requests: 8000, Failed: control, Causes: map[string]int{result.SNATRace: control}},
	}}}
}

func TestHeadline(t *testing.T) {
	t.Parallel()
	claim := func(race string, held *bool) []result.Expectation {
		return []result.Expectation{{Arm: "plain", Race: race, Held: held}}
	}
	for name, tc := range map[string]struct {
		lost, control int
		plain         bool // the baseline passes the rule of its control
		expected      []result.Expectation
		want          string
	}{
		"losses_affect": {lost: 20, want: Affected},
		"losses_of_the_control_affect_a_plain_one":   {lost: 5, control: 15, plain: true, want: Affected},
		"few_losses_do_not":                          {lost: 19, want: CannotTell},
		"no_losses_say_nothing":                      {want: CannotTell},
		"none_beside_few_hits_say_nothing":           {control: sparedFrom - 1, want: CannotTell},
		"none_beside_many_hits_spare":                {control: sparedFrom, want: NotAffected},
		"a_claim_that_held_decides":                  {lost: 4, expected: claim(result.Reproduced, new(true)), want: Affected},
		"a_claim_of_absence_that_held_decides":       {lost: 25, control: 7000, expected: claim(result.Absent, new(true)), want: NotAffected},
		"a_claim_that_is_refuted_decides":            {lost: 25, control: 7000, expected: claim(result.Reproduced, new(false)), want: NotAffected},
		"a_claim_that_is_open_leaves_it_to_the_hits": {lost: 25, expected: claim(result.Absent, nil), want: Affected},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &result.Result{Arms: []result.Arm{lostTo("plain", tc.lost, tc.control)}, Expected: tc.expected}
			if tc.plain {
				r.Instrument = &result.Remaining{}
			}
			if got := Answer(r).Headline; got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// The sentence explains the headline where requests were lost all the same.
func TestSentence(t *testing.T) {
	t.Parallel()
	absent := []result.Expectation{{Arm: "plain", Race: result.Absent, Held: new(true)}}
	for want, r := range map[string]*result.Result{
		"plain lost 4 of 8,000 connections (0.05 %) to the source-port race, too few to tell them from chance.":                 {Arms: []result.Arm{lostTo("plain", 4, 0)}},
		"plain lost 25 of 8,000 connections (0.31 %) to the source-port race, next to none of the 7,000 that its control lost.": {Arms: []result.Arm{lostTo("plain", 25, 7000)}, Expected: absent},
		"The race did not occur in plain: 0 hits in 8,000 requests, and 900 in 8,000 of its control.":                           {Arms: []result.Arm{lostTo("plain", 0, 900)}},
	} {
		if got := Answer(r).Sentence; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAnswerOfNothing(t *testing.T) {
	t.Parallel()
	if got := Answer(&result.Result{}); got.Headline != CannotTell || got.Sentence != "No trial was finished." || got.Arms != nil || got.Caveat != "" {
		t.Errorf("got %+v", got)
	}
}

// The arms that fix it come first, each with what it costs.
func TestAnswerOfArms(t *testing.T) {
	t.Parallel()
	share := func(high float64) *result.Remaining { return &result.Remaining{DecisiveHigh: &high} }
	change := func(p string, low, estimate, high float64) result.LatencyChange {
		return result.LatencyChange{Percentile: p, Low: &low, Estimate: &estimate, High: &high}
	}
	r := &result.Result{
		Arms: []result.Arm{lostTo("plain", 2000, 2000), lostTo("half", 1000, 2000), lostTo("same", 2000, 2000), lostTo("full", 0, 2000), lostTo("old", 0, 2000)},
		Comparisons: []result.Comparison{
			{Arm: "half", Verdict: result.Reduced, Method: result.ByControl, Remaining: share(0.6), Why: result.WhyScatter, Latency: []result.LatencyChange{change("p50", 0.01, 0.02, 0.03), change("p99", -0.1, 0, 0.1)}},
			{Arm: "same", Verdict: result.Equal, Method: result.ByControl, Remaining: &result.Remaining{DecisiveLow: 0.91, DecisiveHigh: new(1.1)}},
			{Arm: "full", Verdict: result.Mitigated, Method: result.ByControl, Remaining: share(0.004), Latency: []result.LatencyChange{change("p50", -0.01, 0.02, 0.03), change("p99", -0.1, 0, 0.1)}},
			{Arm: "old", Verdict: result.Mitigated, Reduction: result.Reduction{Estimate: new(1.0)}},
		},
	}
	want := []ArmAnswer{
		{"full", FixedBy, result.Mitigated, "none of 8,000 failed, at least 99.6 % of the failures are gone", "no cost was proven (p50 at most +3.00 %, p99 at most +10.0 %)"},
		{"old", FixedBy, result.Mitigated, "none of 8,000 failed, reduction 100 % (by medians of trials)", "cost not known (too few trials for an interval of the latency)"},
		{"half", ReducedBy, result.Reduced, "1,000 of 8,000 failed, at least 40 % of the failures are gone (0 hits in the control; the trials differ by more than chance explains, so it takes more rounds to say 99 %)", "latency p50 +2.00 %"},
		{"same", NotFixedBy, result.Equal, "2,000 of 8,000 failed, 91.0 to 110 % of the failures remain", "cost not known (too few trials for an interval of the latency)"},
	}
	got := Answer(r).Arms
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("got\n%+v\nwant\n%+v", got, want)
		}
	}
}

// The caveat is the warning that matters most, and the end of a run that ended early
// before any warning.
func TestCaveat(t *testing.T) {
	t.Parallel()
	r := &result.Result{
		Warnings:      []string{"no hits", "busy", "no code"},
		WarningValues: []result.Warning{{Code: result.NoHits}, {Code: result.BusyMachine}, {}},
	}
	if got := Answer(r); got.Caveat != "busy" || got.More != 2 {
		t.Errorf("got %q and %d more", got.Caveat, got.More)
	}
	r.Incomplete = "interrupted\nby SIGINT."
	if got := Answer(r); got.Caveat != "the run ended early: interrupted by SIGINT" || got.More != 3 {
		t.Errorf("got %q and %d more", got.Caveat, got.More)
	}
}

// Every code of a warning has a place among the caveats.
func TestCaveatOrder(t *testing.T) {
	t.Parallel()
	ranked := map[result.WarningCode]int{}
	for _, code := range caveatOrder {
		ranked[code]++
	}
	for _, s := range sentences {
		if ranked[s.warning.Code] != 1 {
			t.Errorf("%s is listed %d times", s.warning.Code, ranked[s.warning.Code])
		}
	}
}
