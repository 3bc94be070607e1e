package verdict

import (
	"testing"

	"snatlab/harness/result"
)

// lossyTrials are eight trials with a median of 670 failures.
var lossyTrials = []int{700, 640, 500, 800, 690, 650, 510, 790}

func TestExpectations(t *testing.T) {
	t.Parallel()
	race := []result.Arm{
		withLatency(100, armOf("masquerade", lossyTrials...)), withLatency(104, armOf("random", 3, 4, 3, 4, 3, 4, 3, 9)),
		withLatency(90, armOf("random-fully", make([]int, 8)...)), armOf("untried"),
	}
	noRace := []result.Arm{armOf("masquerade", 3, 2), armOf("random-fully", 0, 0)}
	safe := []result.Arm{ // the baseline is what mitigates
		withLatency(100, armOf("random-fully", make([]int, 8)...)), armOf("masquerade", lossyTrials...), withLatency(150, armOf("split", 1, 0, 0, 0, 0, 0, 0, 0)),
	}
	short := []result.Arm{withLatency(100, armOf("masquerade", lossyTrials[:6]...)), withLatency(90, armOf("random-fully", 0, 0, 0, 0, 0, 0))}
	for _, tc := range []struct {
		claim   string
		arms    []result.Arm
		expect  result.Expectation
		held    string
		found   string
		verdict result.Verdict
	}{
		{"the race was reproduced", race, result.Expectation{Arm: "masquerade", Race: result.Reproduced},
			"held", "5,280 of 48,000 requests lost to the race", result.Pass},
		{"nineteen hits are no race", []result.Arm{armOf("masquerade", lossyTrials...), armOf("random", 9, 9, 1)}, result.Expectation{Arm: "random", Race: result.Reproduced},
			"not held", "19 of 18,000 requests lost to the race", result.Fail},
		{"no hit is an absent race", race, result.Expectation{Arm: "random-fully", Race: result.Absent},
			"held", "0 of 48,000 requests lost to the race", result.Pass},
		{"a few hits are not absent", race, result.Expectation{Arm: "random", Race: result.Absent},
			"not held", "33 of 48,000 requests lost to the race", result.Fail},
		{"a reduction of at least the bound", race, result.Expectation{Arm: "random-fully", Reduction: new(1.0)},
			"held", "reduction 100 %, 95 % interval 100 %", result.Pass},
		{"a reduction whose interval ends above the bound", race, result.Expectation{Arm: "random", Reduction: new(0.98)},
			"held", "reduction 99.5 %, 95 % interval 98.2 to 99.6 %", result.Pass},
		{"a reduction whose interval ends below the bound", race, result.Expectation{Arm: "random", Reduction: new(0.99)},
			"not held", "reduction 99.5 %, 95 % interval 98.2 to 99.6 %", result.Fail},
		{"a reduction of too few trials", short, result.Expectation{Arm: "random-fully", Reduction: new(0.5)},
			"undecided", "reduction 100 %, but 6 trials are too few for a 95 % interval; at least 7 are needed", result.Inconclusive},
		{"a reduction of a baseline that may lose nothing", []result.Arm{armOf("masquerade", 0, 700, 700, 700, 700, 700, 700), armOf("random-fully", make([]int, 7)...)},
			result.Expectation{Arm: "random-fully", Reduction: new(0.5)},
			"undecided", "reduction 100 %, but without a 95 % interval, as that of masquerade reaches down to 0", result.Inconclusive},
		{"a latency that falls", race, result.Expectation{Arm: "random-fully", P50: new(0.0)},
			"held", "p50 -10.0 %, 95 % interval -10.0 %", result.Pass},
		{"a latency whose interval ends at the bound", race, result.Expectation{Arm: "random", P50: new(0.05)},
			"held", "p50 +4.00 %, 95 % interval +4.00 %", result.Pass},
		{"a latency whose interval ends above the bound", race, result.Expectation{Arm: "random", P99: new(0.05)},
			"not held", "p99 +3.93 %, 95 % interval +0.48 to +7.50 %", result.Fail},
		{"a latency of too few trials", short, result.Expectation{Arm: "random-fully", P99: new(0.05)},
			"undecided", "p99 -9.88 %, but 6 trials are too few for a 95 % interval; at least 7 are needed", result.Inconclusive},
		{"a latency against none", []result.Arm{armOf("masquerade", lossyTrials...), armOf("random", lossyTrials...)}, result.Expectation{Arm: "random", P50: new(0.05)},
			"undecided", "masquerade has no p50 to compare with", result.Inconclusive},
		{"the baseline's latency against itself", race, result.Expectation{Arm: "masquerade", P99: new(0.05)},
			"undecided", "this is the baseline", result.Inconclusive},
		{"few failures without an explanation", []result.Arm{mixedArm("masquerade", 600, 6)}, result.Expectation{Arm: "masquerade", Unexplained: new(0.001)},
			"held", "6 of 6,000 requests unexplained, 0.10 %", result.Pass},
		{"many failures without an explanation", []result.Arm{mixedArm("masquerade", 600, 7)}, result.Expectation{Arm: "masquerade", Unexplained: new(0.001)},
			"not held", "7 of 6,000 requests unexplained, 0.12 %", result.Fail},
		{"an arm without a trial", race, result.Expectation{Arm: "untried", Race: result.Absent},
			"undecided", "no trial", result.Inconclusive},
		{"a trial that sent nothing", []result.Arm{armOf("masquerade", lossyTrials...), {Name: "random", Trials: []result.Trial{{Round: 1}}}},
			result.Expectation{Arm: "random", Race: result.Absent}, "undecided", "no trial", result.Inconclusive},
		{"an arm that is not there", race, result.Expectation{Arm: "randomfully", Race: result.Absent},
			"undecided", "no trial", result.Inconclusive},
		{"the baseline against itself", race, result.Expectation{Arm: "masquerade", Reduction: new(0.5)},
			"undecided", "this is the baseline", result.Inconclusive},
		{"the baseline without a race", noRace, result.Expectation{Arm: "masquerade", Race: result.Reproduced},
			"undecided", "5 of 12,000 requests lost to the race, too few to judge; at least 20 are needed", result.Inconclusive},
		{"absent from a baseline without a race", noRace, result.Expectation{Arm: "masquerade", Race: result.Absent},
			"undecided", "5 of 12,000 requests lost to the race, but no arm of this run lost enough to judge; at least 20 are needed", result.Inconclusive},
		{"no race seen is not a race mitigated", noRace, result.Expectation{Arm: "random-fully", Race: result.Absent},
			"undecided", "0 of 12,000 requests lost to the race, but no arm of this run lost enough to judge; at least 20 are needed", result.Inconclusive},
		{"no reduction without a race", noRace, result.Expectation{Arm: "random-fully", Reduction: new(0.95)},
			"undecided", "reduction 100 %, but the hits in masquerade are too few to judge: 5; at least 20 are needed", result.Inconclusive},
		{"absent from a baseline, and another arm shows that it could be hit", safe, result.Expectation{Arm: "random-fully", Race: result.Absent},
			"held", "0 of 48,000 requests lost to the race", result.Pass},
		{"absent from a third arm, and another one shows that it could be hit", safe, result.Expectation{Arm: "split", Race: result.Absent},
			"held", "1 of 48,000 requests lost to the race", result.Pass},
		{"a chance hit of two ports that were drawn", []result.Arm{armOf("random-fully", 1, 0, 0, 0, 0, 0, 0, 0), armOf("masquerade", lossyTrials...)},
			result.Expectation{Arm: "random-fully", Race: result.Absent}, "held", "1 of 48,000 requests lost to the race", result.Pass},
		{"a hit is much where the race is rare", []result.Arm{armOf("masquerade", repeatTrial(8, 9)...), armOf("random", 1, 0, 0, 0, 0, 0, 0, 0)},
			result.Expectation{Arm: "random", Race: result.Absent}, "not held", "1 of 48,000 requests lost to the race", result.Fail},
		{"an arm that loses is not absent, whatever the baseline shows", safe, result.Expectation{Arm: "masquerade", Race: result.Absent},
			"not held", "5,280 of 48,000 requests lost to the race", result.Fail},
		{"an arm that is worse than a baseline without a race reduces nothing", safe, result.Expectation{Arm: "masquerade", Reduction: new(0.5)},
			"not held", "worse than random-fully: 5,280 of 48,000 failed, and 0 of 48,000", result.Fail},
		{"a latency over its bound, whatever the baseline shows", safe, result.Expectation{Arm: "split", P50: new(0.05)},
			"not held", "p50 +50.0 %, 95 % interval +50.0 %", result.Fail},
		{"unexplained failures over their bound, whatever the baseline shows", []result.Arm{armOf("random-fully", 0), mixedArm("masquerade", 0, 7)},
			result.Expectation{Arm: "masquerade", Unexplained: new(0.001)}, "not held", "7 of 6,000 requests unexplained, 0.12 %", result.Fail},
		{"a bound that is held says nothing where no arm shows the race", []result.Arm{armOf("random-fully", 0), armOf("masquerade", 0)},
			result.Expectation{Arm: "masquerade", Unexplained: new(0.001)}, "held", "0 of 6,000 requests unexplained, 0 %", result.Inconclusive},
		{"what is expected of an arm may be decided where its comparison is not", []result.Arm{armOf("masquerade", 700), armOf("random-fully", 0)},
			result.Expectation{Arm: "random-fully", Race: result.Absent}, "held", "0 of 6,000 requests lost to the race", result.Pass},
		{"no reduction of a median of 0", []result.Arm{armOf("masquerade", 25, 0, 0), armOf("random-fully", 0, 0, 0)},
			result.Expectation{Arm: "random-fully", Reduction: new(0.95)},
			"undecided", "the median failure rate of masquerade is 0", result.Inconclusive},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			r := runOf(8, tc.arms...)
			r.Expected = []result.Expectation{tc.expect}
			judgeAndDescribe(r)
			if e := r.Expected[0]; heldText(e.Held) != tc.held || e.Found != tc.found || r.Verdict != tc.verdict {
				t.Errorf("got %s, %q, %s", heldText(e.Held), e.Found, r.Verdict)
			}
		})
	}
}

