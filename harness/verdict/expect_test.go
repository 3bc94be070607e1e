package verdict

import (
	"testing"

	"snatlab/harness/result"
)

func TestExpectations(t *testing.T) {
	race := []result.Arm{arm("masquerade", 700, 640), arm("random", 3, 4), arm("random-fully", 0, 0), arm("untried")}
	noRace := []result.Arm{arm("masquerade", 3, 2), arm("random-fully", 0, 0)}
	for _, tc := range []struct {
		claim   string
		arms    []result.Arm
		expect  result.Expect
		held    string
		found   string
		verdict result.Verdict
	}{
		{"the race was reproduced", race, result.Expect{Arm: "masquerade", Race: "reproduced"},
			"held", "1,340 of 12,000 requests lost to the race", result.Pass},
		{"too few hits are no race", race, result.Expect{Arm: "random", Race: "reproduced"},
			"not held", "7 of 12,000 requests lost to the race", result.Fail},
		{"no hit is an absent race", race, result.Expect{Arm: "random-fully", Race: "absent"},
			"held", "0 of 12,000 requests lost to the race", result.Pass},
		{"a few hits are not absent", race, result.Expect{Arm: "random", Race: "absent"},
			"not held", "7 of 12,000 requests lost to the race", result.Fail},
		{"a reduction of at least the bound", race, result.Expect{Arm: "random-fully", Reduction: new(1.0)},
			"held", "reduction 100 %", result.Pass},
		{"a reduction below the bound", race, result.Expect{Arm: "random", Reduction: new(0.999)},
			"not held", "reduction 99.5 %", result.Fail},
		{"an arm without a trial", race, result.Expect{Arm: "untried", Race: "absent"},
			"could not be told", "no trial", result.Inconclusive},
		{"an arm that is not there", race, result.Expect{Arm: "randomfully", Race: "absent"},
			"could not be told", "no trial", result.Inconclusive},
		{"the baseline against itself", race, result.Expect{Arm: "masquerade", Reduction: new(0.5)},
			"could not be told", "this is the baseline", result.Inconclusive},
		{"the baseline without a race", noRace, result.Expect{Arm: "masquerade", Race: "reproduced"},
			"not held", "5 of 12,000 requests lost to the race", result.Inconclusive},
		{"absent from a baseline without a race", noRace, result.Expect{Arm: "masquerade", Race: "absent"},
			"could not be told", "5 of 12,000 requests lost to the race", result.Inconclusive},
		{"no race seen is not a race mitigated", noRace, result.Expect{Arm: "random-fully", Race: "absent"},
			"could not be told", "0 of 12,000 requests lost to the race, but the race did not occur in masquerade", result.Inconclusive},
		{"no reduction without a race", noRace, result.Expect{Arm: "random-fully", Reduction: new(0.95)},
			"could not be told", "reduction 100 %, but the race did not occur in masquerade", result.Inconclusive},
		{"no reduction of a median of 0", []result.Arm{arm("masquerade", 25, 0, 0), arm("random-fully", 0, 0, 0)},
			result.Expect{Arm: "random-fully", Reduction: new(0.95)},
			"could not be told", "the median failure rate of masquerade is 0", result.Inconclusive},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			r := run(4, tc.arms...)
			r.Expected = []result.Expect{tc.expect}
			Judge(r)
			if e := r.Expected[0]; outcome(e.Held) != tc.held || e.Found != tc.found || r.Verdict != tc.verdict {
				t.Errorf("got %s, %q, %s", outcome(e.Held), e.Found, r.Verdict)
			}
		})
	}
}

func TestWhatWasNotAsExpectedStandsInTheSummary(t *testing.T) {
	reproduced := result.Expect{Arm: "masquerade", Race: "reproduced"}
	reduced := result.Expect{Arm: "random", Reduction: new(0.95)}
	absent := result.Expect{Arm: "random", Race: "absent"}
	untried := result.Expect{Arm: "untried", Race: "absent"}
	const seen = "masquerade loses 11.2 % of connections to the source-port race; " +
		"with random 1.12 % fail (reduction 90.0 %): reduced."
	for _, tc := range []struct {
		claim    string
		expected []result.Expect
		verdict  result.Verdict
		summary  string
	}{
		{"all held", []result.Expect{reproduced}, result.Pass, seen},
		{"one not held", []result.Expect{reproduced, reduced}, result.Fail,
			seen + " Not as expected: random, reduction 90.0 %."},
		{"two not held", []result.Expect{reduced, absent}, result.Fail,
			seen + " Not as expected: random, reduction 90.0 %, and 1 more."},
		{"one not held outweighs one that could not be told", []result.Expect{untried, reduced}, result.Fail,
			seen + " Not as expected: random, reduction 90.0 %."},
		{"one could not be told", []result.Expect{reproduced, untried}, result.Inconclusive,
			seen + " What was expected could not be told: untried, no trial."},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			r := run(4, arm("masquerade", 700, 640), arm("random", 70, 64))
			r.Expected = tc.expected
			Judge(r)
			if r.Verdict != tc.verdict || r.Summary != tc.summary {
				t.Errorf("got %s\n%s\nwant %s\n%s", r.Verdict, r.Summary, tc.verdict, tc.summary)
			}
		})
	}
}

func outcome(held *bool) string {
	switch {
	case held == nil:
		return "could not be told"
	case *held:
		return "held"
	default:
		return "not held"
	}
}
