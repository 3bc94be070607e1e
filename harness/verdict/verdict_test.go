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
			"masquerade lost 5,280 of 48,000 connections (11.0 %) to the source-port race; " +
				"with random-fully none of 48,000 failed: mitigated, at least 99.7 % of the failures are gone (5,280 hits in masquerade).",
		},
		{
			"an arm that may leave more than 1 % is reduced",
			runOf(8, armOf("masquerade", 700, 700, 700, 700, 700, 700, 600, 800), armOf("random-fully", 7, 7, 7, 7, 7, 7, 0, 9)),
			result.Pass, []result.ArmVerdict{result.Reduced},
			"masquerade lost 5,600 of 48,000 connections (11.7 %) to the source-port race; " +
				"with random-fully 51 of 48,000 failed: reduced, at least 97.9 % of the failures are gone (5,600 hits in masquerade; about 140,000 are needed to say 99 %).",
		},
		{
			"failures of a single trial are counted",
			runOf(8, armOf("masquerade", race...), armOf("random-fully", 0, 0, 0, 9, 0, 0, 0, 0)),
			result.Pass, []result.ArmVerdict{result.Mitigated},
			"masquerade lost 5,280 of 48,000 connections (11.0 %) to the source-port race; " +
				"with random-fully 9 of 48,000 failed: mitigated, at least 99.5 % of the failures are gone (5,280 hits in masquerade).",
		},
		{
			"an arm that fails less often is reduced",
			runOf(8, armOf("masquerade", race...), armOf("random", half...)),
			result.Pass, []result.ArmVerdict{result.Reduced},
			"masquerade lost 5,280 of 48,000 connections (11.0 %) to the source-port race; " +
				"with random 2,579 of 48,000 failed: reduced, at least 15 % of the failures are gone (5,280 hits in masquerade).",
		},
		{
			"trials that differ too much leave the interval too wide",
			runOf(8, armOf("masquerade", race...), armOf("random", 290, 260, 310, 600, 300, 300, 300, 320)),
			result.Pass, []result.ArmVerdict{result.Undecided},
			"masquerade lost 5,280 of 48,000 connections (11.0 %) to the source-port race; " +
				"with random 2,680 of 48,000 failed: undecided, 25 to 103 % of the failures may remain (5,280 hits in masquerade; the trials differ by more than chance explains, so it takes more rounds to decide).",
		},
		{
			"what chance explains is undecided",
			runOf(8, armOf("masquerade", race...), armOf("random", 290, 620, 310, 600, 680, 300, 720, 320)),
			result.Pass, []result.ArmVerdict{result.Undecided},
			"masquerade lost 5,280 of 48,000 connections (11.0 %) to the source-port race; " +
				"with random 3,840 of 48,000 failed: undecided, 31 to 167 % of the failures may remain (5,280 hits in masquerade; the trials differ by more than chance explains, so it takes more rounds to decide).",
		},
		{
			"an arm that fails more often is worse",
			runOf(8, armOf("masquerade", race...), armOf("wide", 1900, 1880, 1810, 1950, 1910, 1890, 1870, 1930)),
			result.Pass, []result.ArmVerdict{result.Worse},
			"masquerade lost 5,280 of 48,000 connections (11.0 %) to the source-port race; " +
				"with wide 15,140 of 48,000 failed: worse, at least 2.0 times as many as in masquerade.",
		},
		{
			"one arm is compared with nothing",
			runOf(8, armOf("masquerade", race...)),
			result.Pass, nil,
			"masquerade lost 5,280 of 48,000 connections (11.0 %) to the source-port race.",
		},
		{
			"each of three arms has its clause",
			runOf(8, armOf("masquerade", race...), armOf("random", none...), armOf("again", race...)),
			result.Pass, []result.ArmVerdict{result.Mitigated, result.Undecided},
			"masquerade lost 5,280 of 48,000 connections (11.0 %) to the source-port race; " +
				"with random none of 48,000 failed: mitigated, at least 99.7 % of the failures are gone (5,280 hits in masquerade); " +
				"with again 5,280 of 48,000 failed: undecided, 63 to 159 % of the failures may remain (5,280 hits in masquerade; the trials differ by more than chance explains, so it takes more rounds to decide).",
		},
		{
			"many arms are named by verdict",
			runOf(8, armOf("m", race...), armOf("a", none...), armOf("b", 1900, 1880, 1810, 1950, 1910, 1890, 1870, 1930),
				armOf("c", none...), armOf("d", few...), armOf("e", race...)),
			result.Pass, []result.ArmVerdict{result.Mitigated, result.Worse, result.Mitigated, result.Reduced, result.Undecided},
			"m lost 5,280 of 48,000 connections (11.0 %) to the source-port race; mitigated with a, c; reduced with d (at least 82 % of the failures are gone); worse with b; undecided with e.",
		},
		{
			"four trials cannot show a difference, however far they lie apart",
			runOf(4, armOf("masquerade", 700, 640, 500, 800), armOf("random-fully", 0, 0, 0, 0)),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"masquerade lost 2,640 of 24,000 connections (11.0 %) to the source-port race; " +
				"with random-fully none of 24,000 failed: undecided, 4 trials are too few to show a difference; at least 7 of each arm are needed.",
		},
		{
			"seven can",
			runOf(7, armOf("masquerade", race[:7]...), armOf("random-fully", none[:7]...)),
			result.Pass, []result.ArmVerdict{result.Mitigated},
			"masquerade lost 4,490 of 42,000 connections (10.7 %) to the source-port race; " +
				"with random-fully none of 42,000 failed: mitigated, at least 99.7 % of the failures are gone (4,490 hits in masquerade).",
		},
		{
			"seven cannot for two arms",
			runOf(7, armOf("masquerade", race[:7]...), armOf("random", none[:7]...), armOf("random-fully", none[:7]...)),
			result.Inconclusive, []result.ArmVerdict{result.Undecided, result.Undecided},
			"masquerade lost 4,490 of 42,000 connections (10.7 %) to the source-port race; " +
				"with random none of 42,000 failed: undecided, 7 trials are too few to show a difference; at least 8 of each arm are needed; " +
				"with random-fully none of 42,000 failed: undecided, 7 trials are too few to show a difference; at least 8 of each arm are needed.",
		},
		{
			"failures of another cause are not put down to the race",
			runOf(8, mixedArm("masquerade", 600, 100), armOf("random-fully", 0)),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"masquerade lost 700 of 6,000 connections (11.7 %), 600 of them to the source-port race; " +
				"with random-fully none of 6,000 failed: undecided, 1 trial is too few to show a difference; at least 7 of each arm are needed.",
		},
		{
			"a baseline that lost nothing in most trials can hide any mitigation",
			runOf(8, armOf("masquerade", 9, 9, 9, 0, 0, 0, 0, 0), armOf("random-fully", none...)),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"masquerade lost 27 of 48,000 connections (0.06 %) to the source-port race; " +
				"with random-fully none of 48,000 failed: undecided, any share of the failures may remain (27 hits in masquerade; the trials differ by more than chance explains, so it takes more rounds to decide).",
		},
		{
			"an arm can be worse than a baseline that loses nothing",
			runOf(7, armOf("random-fully", none[:7]...), armOf("masquerade", race[:7]...)),
			result.Pass, []result.ArmVerdict{result.Worse},
			"The race did not occur in random-fully: 0 hits in 42,000 requests; " +
				"with masquerade 4,490 of 42,000 failed: worse, at least 590 times as many as in random-fully.",
		},
		{
			"no arm mitigates what the baseline does not show",
			runOf(8, armOf("random-fully", none...), armOf("masquerade", race...), armOf("split", none...)),
			result.Pass, []result.ArmVerdict{result.Worse, result.Undecided},
			"The race did not occur in random-fully: 0 hits in 48,000 requests; " +
				"with masquerade 5,280 of 48,000 failed: worse, at least 694 times as many as in random-fully; " +
				"with split none of 48,000 failed: undecided, the race was not hit in random-fully often enough to show anything.",
		},
		{
			"an arm may be worse than a baseline that loses nothing, and too few trials show it",
			runOf(3, armOf("random-fully", none[:3]...), armOf("masquerade", race[:3]...)),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"The race did not occur in random-fully: 0 hits in 18,000 requests; " +
				"with masquerade 1,840 of 18,000 failed: undecided, 3 trials are too few to show a difference; at least 7 of each arm are needed.",
		},
		{
			"a race in fewer than half of the trials says little about an arm without a control",
			runOf(20, armOf("masquerade", 5, 5, 5, 5, 5, 5, 5, 5, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), armOf("random-fully", make([]int, 20)...)),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"masquerade lost 45 of 120,000 connections (0.04 %) to the source-port race; " +
				"with random-fully none of 120,000 failed: undecided, 0 to 75 % of the failures may remain (45 hits in masquerade; the trials differ by more than chance explains, so it takes more rounds to decide).",
		},
		{
			"an arm of which ranks and sums say opposite things is undecided",
			runOf(40, armOf("masquerade", append(repeatTrial(19, 300), repeatTrial(21, 100)...)...), armOf("odd", append(repeatTrial(21, 200), repeatTrial(19, 0)...)...)),
			result.Pass, []result.ArmVerdict{result.Undecided},
			"masquerade lost 7,800 of 240,000 connections (3.25 %) to the source-port race; " +
				"with odd 4,200 of 240,000 failed: undecided, 29 to 100 % of the failures may remain (7,800 hits in masquerade; the trials differ by more than chance explains, so it takes more rounds to decide).",
		},
		{
			"twenty hits, none in the arm",
			runOf(5, withControl(armOf("masquerade", 4, 4, 4, 4, 4), 4, 4, 4, 4, 4), withControl(armOf("random-fully", 0, 0, 0, 0, 0), 4, 4, 4, 4, 4)),
			result.Pass, []result.ArmVerdict{result.Reduced},
			"masquerade lost 20 of 30,000 connections (0.07 %) to the source-port race; " +
				"with random-fully none of 30,000 failed: reduced, at least 53 % of the failures are gone (20 hits in the control; 764 are needed to say 99 %).",
		},
		{
			"ten hits show no difference",
			runOf(5, withControl(armOf("masquerade", 4, 4, 4, 4, 4), 4, 4, 4, 4, 4), withControl(armOf("random-fully", 0, 0, 0, 0, 0), 2, 2, 2, 2, 2)),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"masquerade lost 20 of 30,000 connections (0.07 %) to the source-port race; " +
				"with random-fully none of 30,000 failed: undecided, 10 failures in all are too few to show a difference; at least 11 are needed.",
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
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"masquerade lost 601 of 6,000 connections (10.0 %), 1 of them to the source-port race; " +
				"with random-fully none of 6,000 failed: undecided, 1 trial is too few to show a difference; at least 7 of each arm are needed. Likely reason: there were few requests.",
		},
		{
			"an interrupted run is inconclusive and says what it saw",
			interruptedRun(runOf(8, armOf("masquerade", race...), armOf("random", race[:7]...), armOf("random-fully"))),
			result.Inconclusive, []result.ArmVerdict{result.Undecided, result.Undecided},
			"The run ended early, after 15 of 24 trials: interrupted. So far masquerade lost 5,280 of 48,000 connections (11.0 %) to the source-port race; " +
				"with random 4,490 of 42,000 failed: undecided, 57 to 164 % of the failures may remain (5,280 hits in masquerade; the trials differ by more than chance explains, so it takes more rounds to decide); " +
				"no trial of random-fully.",
		},
		{
			"an arm without a trial is not compared, and does not raise the p of others",
			interruptedRun(runOf(8, armOf("masquerade", race[:5]...), armOf("random", race[:5]...), armOf("random-fully"))),
			result.Inconclusive, []result.ArmVerdict{result.Undecided, result.Undecided},
			"The run ended early, after 10 of 24 trials: interrupted. So far masquerade lost 3,330 of 30,000 connections (11.1 %) to the source-port race; " +
				"with random 3,330 of 30,000 failed: undecided, 5 trials are too few to show a difference; at least 7 of each arm are needed; " +
				"no trial of random-fully.",
		},
		{
			"an interrupted run may not have seen the race",
			interruptedRun(runOf(4, armOf("masquerade", 3), armOf("random-fully", 0))),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"The run ended early, after 2 of 8 trials: interrupted. So far masquerade lost 3 of 6,000 connections (0.05 %) to the source-port race; " +
				"with random-fully none of 6,000 failed: undecided, 1 trial is too few to show a difference; at least 7 of each arm are needed.",
		},
		{
			"an interrupted run may have no trial of its baseline",
			interruptedRun(runOf(4, armOf("masquerade"), armOf("random-fully", 0))),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"The run ended early, after 1 of 8 trials: interrupted. So far the baseline, masquerade, has no trial; " +
				"with random-fully none of 6,000 failed: undecided, masquerade has no trial.",
		},
		{
			"an interrupted run may have no trial at all",
			interruptedRun(runOf(4, armOf("masquerade"), armOf("random-fully"))),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"The run ended early, before a trial was finished: interrupted.",
		},
		{
			"a trial that sent nothing is none",
			runOf(8, armOf("masquerade", race...), result.Arm{Name: "random", Trials: []result.Trial{{Round: 1}}}),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"masquerade lost 5,280 of 48,000 connections (11.0 %) to the source-port race; " +
				"no trial of random.",
		},
		{
			"an arm is compared with its own control, whatever the baseline's trials lost",
			runOf(3, withControl(armOf("masquerade", 900, 10, 20), 890, 12, 20), withControl(armOf("random-fully", 0, 0, 0), 30, 2000, 800)),
			result.Pass, []result.ArmVerdict{result.Mitigated},
			"masquerade lost 930 of 18,000 connections (5.17 %) to the source-port race; " +
				"with random-fully none of 18,000 failed: mitigated, at least 99.7 % of the failures are gone (2,830 hits in the control).",
		},
		{
			"one trial is enough if its control has the hits",
			runOf(1, withControl(armOf("masquerade", 900), 890), withControl(armOf("random-fully", 0), 1000)),
			result.Pass, []result.ArmVerdict{result.Mitigated},
			"masquerade lost 900 of 6,000 connections (15.0 %) to the source-port race; " +
				"with random-fully none of 6,000 failed: mitigated, at least 99.2 % of the failures are gone (1,000 hits in the control).",
		},
		{
			"an arm that is equal to its control",
			runOf(8, withControl(armOf("masquerade", race...), race...), withControl(armOf("again", race...), race...)),
			result.Pass, []result.ArmVerdict{result.Equal},
			"masquerade lost 5,280 of 48,000 connections (11.0 %) to the source-port race; " +
				"with again 5,280 of 48,000 failed: equal, 93.7 to 107 % of the failures remain (5,280 hits in the control).",
		},
		{
			"an arm that loses more than its control is worse, and no number of its hits is left out",
			runOf(3, withControl(armOf("masquerade", 900, 10, 20), 890, 12, 20), withControl(armOf("wide", 10, 20, 10), 0, 0, 0)),
			result.Pass, []result.ArmVerdict{result.Worse},
			"masquerade lost 930 of 18,000 connections (5.17 %) to the source-port race; " +
				"with wide 40 of 18,000 failed: worse, at least 4.7 times as many as in the control.",
		},
		{
			"a control that differs from the baseline allows no verdict",
			runOf(8, withControl(armOf("masquerade", repeatTrial(8, 1400)...), race...), withControl(armOf("random-fully", none...), race...)),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"masquerade lost 11,200 of 48,000 connections (23.3 %) to the source-port race; " +
				"with random-fully none of 48,000 failed: undecided, its control is no measure, since the baseline and its own control differ.",
		},
		{
			"a control that differs a little is divided by",
			runOf(8, withControl(armOf("masquerade", repeatTrial(8, 660)...), repeatTrial(8, 700)...), withControl(armOf("half", repeatTrial(8, 330)...), repeatTrial(8, 700)...)),
			result.Pass, []result.ArmVerdict{result.Reduced},
			"masquerade lost 5,280 of 48,000 connections (11.0 %) to the source-port race; " +
				"with half 2,640 of 48,000 failed: reduced, at least 44 % of the failures are gone (5,600 hits in the control).",
		},
		{
			"an arm with a sysctl of its own is compared by trials",
			runOf(8, withControl(armOf("masquerade", race...), race...), withSysctl(withControl(armOf("tuned", none...), none...))),
			result.Pass, []result.ArmVerdict{result.Mitigated},
			"masquerade lost 5,280 of 48,000 connections (11.0 %) to the source-port race; " +
				"with tuned none of 48,000 failed: mitigated, at least 99.7 % of the failures are gone (5,280 hits in masquerade).",
		},
		{
			"a baseline that is no plain masquerade is compared with by trials",
			runOf(8, drawing(withControl(armOf("random-fully", none...), race...)), withControl(armOf("masquerade", race...), race...)),
			result.Pass, []result.ArmVerdict{result.Worse},
			"The race did not occur in random-fully: 0 hits in 48,000 requests, and 5,280 in 48,000 of its control; " +
				"with masquerade 5,280 of 48,000 failed: worse, at least 694 times as many as in random-fully.",
		},
		{
			"neither an arm nor its control lost anything",
			runOf(3, withControl(armOf("masquerade", 0, 0, 0), 0, 0, 0), withControl(armOf("random-fully", 0, 0, 0), 0, 0, 0)),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"The race did not occur in masquerade: 0 hits in 18,000 requests, and 0 in 18,000 of its control; " +
				"with random-fully none of 18,000 failed: undecided, the race was not hit in the control often enough to show anything. Likely reason: there were few requests.",
		},
		{
			"no race seen is not a race mitigated",
			runOf(1, otherCause(withControl(armOf("masquerade", 900), 900)), otherCause(withControl(armOf("random-fully", 0), 900))),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"The race did not occur in masquerade: 0 hits in 6,000 requests, and 0 in 6,000 of its control; 900 requests failed for other reasons; " +
				"with random-fully none of 6,000 failed: undecided, the race was not hit in the control often enough to show anything. Likely reason: there were few requests.",
		},
		{
			"a run that ended without its hits answers by a verdict only",
			withUntil(1000, runOf(5, withControl(armOf("masquerade", repeatTrial(5, 20)...), repeatTrial(5, 20)...), withControl(armOf("random", repeatTrial(5, 15)...), repeatTrial(5, 20)...))),
			result.Inconclusive, []result.ArmVerdict{result.Undecided},
			"masquerade lost 100 of 30,000 connections (0.33 %) to the source-port race; " +
				"with random 75 of 30,000 failed: undecided, 44 to 125 % of the failures may remain (100 hits in the control; about 770 are needed to decide).",
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
	if got := texts(p50); got != "+10.00 %, +8.96 to +11.1 %" || *p50.PHolm >= result.Alpha {
		t.Errorf("got %s, p %v", got, *p50.PHolm)
	}
	if got := texts(p99); got != "0 %, -1.94 to +1.98 %" || *p99.PHolm < result.Alpha {
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

// withControl gives the trials of an arm a control of as many requests, which lost that
// many to the race.
func withControl(a result.Arm, lost ...int) result.Arm {
	for i, n := range lost {
		a.Trials[i].Control = &result.Control{Requests: perTrial, Failed: n, Causes: map[string]int{result.SNATRace: n}}
		a.Trials[i].NoHits = n+a.Trials[i].Failed == 0
	}
	return a
}

func withSysctl(a result.Arm) result.Arm {
	a.SettingValues = append(a.SettingValues, result.Setting{Part: result.PartRouter, Key: "net.netfilter.nf_conntrack_max", Value: "4096"})
	return a
}

func drawing(a result.Arm) result.Arm {
	a.Options = &result.RuleOptions{RandomFully: true}
	return a
}

func withUntil(hits int, r *result.Result) *result.Result {
	r.Scenario.Until = &result.Until{Hits: hits}
	return r
}

// otherCause makes all failures of an arm and its control those of another cause.
func otherCause(a result.Arm) result.Arm {
	for i := range a.Trials {
		t := &a.Trials[i]
		t.Causes, t.Control.Causes = map[string]int{result.CauseRefused: t.Failed}, map[string]int{result.CauseRefused: t.Control.Failed}
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
