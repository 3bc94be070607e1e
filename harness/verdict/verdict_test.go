package verdict

import (
	"reflect"
	"slices"
	"testing"

	"snatlab/harness/figure"
	"snatlab/harness/result"
)

// perTrial is the number of requests in each trial of these tests.
const perTrial = 6000

func TestJudge(t *testing.T) {
	for _, tc := range []struct {
		claim   string
		in      *result.Result
		verdict result.Verdict
		arms    []result.ArmVerdict
		summary string
	}{
		{
			"an arm without a failure is mitigated",
			run(4, arm("masquerade", 700, 640, 500, 800), arm("random-fully", 0, 0, 0, 0)),
			result.Pass, []result.ArmVerdict{result.Mitigated},
			"masquerade loses 11.2 % of connections to the source-port race; " +
				"with random-fully none of 24,000 failed (reduction 100 %): mitigated.",
		},
		{
			"an arm with a few failures is mitigated from a reduction of 99 % on",
			run(4, arm("masquerade", 700, 700, 500, 800), arm("random-fully", 7, 7, 0, 9)),
			result.Pass, []result.ArmVerdict{result.Mitigated},
			"masquerade loses 11.7 % of connections to the source-port race; " +
				"with random-fully 0.12 % fail (reduction 99.0 %): mitigated.",
		},
		{
			"failures that the median does not show are counted",
			run(4, arm("masquerade", 700, 700, 500, 800), arm("random-fully", 0, 0, 0, 9)),
			result.Pass, []result.ArmVerdict{result.Mitigated},
			"masquerade loses 11.7 % of connections to the source-port race; " +
				"with random-fully 9 of 24,000 failed (reduction 100 %): mitigated.",
		},
		{
			"an arm whose trials all lie below the baseline's is reduced",
			run(4, arm("masquerade", 700, 640, 500, 800), arm("random", 300, 260, 310, 499)),
			result.Pass, []result.ArmVerdict{result.Reduced},
			"masquerade loses 11.2 % of connections to the source-port race; " +
				"with random 5.08 % fail (reduction 54.5 %): reduced.",
		},
		{
			"trials that touch are no difference",
			run(4, arm("masquerade", 700, 640, 500, 800), arm("random", 300, 260, 310, 500)),
			result.Pass, []result.ArmVerdict{result.NoDifference},
			"masquerade loses 11.2 % of connections to the source-port race; " +
				"with random 5.08 % fail: no difference, their trials overlap.",
		},
		{
			"an arm whose trials all lie above the baseline's is worse",
			run(4, arm("masquerade", 700, 640, 500, 800), arm("wide", 900, 880, 801, 950)),
			result.Pass, []result.ArmVerdict{result.Worse},
			"masquerade loses 11.2 % of connections to the source-port race; " +
				"with wide 14.8 % fail (reduction -32.8 %): worse.",
		},
		{
			"one arm is compared with nothing",
			run(4, arm("masquerade", 700, 640, 500, 800)),
			result.Pass, nil,
			"masquerade loses 11.2 % of connections to the source-port race.",
		},
		{
			"each of three arms has its clause",
			run(4, arm("masquerade", 700, 640, 500, 800), arm("random", 0, 0, 0, 0), arm("wide", 700, 640, 500, 800)),
			result.Pass, []result.ArmVerdict{result.Mitigated, result.NoDifference},
			"masquerade loses 11.2 % of connections to the source-port race; " +
				"with random none of 24,000 failed (reduction 100 %): mitigated; " +
				"with wide 11.2 % fail: no difference, their trials overlap.",
		},
		{
			"many arms are named by verdict",
			run(4, arm("m", 700, 700, 700, 700), arm("a", 0, 0, 0, 0), arm("b", 800, 800, 800, 800),
				arm("c", 0, 0, 0, 0), arm("d", 70, 70, 70, 70), arm("e", 700, 1, 1, 1)),
			result.Pass, []result.ArmVerdict{result.Mitigated, result.Worse, result.Mitigated, result.Reduced, result.NoDifference},
			"m loses 11.7 % of connections to the source-port race; " +
				"mitigated with a, c; reduced with d; no difference with e; worse with b.",
		},
		{
			"failures of another cause are not put down to the race",
			run(4, mixed("masquerade", 600, 100), mixed("random-fully", 0, 0)),
			result.Pass, []result.ArmVerdict{result.Mitigated},
			"masquerade loses 11.7 % of connections, 600 of 700 to the source-port race; " +
				"with random-fully none of 6,000 failed (reduction 100 %): mitigated.",
		},
		{
			"a race in fewer than half of the trials leaves nothing to compare with",
			run(4, arm("masquerade", 25, 0, 0, 0), arm("random-fully", 0, 0, 0, 0)),
			result.Pass, []result.ArmVerdict{result.NoDifference},
			"masquerade lost 25 of 24,000 connections to the source-port race, and in its median trial none; " +
				"with random-fully none of 24,000 failed: no difference, their trials overlap.",
		},
		{
			"twenty hits are a race",
			run(4, arm("masquerade", 5, 5, 5, 5), arm("random-fully", 0, 0, 0, 0)),
			result.Pass, []result.ArmVerdict{result.Mitigated},
			"masquerade loses 0.08 % of connections to the source-port race; " +
				"with random-fully none of 24,000 failed (reduction 100 %): mitigated.",
		},
		{
			"nineteen hits are none",
			run(4, arm("masquerade", 5, 5, 5, 4), arm("random-fully", 0, 0, 0, 0)),
			result.Inconclusive, []result.ArmVerdict{result.ArmInconclusive},
			"The race did not occur in masquerade: 19 hits in 24,000 requests, below the floor of 20, " +
				"so nothing can be said about the other arms.",
		},
		{
			"one arm without the race is inconclusive too",
			run(4, arm("masquerade", 0, 0, 0, 0)),
			result.Inconclusive, nil,
			"The race did not occur in masquerade: 0 hits in 24,000 requests.",
		},
		{
			"failures of another cause are not the race",
			run(4, mixed("masquerade", 1, 600), mixed("random-fully", 0, 0)),
			result.Inconclusive, []result.ArmVerdict{result.ArmInconclusive},
			"The race did not occur in masquerade: 1 hit in 6,000 requests, below the floor of 20, " +
				"so nothing can be said about the other arms; 600 requests failed for other reasons.",
		},
		{
			"an interrupted run is inconclusive and says what it saw",
			interrupted(run(4, arm("masquerade", 700, 650), arm("random", 0), arm("random-fully"))),
			result.Inconclusive, []result.ArmVerdict{result.Mitigated, result.ArmInconclusive},
			"The run ended early, after 3 of 12 trials: interrupted. " +
				"So far masquerade loses 11.2 % of connections to the source-port race; " +
				"with random none of 6,000 failed (reduction 100 %): mitigated; no trial of random-fully.",
		},
		{
			"an interrupted run may not have seen the race",
			interrupted(run(4, arm("masquerade", 3), arm("random-fully", 0))),
			result.Inconclusive, []result.ArmVerdict{result.ArmInconclusive},
			"The run ended early, after 2 of 8 trials: interrupted. " +
				"So far the race did not occur in masquerade: 3 hits in 6,000 requests, below the floor of 20, " +
				"so nothing can be said about the other arms.",
		},
		{
			"an interrupted run may have no trial of its baseline",
			interrupted(run(4, arm("masquerade"), arm("random-fully", 0))),
			result.Inconclusive, []result.ArmVerdict{result.ArmInconclusive},
			"The run ended early, after 1 of 8 trials: interrupted. " +
				"So far the baseline, masquerade, has no trial, so nothing can be said about the other arms.",
		},
		{
			"an interrupted run may have no trial at all",
			interrupted(run(4, arm("masquerade"), arm("random-fully"))),
			result.Inconclusive, []result.ArmVerdict{result.ArmInconclusive},
			"The run ended early, before a trial was finished: interrupted.",
		},
		{
			"a result without an arm is inconclusive",
			run(4),
			result.Inconclusive, nil,
			"No trial was run.",
		},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			Judge(tc.in)
			var arms []result.ArmVerdict
			for _, c := range tc.in.Comparisons {
				arms = append(arms, c.Verdict)
			}
			if tc.in.Summary != tc.summary {
				t.Errorf("summary\n got %s\nwant %s", tc.in.Summary, tc.summary)
			}
			if tc.in.Verdict != tc.verdict || !slices.Equal(arms, tc.arms) {
				t.Errorf("verdicts: got %s %v, want %s %v", tc.in.Verdict, arms, tc.verdict, tc.arms)
			}
		})
	}
}

