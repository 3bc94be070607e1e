package verdict

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// perTrial is the number of requests in each trial of these tests.
const perTrial = 6000

func TestJudge(t *testing.T) {
	t.Parallel()
	// Medians of 670, 300 and 70 failures: 11.2 %, 5 % and 1.17 %.
	race := lossyTrials
	half := []int{290, 260, 310, 499, 300, 300, 300, 320}
	few := []int{70, 64, 80, 50, 69, 71, 90, 40}
	none := []int{0, 0, 0, 0, 0, 0, 0, 0}
	for _, tc := range []struct {
		claim   string
		in      *result.Result
		verdict result.Verdict
		arms    []result.ArmVerdict
		summary string
	}{
		{
			"an arm without a failure is mitigated",
			runOf(8, armOf("masquerade", race...), armOf("random-fully", none...)),
			result.Pass, []result.ArmVerdict{result.Mitigated},
			"masquerade loses 11.2 % of connections to the source-port race; " +
				"with random-fully none of 48,000 failed (reduction 100 %, 95 % interval 100 %): mitigated.",
		},
		{
			"an arm with a few failures is mitigated from a reduction of 99 % on",
			runOf(8, armOf("masquerade", 700, 700, 700, 700, 700, 700, 600, 800), armOf("random-fully", 7, 7, 7, 7, 7, 7, 0, 9)),
			result.Pass, []result.ArmVerdict{result.Mitigated},
			"masquerade loses 11.7 % of connections to the source-port race; " +
				"with random-fully 0.12 % fail (reduction 99.0 %, 95 % interval 98.5 to 100 %): mitigated.",
		},
		{
			"failures that the median does not show are counted",
			runOf(8, armOf("masquerade", race...), armOf("random-fully", 0, 0, 0, 9, 0, 0, 0, 0)),
			result.Pass, []result.ArmVerdict{result.Mitigated},
			"masquerade loses 11.2 % of connections to the source-port race; " +
				"with random-fully 9 of 48,000 failed (reduction 100 %, 95 % interval 98.2 to 100 %): mitigated.",
		},
		{
			"an arm that fails less often is reduced",
			runOf(8, armOf("masquerade", race...), armOf("random", half...)),
			result.Pass, []result.ArmVerdict{result.Reduced},
			"masquerade loses 11.2 % of connections to the source-port race; " +
				"with random 5.00 % fail (reduction 55.2 %, 95 % interval 0.20 to 67.5 %): reduced.",
		},
		{
			"trials need not lie apart to differ",
			runOf(8, armOf("masquerade", race...), armOf("random", 290, 260, 310, 600, 300, 300, 300, 320)),
			result.Pass, []result.ArmVerdict{result.Reduced},
			"masquerade loses 11.2 % of connections to the source-port race; " +
				"with random 5.00 % fail (reduction 55.2 %, 95 % interval -20.0 to 67.5 %): reduced.",
		},
		{
			"what chance explains is no difference",
			runOf(8, armOf("masquerade", race...), armOf("random", 290, 620, 310, 600, 680, 300, 720, 320)),
			result.Pass, []result.ArmVerdict{result.NoDifference},
			"masquerade loses 11.2 % of connections to the source-port race; " +
				"with random 7.67 % fail: no difference shown (p = 0.065).",
		},
		{
			"an arm that fails more often is worse",
			runOf(8, armOf("masquerade", race...), armOf("wide", 900, 880, 810, 950, 910, 890, 870, 930)),
			result.Pass, []result.ArmVerdict{result.Worse},
			"masquerade loses 11.2 % of connections to the source-port race; " +
				"with wide 14.9 % fail (reduction -33.6 %, 95 % interval -90.0 to -1.25 %): worse.",
		},
		{
			"one arm is compared with nothing",
			runOf(8, armOf("masquerade", race...)),
			result.Pass, nil,
			"masquerade loses 11.2 % of connections to the source-port race.",
		},
		{
			"each of three arms has its clause",
			runOf(8, armOf("masquerade", race...), armOf("random", none...), armOf("again", race...)),
			result.Pass, []result.ArmVerdict{result.Mitigated, result.NoDifference},
			"masquerade loses 11.2 % of connections to the source-port race; " +
				"with random none of 48,000 failed (reduction 100 %, 95 % interval 100 %): mitigated; " +
				"with again 11.2 % fail: no difference shown (p = 1).",
		},
		{
			"many arms are named by verdict",
			runOf(8, armOf("m", race...), armOf("a", none...), armOf("b", 900, 880, 810, 950, 910, 890, 870, 930),
				armOf("c", none...), armOf("d", few...), armOf("e", race...)),
			result.Pass, []result.ArmVerdict{result.Mitigated, result.Worse, result.Mitigated, result.Reduced, result.NoDifference},
			"m loses 11.2 % of connections to the source-port race; " +
				"mitigated with a, c; reduced with d; no difference shown with e; worse with b.",
		},
		{
			"four trials cannot show a difference, however far they lie apart",
			runOf(4, armOf("masquerade", 700, 640, 500, 800), armOf("random-fully", 0, 0, 0, 0)),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"masquerade loses 11.2 % of connections to the source-port race; " +
				"with random-fully none of 24,000 failed: undecided, as 4 trials are too few to show a difference (p = 0.029): at least 5 of each arm are needed.",
		},
		{
			"five can, but give the reduction no interval",
			runOf(5, armOf("masquerade", 700, 640, 500, 800, 670), armOf("random-fully", 0, 0, 0, 0, 0)),
			result.Pass, []result.ArmVerdict{result.Mitigated},
			"masquerade loses 11.2 % of connections to the source-port race; " +
				"with random-fully none of 30,000 failed (reduction 100 %): mitigated.",
		},
		{
			"five cannot for two arms",
			runOf(5, armOf("masquerade", 700, 640, 500, 800, 670), armOf("random", 0, 0, 0, 0, 0), armOf("random-fully", 0, 0, 0, 0, 0)),
			result.Inconclusive, []result.ArmVerdict{result.Undecided, result.Undecided},
			"masquerade loses 11.2 % of connections to the source-port race; " +
				"with random none of 30,000 failed: undecided, as 5 trials are too few to show a difference (p = 0.016): at least 6 of each arm are needed; " +
				"with random-fully none of 30,000 failed: undecided, as 5 trials are too few to show a difference (p = 0.016): at least 6 of each arm are needed.",
		},
		{
			"failures of another cause are not put down to the race",
			runOf(8, mixedArm("masquerade", 600, 100), armOf("random-fully", 0)),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"masquerade loses 11.7 % of connections, 600 of 700 to the source-port race; " +
				"with random-fully none of 6,000 failed: undecided, as 1 trial is too few to show a difference (p = 1): at least 5 of each arm are needed.",
		},
		{
			"a baseline that lost nothing in most trials can hide any mitigation",
			runOf(8, armOf("masquerade", 9, 9, 9, 0, 0, 0, 0, 0), armOf("random-fully", none...)),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"masquerade lost 27 of 48,000 connections to the source-port race, and in its median trial none; " +
				"with random-fully none of 48,000 failed: undecided, as too many trials of masquerade lost nothing to show a difference (p = 0.2).",
		},
		{
			"an arm can be worse than a baseline that loses nothing",
			runOf(6, armOf("random-fully", none[:6]...), armOf("masquerade", race[:6]...)),
			result.Pass, []result.ArmVerdict{result.Worse},
			"The race did not occur in random-fully: 0 hits in 36,000 requests; with masquerade 11.2 % fail: worse.",
		},
		{
			"no arm mitigates what the baseline does not show",
			runOf(8, armOf("random-fully", none...), armOf("masquerade", race...), armOf("split", none...)),
			result.Pass, []result.ArmVerdict{result.Worse, result.ArmInconclusive},
			"The race did not occur in random-fully: 0 hits in 48,000 requests; " +
				"with masquerade 11.2 % fail: worse; split cannot be judged.",
		},
		{
			"an arm may be worse than a baseline that loses nothing, and too few trials show it",
			runOf(3, armOf("random-fully", none[:3]...), armOf("masquerade", race[:3]...)),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"The race did not occur in random-fully: 0 hits in 18,000 requests; " +
				"with masquerade 10.7 % fail: undecided, as 3 trials are too few to show a difference (p = 0.1): at least 5 of each arm are needed.",
		},
		{
			"a race in fewer than half of the trials can be told from none, and has no share to reduce",
			runOf(20, armOf("masquerade", 5, 5, 5, 5, 5, 5, 5, 5, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), armOf("random-fully", make([]int, 20)...)),
			result.Pass, []result.ArmVerdict{result.Reduced},
			"masquerade lost 45 of 120,000 connections to the source-port race, and in its median trial none; " +
				"with random-fully none of 120,000 failed: reduced.",
		},
		{
			"an arm of which ranks and medians say opposite things is undecided",
			runOf(40, armOf("masquerade", append(repeatTrial(19, 300), repeatTrial(21, 100)...)...), armOf("odd", append(repeatTrial(21, 200), repeatTrial(19, 0)...)...)),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"masquerade loses 1.67 % of connections to the source-port race; " +
				"with odd 3.33 % fail: undecided, as it differs (p = 0.00037), but its median lies on one side and most of its trials on the other.",
		},
		{
			"twenty hits are a race",
			runOf(5, armOf("masquerade", 4, 4, 4, 4, 4), armOf("random-fully", 0, 0, 0, 0, 0)),
			result.Pass, []result.ArmVerdict{result.Mitigated},
			"masquerade loses 0.07 % of connections to the source-port race; " +
				"with random-fully none of 30,000 failed (reduction 100 %): mitigated.",
		},
		{
			"nineteen hits are none",
			runOf(5, armOf("masquerade", 4, 4, 4, 4, 3), armOf("random-fully", 0, 0, 0, 0, 0)),
			result.Inconclusive, []result.ArmVerdict{result.ArmInconclusive},
			"The hits in masquerade are too few to judge: 19 hits in 30,000 requests (at least 20 are needed), " +
				"so the other arms cannot be judged. The measurements show no reason.",
		},
		{
			"one arm without the race is inconclusive too",
			runOf(4, armOf("masquerade", 0, 0, 0, 0)),
			result.Inconclusive, nil,
			"The race did not occur in masquerade: 0 hits in 24,000 requests. The measurements show no reason.",
		},
		{
			"failures of another cause are not the race",
			runOf(4, mixedArm("masquerade", 1, 600), mixedArm("random-fully", 0, 0)),
			result.Inconclusive, []result.ArmVerdict{result.ArmInconclusive},
			"The hits in masquerade are too few to judge: 1 hit in 6,000 requests (at least 20 are needed), " +
				"so the other arms cannot be judged; 600 requests failed for other reasons. The measurements show no reason.",
		},
		{
			"an interrupted run is inconclusive and says what it saw",
			interruptedRun(runOf(8, armOf("masquerade", race...), armOf("random", race[:7]...), armOf("random-fully"))),
			result.Inconclusive, []result.ArmVerdict{result.NoDifference, result.Undecided},
			"The run ended early, after 15 of 24 trials: interrupted. " +
				"So far masquerade loses 11.2 % of connections to the source-port race; " +
				"with random 10.8 % fail: no difference shown (p = 1); no trial of random-fully.",
		},
		{
			"an arm without a trial is not compared, and does not raise the p of others",
			interruptedRun(runOf(8, armOf("masquerade", race[:5]...), armOf("random", race[:5]...), armOf("random-fully"))),
			result.Inconclusive, []result.ArmVerdict{result.NoDifference, result.Undecided},
			"The run ended early, after 10 of 24 trials: interrupted. " +
				"So far masquerade loses 11.5 % of connections to the source-port race; " +
				"with random 11.5 % fail: no difference shown (p = 1); no trial of random-fully.",
		},
		{
			"an interrupted run may not have seen the race",
			interruptedRun(runOf(4, armOf("masquerade", 3), armOf("random-fully", 0))),
			result.Inconclusive, []result.ArmVerdict{result.ArmInconclusive},
			"The run ended early, after 2 of 8 trials: interrupted. " +
				"So far the hits in masquerade are too few to judge: 3 hits in 6,000 requests (at least 20 are needed), " +
				"so the other arms cannot be judged.",
		},
		{
			"an interrupted run may have no trial of its baseline",
			interruptedRun(runOf(4, armOf("masquerade"), armOf("random-fully", 0))),
			result.Inconclusive, []result.ArmVerdict{result.ArmInconclusive},
			"The run ended early, after 1 of 8 trials: interrupted. " +
				"So far the baseline, masquerade, has no trial, so the other arms cannot be judged.",
		},
		{
			"an interrupted run may have no trial at all",
			interruptedRun(runOf(4, armOf("masquerade"), armOf("random-fully"))),
			result.Inconclusive, []result.ArmVerdict{result.ArmInconclusive},
			"The run ended early, before a trial was finished: interrupted.",
		},
		{
			"a trial that sent nothing is none",
			runOf(8, armOf("masquerade", race...), result.Arm{Name: "random", Trials: []result.Trial{{Round: 1}}}),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"masquerade loses 11.2 % of connections to the source-port race; no trial of random.",
		},
		{
			"a result without an arm is inconclusive",
			runOf(4),
			result.Inconclusive, nil,
			"No trial was run.",
		},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			judgeAndDescribe(tc.in)
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

// The failure rate is the median trial with its interval.
func TestFailureRate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		failed []int
		want   string
	}{
		{nil, "0 %, no interval, trials 0 % to 0 %"},
		{[]int{600}, "10.0 %, no interval, trials 10.0 % to 10.0 %"},
		{[]int{1200, 600, 0}, "10.0 %, no interval, trials 0 % to 20.0 %"},
		{[]int{1200, 600, 0, 1200}, "15.0 %, no interval, trials 0 % to 20.0 %"},
		{[]int{5, 4, 3, 2, 1}, "0.05 %, no interval, trials 0.02 % to 0.08 %"},
		{[]int{60, 50, 40, 30, 20, 10}, "0.58 %, interval 0.17 % to 1.00 %, trials 0.17 % to 1.00 %"},
		{[]int{80, 70, 60, 50, 40, 30, 20, 10}, "0.75 %, interval 0.17 % to 1.17 %, trials 0.17 % to 1.33 %"},
	} {
		r := runOf(4, armOf("masquerade", tc.failed...))
		judgeAndDescribe(r)
		s := r.Arms[0].FailureRate
		got := format.Percent(s.Median) + ", no interval"
		if s.Low != nil {
			got = fmt.Sprintf("%s, interval %s to %s", format.Percent(s.Median), format.Percent(*s.Low), format.Percent(*s.High))
		}
		got += fmt.Sprintf(", trials %s to %s", format.Percent(s.Lowest), format.Percent(s.Highest))
		if got != tc.want {
			t.Errorf("trials of %d failures: got %s, want %s", tc.failed, got, tc.want)
		}
	}
}