// The summary names the first expectation that is not met.
func TestSummaryUnmet(t *testing.T) {
	t.Parallel()
	reproduced := result.Expectation{Arm: "masquerade", Race: result.Reproduced}
	reduced := result.Expectation{Arm: "random", Reduction: new(0.95)}
	absent := result.Expectation{Arm: "random", Race: result.Absent}
	untried := result.Expectation{Arm: "untried", Race: result.Absent}
	const (
		found = "reduction 90.0 %, 95 % interval 84.0 to 93.8 %"
		seen  = "masquerade loses 11.2 % of connections to the source-port race; " +
			"with random 1.12 % fail (" + found + "): reduced."
	)
	for _, tc := range []struct {
		claim    string
		expected []result.Expectation
		verdict  result.Verdict
		summary  string
	}{
		{"all held", []result.Expectation{reproduced}, result.Pass, seen},
		{"one not held", []result.Expectation{reproduced, reduced}, result.Fail,
			seen + " Not as expected: random, " + found + "."},
		{"two not held", []result.Expectation{reduced, absent}, result.Fail,
			seen + " Not as expected: random, " + found + ", and 1 more."},
		{"one not held outweighs one that could not be decided", []result.Expectation{untried, reduced}, result.Fail,
			seen + " Not as expected: random, " + found + "."},
		{"one could not be decided", []result.Expectation{reproduced, untried}, result.Inconclusive,
			seen + " An expectation could not be decided: untried, no trial."},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			r := runOf(8, armOf("masquerade", lossyTrials...), armOf("random", 70, 64, 67, 80, 60, 67, 50, 69))
			r.Expected = tc.expected
			judgeAndDescribe(r)
			if r.Verdict != tc.verdict || r.Summary != tc.summary {
				t.Errorf("got %s\n%s\nwant %s\n%s", r.Verdict, r.Summary, tc.verdict, tc.summary)
			}
		})
	}
}

// withLatency sets the same p50 in every trial, and a p99 of twice that, which rises by
// 1 µs from trial to trial.
func withLatency(p50 int64, a result.Arm) result.Arm {
	for i := range a.Trials {
		a.Trials[i].Latency = result.Latency{P50: p50, P99: 2*p50 + int64(i)}
	}
	return a
}

func heldText(held *bool) string {
	switch {
	case held == nil:
		return "undecided"
	case *held:
		return "held"
	default:
		return "not held"
	}
}