func TestTheFailureRateIsTheMedianTrialBetweenLowestAndHighest(t *testing.T) {
	for _, tc := range []struct {
		failed []int
		want   result.Spread
	}{
		{nil, result.Spread{}},
		{[]int{600}, result.Spread{Median: .1, Low: .1, High: .1}},
		{[]int{1200, 600, 0}, result.Spread{Median: .1, Low: 0, High: .2}},
		{[]int{1200, 600, 0, 1200}, result.Spread{Median: .15, Low: 0, High: .2}},
	} {
		r := run(4, arm("masquerade", tc.failed...))
		Judge(r)
		got := r.Arms[0].FailureRate
		if figure.Percent(got.Median) != figure.Percent(tc.want.Median) || got.Low != tc.want.Low || got.High != tc.want.High {
			t.Errorf("trials of %d failures: got %v, want %v", tc.failed, got, tc.want)
		}
	}
}

func TestAReductionIsLeftOutWhereThereIsNothingToReduce(t *testing.T) {
	r := run(4, arm("masquerade", 0, 0), arm("random-fully", 0, 0))
	Judge(r)
	if c := r.Comparisons[0]; c.Reduction.Estimate != nil {
		t.Errorf("got %v", *c.Reduction.Estimate)
	}
	r = run(4, arm("masquerade", 600, 600), arm("random-fully"))
	Judge(r)
	if c := r.Comparisons[0]; c.Reduction.Estimate != nil {
		t.Errorf("an arm without a trial: got %v", *c.Reduction.Estimate)
	}
}