// A latency is that of the trials in which a request succeeded.
func TestLatency(t *testing.T) {
	t.Parallel()
	a := armOf("masquerade", 0, 0, perTrial)
	a.Trials[0].Latency = result.Latency{P50: 60, P99: 200}
	a.Trials[1].Latency = result.Latency{P50: 70, P99: 210}
	r := runOf(3, a)
	judgeAndDescribe(r)
	if p50, p99 := r.Arms[0].LatencyP50, r.Arms[0].LatencyP99; p50.Median != 65 || p50.Lowest != 60 || p99.Median != 205 || p99.Highest != 210 {
		t.Errorf("got %+v, %+v", p50, p99)
	}
}

// A latency changes by a share of the baseline's.
func TestLatencyChange(t *testing.T) {
	t.Parallel()
	baseline, slower := armOf("masquerade", repeatTrial(8, 700)...), armOf("slower", repeatTrial(8, 700)...)
	for i := range 8 {
		baseline.Trials[i].Latency = result.Latency{P50: 100, P99: int64(200 + i)}
		slower.Trials[i].Latency = result.Latency{P50: 110, P99: int64(200 + i)}
	}
	r := runOf(8, baseline, slower)
	judgeAndDescribe(r)
	p50, p99 := r.Comparisons[0].Latency[0], r.Comparisons[0].Latency[1]
	texts := func(c result.LatencyChange) string {
		return format.Signed(*c.Estimate) + ", " + format.FromTo(c.Low, c.High, format.Signed)
	}
	if got := texts(p50); got != "+10.0 %, +10.0 %" || *p50.PHolm >= result.Alpha {
		t.Errorf("got %s, p %v", got, *p50.PHolm)
	}
	if got := texts(p99); got != "0 %, -3.38 to +3.50 %" || *p99.PHolm < result.Alpha {
		t.Errorf("got %s, p %v", got, *p99.PHolm)
	}
}

