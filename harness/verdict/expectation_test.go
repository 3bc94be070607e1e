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
		withLatency(100, controlled(armOf("masquerade", lossyTrials...))), withLatency(104, controlled(armOf("random", 3, 4, 3, 4, 3, 4, 3, 9))),
		withLatency(90, controlled(armOf("random-fully", make([]int, 8)...))), armOf("untried"), controlled(armOf("half", 350, 320, 250, 400, 345, 325, 255, 395)),
	}
	noRace := []result.Arm{armOf("masquerade", 3, 2), armOf("random-fully", 0, 0)}
	noHit := []result.Arm{withControl(armOf("masquerade", 0, 0), 0, 0), withControl(armOf("random-fully", 0, 0), 0, 0)}
	safe := []result.Arm{ // the baseline is what mitigates
		withLatency(100, armOf("random-fully", make([]int, 8)...)), armOf("masquerade", lossyTrials...), withLatency(150, armOf("split", 1, 0, 0, 0, 0, 0, 0, 0)),
	}
	short := []result.Arm{withLatency(100, armOf("masquerade", lossyTrials[:6]...)), withLatency(90, armOf("random-fully", 0, 0, 0, 0, 0, 0))}
	broken := []result.Arm{controlled(armOf("masquerade", repeatTrial(8, 1400)...)), controlled(armOf("random-fully", make([]int, 8)...))}
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
		{"the race was reproduced in an arm", race, result.Expectation{Arm: "half", Race: result.Reproduced},
			"held", "2,640 of 48,000 requests lost to the race, at least 46 % of what its control lost", result.Pass},
		{"an arm that leaves less than 1 % does not reproduce the race", race, result.Expectation{Arm: "random-fully", Race: result.Reproduced},
			"not held", "0 of 48,000 requests lost to the race, at most 0.15 % of what its control lost", result.Fail},
		{"an arm that may leave 1 % may reproduce it", race, result.Expectation{Arm: "random", Race: result.Reproduced},
			"undecided", "33 of 48,000 requests lost to the race, 0.27 to 1.4 % of what its control lost (5,280 hits in its control; about 7,000 are needed to decide)", result.Inconclusive},
		{"no hit is an absent race", race, result.Expectation{Arm: "random-fully", Race: result.Absent},
			"held", "0 of 48,000 requests lost to the race, at most 0.15 % of what its control lost", result.Pass},
		{"half of the hits are not absent", race, result.Expectation{Arm: "half", Race: result.Absent},
			"not held", "2,640 of 48,000 requests lost to the race, at least 46 % of what its control lost", result.Fail},
		{"a few hits may be", race, result.Expectation{Arm: "random", Race: result.Absent},
			"undecided", "33 of 48,000 requests lost to the race, 0.27 to 1.4 % of what its control lost (5,280 hits in its control; about 7,000 are needed to decide)", result.Inconclusive},
		{"two hits show that the race is absent no more than that it is not", []result.Arm{controlled(armOf("masquerade", 700)), withControl(armOf("random", 0), 2)}, result.Expectation{Arm: "random", Race: result.Absent},
			"undecided", "0 of 6,000 requests lost to the race, any share of what its control lost (2 hits in its control; 764 are needed to decide)", result.Inconclusive},
		{"a hit of drawn ports is absent among thousands", []result.Arm{controlled(armOf("masquerade", lossyTrials...)), controlled(drawing(armOf("random-fully", 1, 0, 0, 0, 0, 0, 0, 0)))}, result.Expectation{Arm: "random-fully", Race: result.Absent},
			"held", "1 of 48,000 requests lost to the race, at most 0.19 % of what its control lost", result.Pass},
		{"a baseline that draws ports has a control, too", []result.Arm{controlled(drawing(armOf("random-fully", 1, 0, 0, 0, 0, 0, 0, 0)))}, result.Expectation{Arm: "random-fully", Race: result.Absent},
			"held", "1 of 48,000 requests lost to the race, at most 0.19 % of what its control lost", result.Pass},
		{"a reduction that the whole interval exceeds", race, result.Expectation{Arm: "random-fully", Reduction: new(0.99)},
			"held", "none of 48,000 failed; at least 99.8 % of the failures are gone (5,280 hits in the control)", result.Pass},
		{"a reduction that the interval holds", race, result.Expectation{Arm: "random", Reduction: new(0.99)},
			"undecided", "33 of 48,000 failed; 0.27 to 1.4 % of the failures may remain (5,280 hits in the control; about 7,000 are needed to decide)", result.Inconclusive},
		{"a reduction that the whole interval falls short of", race, result.Expectation{Arm: "half", Reduction: new(0.6)},
			"not held", "2,640 of 48,000 failed; at most 54 % of the failures are gone (5,280 hits in the control)", result.Fail},
		{"nothing shows a reduction of all", race, result.Expectation{Arm: "random-fully", Reduction: new(1.0)},
			"undecided", "none of 48,000 failed; 0 to 0.15 % of the failures may remain (5,280 hits in the control; at this share, no number of hits is enough to decide)", result.Inconclusive},
		{"a reduction with a control that is no measure", broken, result.Expectation{Arm: "random-fully", Reduction: new(0.99)},
			"undecided", "its control is no measure, since the baseline and its own control differ", result.Inconclusive},
		{"an absent race with a control that is no measure", broken, result.Expectation{Arm: "random-fully", Race: result.Absent},
			"undecided", "0 of 48,000 requests lost to the race, but its control is no measure, since the baseline and its own control differ", result.Inconclusive},
		{"a reduction of too few trials", short, result.Expectation{Arm: "random-fully", Reduction: new(0.5)},
			"undecided", "none of 36,000 failed, but 6 trials are too few to show a difference; at least 7 of each arm are needed", result.Inconclusive},
		{"a reduction of a baseline that may lose nothing", []result.Arm{armOf("masquerade", 0, 700, 700, 700, 700, 700, 700), armOf("random-fully", make([]int, 7)...)}, result.Expectation{Arm: "random-fully", Reduction: new(0.5)},
			"undecided", "none of 42,000 failed; 0 to 0.74 % of the failures may remain (4,200 hits in masquerade; the trials differ by more than chance explains, so it takes more rounds to decide)", result.Inconclusive},
		{"a latency that falls", race, result.Expectation{Arm: "random-fully", P50: new(0.0)},
			"held", "p50 -10.00 %, 95 % interval -10.9 to -9.05 %", result.Pass},
		{"a latency whose interval ends below the bound", race, result.Expectation{Arm: "random", P50: new(0.06)},
			"held", "p50 +4.00 %, 95 % interval +2.99 to +5.02 %", result.Pass},
		{"a latency whose interval holds the bound", race, result.Expectation{Arm: "random", P99: new(0.05)},
			"undecided", "p99 +3.93 %, 95 % interval +1.96 to +5.93 %", result.Inconclusive},
		{"a latency whose interval lies above the bound", race, result.Expectation{Arm: "random", P50: new(0.01)},
			"not held", "p50 +4.00 %, 95 % interval +2.99 to +5.02 %", result.Fail},
		{"a latency of too few trials", []result.Arm{withLatency(100, armOf("masquerade", 700, 700, 700)), withLatency(90, armOf("random-fully", 0, 0, 0))}, result.Expectation{Arm: "random-fully", P99: new(0.05)},
			"undecided", "p99 -9.95 %, but 3 trials are too few for a 95 % interval; at least 4 are needed", result.Inconclusive},
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
		{"a reduction of an arm without a trial", race, result.Expectation{Arm: "untried", Reduction: new(0.5)},
			"undecided", "no trial", result.Inconclusive},
		{"a trial that sent nothing", []result.Arm{armOf("masquerade", lossyTrials...), {Name: "random", Trials: []result.Trial{{Round: 1}}}}, result.Expectation{Arm: "random", Race: result.Absent},
			"undecided", "no trial", result.Inconclusive},
		{"an arm that is not there", race, result.Expectation{Arm: "randomfully", Race: result.Absent},
			"undecided", "no trial", result.Inconclusive},
		{"the baseline against itself", race, result.Expectation{Arm: "masquerade", Reduction: new(0.5)},
			"undecided", "this is the baseline", result.Inconclusive},
		{"a few hits are more than ports that meet by chance", noRace, result.Expectation{Arm: "masquerade", Race: result.Reproduced},
			"held", "5 of 12,000 requests lost to the race", result.Pass},
		{"one hit is not", []result.Arm{armOf("masquerade", 1, 0)}, result.Expectation{Arm: "masquerade", Race: result.Reproduced},
			"undecided", "1 of 12,000 requests lost to the race, too few to be told from ports that are drawn and meet by chance; at least 4 are needed", result.Inconclusive},
		{"the baseline without a race", noHit, result.Expectation{Arm: "masquerade", Race: result.Reproduced},
			"undecided", "0 of 12,000 requests lost to the race, and no arm shows that it could be hit", result.Inconclusive},
		{"absent from a baseline without a race", noHit, result.Expectation{Arm: "masquerade", Race: result.Absent},
			"undecided", "0 of 12,000 requests lost to the race, and none in its control either", result.Inconclusive},
		{"no race seen is not a race mitigated", noHit, result.Expectation{Arm: "random-fully", Race: result.Absent},
			"undecided", "0 of 12,000 requests lost to the race, and none in its control either", result.Inconclusive},
		{"nor a race reduced", noHit, result.Expectation{Arm: "random-fully", Reduction: new(0.95)},
			"undecided", "none of 12,000 failed, but the race did not occur in the control", result.Inconclusive},
		{"no reduction of a few hits", noRace, result.Expectation{Arm: "random-fully", Reduction: new(0.95)},
			"undecided", "none of 12,000 failed; 0 to 358 % of the failures may remain (5 hits in masquerade; 156 are needed to decide)", result.Inconclusive},
		{"absent from a baseline, and another arm shows that it could be hit", safe, result.Expectation{Arm: "random-fully", Race: result.Absent},
			"held", "0 of 48,000 requests lost to the race, at most 0.23 % of what masquerade lost", result.Pass},
		{"absent from a third arm, and another one shows that it could be hit", safe, result.Expectation{Arm: "split", Race: result.Absent},
			"held", "1 of 48,000 requests lost to the race, at most 0.19 % of what masquerade lost", result.Pass},
		{"a hit says little where the race is rare", []result.Arm{armOf("masquerade", repeatTrial(8, 9)...), armOf("random", 1, 0, 0, 0, 0, 0, 0, 0)}, result.Expectation{Arm: "random", Race: result.Absent},
			"undecided", "1 of 48,000 requests lost to the race, 0 to 15 % of what masquerade lost (72 hits in masquerade; about 8,400 are needed to decide)", result.Inconclusive},
		{"an arm that loses is not absent, whatever the baseline shows", safe, result.Expectation{Arm: "masquerade", Race: result.Absent},
			"not held", "5,280 of 48,000 requests lost to the race", result.Fail},
		{"an arm that is worse than a baseline without a race reduces nothing", safe, result.Expectation{Arm: "masquerade", Reduction: new(0.5)},
			"not held", "5,280 of 48,000 failed; at least 694 times as many as in random-fully", result.Fail},
		{"a latency over its bound, whatever the baseline shows", safe, result.Expectation{Arm: "split", P50: new(0.05)},
			"not held", "p50 +50.0 %, 95 % interval +48.8 to +51.2 %", result.Fail},
		{"unexplained failures over their bound, whatever the baseline shows", []result.Arm{armOf("random-fully", 0), mixedArm("masquerade", 0, 7)}, result.Expectation{Arm: "masquerade", Unexplained: new(0.001)},
			"not held", "7 of 6,000 requests unexplained, 0.12 %", result.Fail},
		{"a bound that is held says nothing where no arm shows the race", []result.Arm{armOf("random-fully", 0), armOf("masquerade", 0)}, result.Expectation{Arm: "masquerade", Unexplained: new(0.001)},
			"held", "0 of 6,000 requests unexplained, 0 %", result.Inconclusive},
		{"two trials without a control show no absent race", []result.Arm{armOf("masquerade", 700, 700), armOf("random-fully", 0, 0)}, result.Expectation{Arm: "random-fully", Race: result.Absent},
			"undecided", "0 of 12,000 requests lost to the race, but 2 trials are too few to show a difference; at least 7 of each arm are needed", result.Inconclusive},
		{"one trial may be enough", []result.Arm{controlled(armOf("masquerade", 700, 700)), controlled(armOf("random-fully", 0, 0))}, result.Expectation{Arm: "random-fully", Race: result.Absent},
			"held", "0 of 12,000 requests lost to the race, at most 0.57 % of what its control lost", result.Pass},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			r := runOf(8, tc.arms...)
			r.Expected = []result.Expectation{tc.expect}
			judgeAndDescribe(r)
			if e := r.Expected[0]; heldText(e.Held) != tc.held || e.Found != tc.found || r.Verdict != tc.verdict {
				t.Errorf("got %q, %q, %q", heldText(e.Held), e.Found, r.Verdict)
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
		found = "527 of 48,000 failed; at most 93 % of the failures are gone (5,280 hits in the control)"
		seen  = "masquerade lost 5,280 of 48,000 connections (11.0 %) to the source-port race; " +
			"with random 527 of 48,000 failed: reduced, at least 87 % of the failures are gone (5,280 hits in the control)."
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
			r := runOf(8, controlled(armOf("masquerade", lossyTrials...)), controlled(armOf("random", 70, 64, 67, 80, 60, 67, 50, 69)))
			r.Expected = tc.expected
			judgeAndDescribe(r)
			if r.Verdict != tc.verdict || r.Summary != tc.summary {
				t.Errorf("got %s\n%s\nwant %s\n%s", r.Verdict, r.Summary, tc.verdict, tc.summary)
			}
		})
	}
}

// controlled gives an arm a control that lost what lossyTrials did.
func controlled(a result.Arm) result.Arm { return withControl(a, lossyTrials[:len(a.Trials)]...) }

// withLatency sets the same p50 in every trial, and a p99 of twice that, which rises by
// 1 µs from trial to trial.
func withLatency(p50 int64, a result.Arm) result.Arm {
	for i := range a.Trials {
		a.Trials[i].Latency = result.Latency{P50: p50, P99: 2*p50 + int64(i)}
		if c := a.Trials[i].Control; c != nil {
			c.Latency = result.Latency{P50: 100, P99: 200}
		}
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