func TestJudgingAgainChangesNothing(t *testing.T) {
	judged := func(times int) *result.Result {
		r := run(2, mixed("masquerade", 600, 100), arm("random-fully", 0, 0))
		r.Warnings = []string{"the lab's own warning"}
		r.Expected = []result.Expect{{Arm: "masquerade", Race: "reproduced"}}
		for range times {
			Judge(r)
		}
		return r
	}
	if once, thrice := judged(1), judged(3); !reflect.DeepEqual(once, thrice) {
		t.Errorf("once:\n%+v\nthrice:\n%+v", once, thrice)
	}
}

func run(rounds int, arms ...result.Arm) *result.Result {
	return &result.Result{Scenario: result.Scenario{Rounds: rounds}, Arms: arms}
}

func interrupted(r *result.Result) *result.Result {
	r.Incomplete = "interrupted"
	return r
}

// arm has one trial for each number of failures, all of them lost to the race.
func arm(name string, failed ...int) result.Arm {
	a := result.Arm{Name: name}
	for i, n := range failed {
		a.Trials = append(a.Trials, result.Trial{
			Round: i + 1, Requests: perTrial, Failed: n,
			Causes: map[string]int{result.SNATRace: n},
		})
	}
	return a
}

// mixed has one trial with failures of two causes.
func mixed(name string, race, unexplained int) result.Arm {
	a := arm(name, race)
	a.Trials[0].Failed += unexplained
	a.Trials[0].Causes[result.Unexplained] = unexplained
	return a
}