// There is no reduction where there is nothing to reduce.
func TestNoReduction(t *testing.T) {
	t.Parallel()
	r := runOf(4, armOf("masquerade", 0, 0), armOf("random-fully", 0, 0))
	judgeAndDescribe(r)
	if c := r.Comparisons[0]; c.Reduction.Estimate != nil {
		t.Errorf("got %v", *c.Reduction.Estimate)
	}
	r = runOf(4, armOf("masquerade", 600, 600), armOf("random-fully"))
	judgeAndDescribe(r)
	if c := r.Comparisons[0]; c.Reduction.Estimate != nil {
		t.Errorf("an arm without a trial: got %v", *c.Reduction.Estimate)
	}
}

// No reduction is 0 and not -0.
func TestReductionZero(t *testing.T) {
	t.Parallel()
	r := runOf(8, armOf("masquerade", lossyTrials...), armOf("random", lossyTrials...))
	judgeAndDescribe(r)
	if e := *r.Comparisons[0].Reduction.Estimate; e != 0 || math.Signbit(e) {
		t.Errorf("got %v", e)
	}
}

// Judging again changes nothing.
func TestJudgeAgain(t *testing.T) {
	t.Parallel()
	judged := func(times int) *result.Result {
		r := runOf(2, mixedArm("masquerade", 600, 100), armOf("random-fully", 0, 0))
		r.WarningValues = []result.Warning{{Code: result.NoSharedMemory, Cause: "no memfd"}}
		r.Expected = []result.Expectation{{Arm: "masquerade", Race: result.Reproduced}}
		for range times {
			judgeAndDescribe(r)
		}
		return r
	}
	if once, thrice := judged(1), judged(3); !reflect.DeepEqual(once, thrice) {
		t.Errorf("once:\n%+v\nthrice:\n%+v", once, thrice)
	}
}

// A warning that is repeated after another trial has the new figures, once.
func TestJudgeMoreTrials(t *testing.T) {
	t.Parallel()
	a := withForeignTraffic(armOf("masquerade", lossyTrials...))
	r := runOf(8, a)
	var counts []int
	for _, trials := range []int{5, 8} {
		r.Arms[0].Trials = a.Trials[:trials]
		Judge(r)
		for _, w := range r.WarningValues {
			if w.Code == result.ForeignTraffic {
				counts = append(counts, w.Count)
			}
		}
	}
	if !slices.Equal(counts, []int{1, 2}) {
		t.Errorf("foreign traffic in %v trials, want 1 and then 2", counts)
	}
}

// judgeAndDescribe judges a result and writes its sentences, as a run does.
func judgeAndDescribe(r *result.Result) {
	Judge(r)
	wording.DescribeResult(r)
}

func runOf(rounds int, arms ...result.Arm) *result.Result {
	return &result.Result{Scenario: result.ScenarioSummary{Rounds: rounds}, Arms: arms}
}

func interruptedRun(r *result.Result) *result.Result {
	r.Incomplete = "interrupted"
	return r
}

// armOf returns an arm with a trial for each number of failures, all lost to the race.
func armOf(name string, failed ...int) result.Arm {
	a := result.Arm{Name: name}
	for i, n := range failed {
		a.Trials = append(a.Trials, result.Trial{
			Round: i + 1, Requests: perTrial, Failed: n,
			Causes: map[string]int{result.SNATRace: n},
		})
	}
	return a
}

// mixedArm returns an arm with one trial with failures of two causes.
func mixedArm(name string, race, unexplained int) result.Arm {
	a := armOf(name, race)
	a.Trials[0].Failed += unexplained
	a.Trials[0].Causes[result.Unexplained] = unexplained
	return a
}

// repeatTrial returns the failures of trials that all have the same number.
func repeatTrial(trials, failed int) []int { return slices.Repeat([]int{failed}, trials) }
