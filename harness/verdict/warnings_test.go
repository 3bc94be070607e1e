package verdict

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/result"
	"snatlab/harness/wording"
)

func TestWarnings(t *testing.T) {
	t.Parallel()
	const (
		swings    = " few: the rate of one arm varies by a factor of 50 and more between trials of a machine that changes its speed"
		byTrials  = " few for an arm that has no control, where each trial is one observation: 12 or more make the interval narrow enough to use"
		undecided = "not triggered: "
	)
	rising, falling := []int{100, 110, 120, 130, 140, 150, 160, 170}, []int{170, 160, 150, 140, 130, 120, 110, 100}
	for _, tc := range []struct {
		claim string
		in    *result.Result
		want  []string
	}{
		{"twelve rounds are enough without a control", runOf(12, armOf("masquerade", lossyTrials...), armOf("random", lossyTrials...)), nil},
		{"eight rounds without a control are few", runOf(8, armOf("masquerade", lossyTrials...), armOf("random", lossyTrials...)), []string{"8 rounds are" + byTrials}},
		{"six rounds without a control have no verdict", runOf(6, armOf("masquerade", lossyTrials[:6]...), armOf("random", lossyTrials[:6]...)),
			[]string{"6 rounds cannot show a difference of an arm that has no control, at p < 0.001: at least 7 are needed"}},
		{"many arms take more rounds", runOf(8, armOf("m", lossyTrials...), armOf("a"), armOf("b"), armOf("c"), armOf("d"), armOf("e"), armOf("f"), armOf("g"), armOf("h")),
			[]string{"8 rounds cannot show a difference of an arm that has no control, at p < 0.001: at least 9 are needed"}},
		{"rounds with a control may be few", runOf(3, controlled(armOf("masquerade", lossyTrials[:3]...)), controlled(armOf("random", 0, 0, 0))), nil},
		{"two rounds show little of the scatter", runOf(2, controlled(armOf("masquerade", lossyTrials[:2]...)), controlled(armOf("random", 0, 0))),
			[]string{"2 rounds hardly show how much trials differ from each other: the intervals rest on the counts (3 rounds or more)"}},
		{"a run that ended without its hits", withUntil(1000, runOf(3, controlled(armOf("masquerade", lossyTrials[:3]...)), withControl(armOf("random", 0, 0, 0), 300, 200, 5))),
			[]string{"random: the run ended at its bound of rounds or time with 505 hits in its control; it was to go on for 1,000"}},
		{"a control that is no measure", runOf(8, controlled(armOf("masquerade", repeatTrial(8, 1400)...)), controlled(armOf("random", repeatTrial(8, 0)...))),
			[]string{"no verdict about an arm with a control: arm and control differ under the same rule; masquerade lost 11,200 of 48,000, its own control, which passes the same rule, 5,280 of 48,000: " +
				"a ratio of 2.12 (99.9 % interval 1.53 to 2.94), and it must not lie entirely outside 0.9 to 1.1"}},
		{"a single arm has no verdict to miss", runOf(4, armOf("masquerade", 700)), nil},
		{"two rounds are few for its rate", runOf(2, armOf("masquerade", 700)), []string{"2 rounds are" + swings}},
		{"one round is few", runOf(1, armOf("masquerade", 700)), []string{"1 round is" + swings}},

		{"a machine that changes its state", runOf(12, armOf("masquerade", 1377, 1480, 1428, 9, 8, 6, 1400, 5), armOf("random", lossyTrials...)),
			[]string{"masquerade: its trials lost from 0.08 % to 24.7 % of their requests: the machine changed its state during the run, and what remains under an arm without a control depends on when its trials ran"}},
		{"a machine that changes its state, with a control", runOf(8, withControl(armOf("masquerade", 1377, 1480, 1428, 9, 8, 6, 1400, 5), 1377, 1480, 1428, 9, 8, 6, 1400, 5)), nil},
		{"a baseline that gets worse", runOf(8, armOf("masquerade", rising...)),
			[]string{"masquerade: the failure rate rose in the course of the run (Mann-Kendall, exact p < 0.0001); " +
				"interleaved arms drift together, which hides differences, and the share that remains depends on when trials ran"}},
		{"a baseline that gets better", runOf(8, armOf("masquerade", falling...)),
			[]string{"masquerade: the failure rate fell in the course of the run (Mann-Kendall, exact p < 0.0001); " +
				"interleaved arms drift together, which hides differences, and the share that remains depends on when trials ran"}},
		{"a trend that chance may explain", runOf(8, armOf("masquerade", 100, 110, 120, 90, 140, 130, 160, 150)), nil}, // p = 0.031
		{"another arm may drift", runOf(12, armOf("masquerade", lossyTrials...), armOf("random", rising...)), nil},

		{"a busy machine", onMachine(result.Env{CPUsOnline: 2, Load: &[3]float64{2, 0, 0}}, runOf(8, armOf("masquerade", lossyTrials...))),
			[]string{"the machine was busy: a load average of 2.00 on 2 CPUs before the run; clients that have to wait for a CPU do not meet, so an idle machine loses more and decides sooner, and latencies are too high"}},
		{"a machine with a CPU to spare", onMachine(result.Env{CPUsOnline: 2, Load: &[3]float64{1.9, 8, 8}}, runOf(8, armOf("masquerade", lossyTrials...))), nil},
		{"a load of which the CPUs are not known", onMachine(result.Env{Load: &[3]float64{9, 9, 9}}, runOf(8, armOf("masquerade", lossyTrials...))), nil},
		{"a widened window", onMachine(result.Env{Widened: 5000}, runOf(8, armOf("masquerade", lossyTrials...))), nil},
		{"a window that could not be widened", onMachine(result.Env{NotWidened: "no such file or directory"}, runOf(8, armOf("masquerade", lossyTrials...))),
			[]string{"the kernel cannot have the idle rules that widen the window of the race by default: no such file or directory; fewer connections are lost, so the run takes longer to decide"}},

		{"other traffic in a shared table", runOf(8, withForeignTraffic(armOf("masquerade", lossyTrials...))),
			[]string{"masquerade: other traffic was in the conntrack table in 2 of 8 trials, and may account for 4 failed insertions and 1 drop"}},
		{"unexplained failures are named by trial", runOf(12, mixedArm("masquerade", 28, 4), mixedArm("random", 0, 1)),
			[]string{
				"masquerade, round 1: 4 of 32 failures are unexplained",
				"random, round 1: 1 of 1 failure is unexplained",
			}},
		{"more failed insertions than losses", runOf(8, withInsertFailed(30, 0, armOf("masquerade", 25))),
			[]string{"masquerade, round 1: 30 failed insertions for 25 requests without an answer: other traffic is in the counters, and snat_race may be too high"}},
		{"failed insertions that are known to be other traffic's", runOf(8, withInsertFailed(30, 5, armOf("masquerade", 25))),
			[]string{"masquerade: other traffic was in the conntrack table in 1 of 1 trial, and may account for 5 failed insertions and 0 drops"}},

		{"no race, for one client", withScenario(result.ScenarioSummary{Rounds: 8, Clients: 1}, runOf(8, armOf("masquerade", repeatTrial(8, 0)...))),
			[]string{undecided + "there is only one client, and it takes two to meet (clients: 2 or more)"}},
		{"no race, by the clock", withScenario(result.ScenarioSummary{Rounds: 8, Clients: 2, Pattern: result.Lockstep, Sync: result.SyncClock}, runOf(8, armOf("masquerade", repeatTrial(8, 0)...))),
			[]string{undecided + "the clients kept step by the clock, which misses the race on a busy machine (sync: barrier does not)"}},
		{"a race by the clock needs no reason", withScenario(result.ScenarioSummary{Rounds: 8, Clients: 2, Pattern: result.Lockstep, Sync: result.SyncClock}, runOf(8, armOf("masquerade", lossyTrials...))), nil},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			judgeAndDescribe(tc.in)
			if !slices.Equal(tc.in.Warnings, tc.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(tc.in.Warnings, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}

// A race that did not occur has likely reasons.
func TestNoRaceReasons(t *testing.T) {
	t.Parallel()
	const none = "The race did not occur in m: 0 hits in 48,000 requests."
	quiet := func() *result.Result {
		return withScenario(result.ScenarioSummary{Rounds: 8, Clients: 2, Pattern: result.Lockstep, Sync: result.SyncBarrier}, runOf(8, armOf("m", repeatTrial(8, 0)...)))
	}
	for _, tc := range []struct {
		claim  string
		change func(*result.Result)
		want   string
	}{
		{"nothing", func(r *result.Result) {}, none + " The measurements show no reason."},
		{"one client", func(r *result.Result) { r.Scenario.Clients = 1 }, none + " Likely reason: there is only one client."},
		{"ports that are split", func(r *result.Result) {
			r.Arms[0].SettingValues = []result.Setting{{Part: result.PartRouter, Key: "net.x", Value: "1"}, {Part: result.PartClients, Key: result.KeySourcePorts, Value: result.SplitPorts}}
		}, none + " Likely reason: each client has source ports of its own."},
		{"random_fully", func(r *result.Result) { r.Arms[0].Options = &result.RuleOptions{RandomFully: true} },
			none + " Likely reason: the baseline's rule draws ports at random."},
		{"random", func(r *result.Result) { r.Arms[0].Options = &result.RuleOptions{Random: true} },
			none + " Likely reason: the baseline's rule draws ports at random."},
		{"no option", func(r *result.Result) { r.Arms[0].Options = &result.RuleOptions{} }, none + " The measurements show no reason."},
		{"a rule whose text looks like an option", func(r *result.Result) { r.Arms[0].Rule = "-j MASQUERADE --random" },
			none + " The measurements show no reason."},
		{"one CPU", func(r *result.Result) { r.Environment.CPUs = 1 }, none + " Likely reason: the clients have one CPU."},
		{"ephemeral ports", func(r *result.Result) {
			r.Scenario.Pattern, r.Scenario.Sync, r.Environment.Kernel = result.Ephemeral, result.SyncNone, "6.18.44"
		}, none + " Likely reason: the kernel chose the source ports."},
		{"ephemeral ports before 5.0 do meet", func(r *result.Result) {
			r.Scenario.Pattern, r.Scenario.Sync, r.Environment.Kernel = result.Ephemeral, result.SyncNone, "4.19.0-27-amd64"
		}, none + " The measurements show no reason."},
		{"the clock", func(r *result.Result) { r.Scenario.Sync = result.SyncClock }, none + " Likely reason: the clients kept step by the clock."},
		{"a tenth of the slots missed", func(r *result.Result) { r.Arms[0].Trials[3].Slots.Missed = 4801 }, none + " Likely reason: the clients were out of step."},
		{"fewer slots missed", func(r *result.Result) { r.Arms[0].Trials[3].Slots.Missed = 4800 }, none + " The measurements show no reason."},
		{"few requests", func(r *result.Result) {
			r.Arms[0].Trials = r.Arms[0].Trials[:1]
			r.Arms[0].Trials[0].Requests = 1999
		}, "The race did not occur in m: 0 hits in 1,999 requests. Likely reason: there were few requests."},
		{"a run that broke off has few requests for that reason", func(r *result.Result) {
			r.Arms[0].Trials, r.Incomplete = r.Arms[0].Trials[:1], "interrupted"
			r.Arms[0].Trials[0].Requests = 1999
		}, "The run ended early, after 1 of 8 trials: interrupted. So far the race did not occur in m: 0 hits in 1,999 requests."},
		{"two at once", func(r *result.Result) { r.Environment.CPUs, r.Scenario.Clients = 1, 1 },
			none + " Likely reason: there is only one client; the clients have one CPU."},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			r := quiet()
			tc.change(r)
			judgeAndDescribe(r)
			if r.Summary != tc.want || r.Verdict != result.Inconclusive {
				t.Errorf("got %s: %s", r.Verdict, r.Summary)
			}
			if reasons := strings.Count(r.Summary, ";") + strings.Count(r.Summary, "Likely"); len(r.Warnings) != reasons {
				t.Errorf("%d reasons, but the warnings are %q", reasons, r.Warnings)
			}
		})
	}
}

func onMachine(e result.Env, r *result.Result) *result.Result {
	r.Environment = e
	return r
}

func withScenario(s result.ScenarioSummary, r *result.Result) *result.Result {
	r.Scenario = s
	return r
}

// withForeignTraffic adds other traffic to two trials.
func withForeignTraffic(a result.Arm) result.Arm {
	for i := range a.Trials {
		a.Trials[i].Foreign = &result.Foreign{Idle: 1}
	}
	a.Trials[2].Foreign = &result.Foreign{InsertFailed: 1, Drop: 1, Idle: 1}
	a.Trials[5].Foreign = &result.Foreign{InsertFailed: 3, Idle: 1}
	return a
}

// withInsertFailed sets the failed insertions of the first trial, some of them other
// traffic's.
func withInsertFailed(insertFailed, foreign uint64, a result.Arm) result.Arm {
	t := &a.Trials[0]
	t.Failures = map[string]int{result.Timeout: t.Failed}
	t.Conntrack.InsertFailed = insertFailed
	if foreign > 0 {
		t.Foreign = &result.Foreign{InsertFailed: foreign, Idle: 1}
	}
	return a
}

func TestNoRaceInBaseline(t *testing.T) {
	t.Parallel()
	r := runOf(12, armOf("random-fully", repeatTrial(8, 0)...), armOf("masquerade", lossyTrials...))
	r.Arms[0].Options = &result.RuleOptions{RandomFully: true}
	judgeAndDescribe(r)
	if len(r.Warnings) > 0 || strings.Contains(r.Summary, "Likely reason") {
		t.Errorf("%q\n%s", r.Warnings, r.Summary)
	}
}

func TestCheckRounds(t *testing.T) {
	t.Parallel()
	reproduced, unexplained, absent := result.Expectation{Race: result.Reproduced}, result.Expectation{Unexplained: new(0.01)}, result.Expectation{Race: result.Absent}
	reduction, latency := result.Expectation{Reduction: new(0.95)}, result.Expectation{P99: new(0.1)}
	for _, tc := range []struct {
		claim string
		plan  Plan
		want  string
	}{
		{"one_arm", Plan{Rounds: 1, Arms: 1}, ""},
		{"one_round_with_controls", Plan{Rounds: 1, Arms: 6, Expected: []result.Expectation{reduction, absent}}, ""},
		{"two_arms", Plan{Rounds: 6, Arms: 2, ByTrials: 1}, "6 rounds cannot reach a verdict with 1 arm that has no control: use at least 7"},
		{"one_round", Plan{Rounds: 1, Arms: 3, ByTrials: 2}, "1 round cannot reach a verdict with 2 arms that have no control: use at least 8"},
		{"two_arms_just_enough", Plan{Rounds: 7, Arms: 2, ByTrials: 1}, ""},
		{"expectations_of_one_arm_only", Plan{Rounds: 1, Arms: 6, ByTrials: 5, Expected: []result.Expectation{reproduced, unexplained}}, ""},
		{"a_latency_of_arms_with_controls", Plan{Rounds: 3, Arms: 2, Expected: []result.Expectation{latency}}, "3 rounds cannot decide an expected latency: use at least 4"},
		{"a_latency_just_enough", Plan{Rounds: 4, Arms: 2, Expected: []result.Expectation{latency}}, ""},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			got := ""
			if err := CheckRounds(tc.plan); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func ExampleMinRounds() {
	for _, comparisons := range []int{0, 1, 2, 5, 31} {
		fmt.Printf("%d comparisons by trials: %d rounds\n", comparisons, MinRounds(comparisons))
	}
	// Output:
	// 0 comparisons by trials: 1 rounds
	// 1 comparisons by trials: 7 rounds
	// 2 comparisons by trials: 8 rounds
	// 5 comparisons by trials: 8 rounds
	// 31 comparisons by trials: 10 rounds
}

// An arm that leaves NAT too few ports is named.
func TestWarnExhaustedPorts(t *testing.T) {
	t.Parallel()
	arm := func(found uint64) result.Arm {
		trial := result.Trial{Requests: 1000}
		trial.Conntrack.Found = found
		return result.Arm{Name: "few-ports", Trials: []result.Trial{trial}}
	}
	warnings := func(arms ...result.Arm) []string {
		r := &result.Result{WarningValues: warnExhaustedPorts(arms)}
		wording.DescribeResult(r)
		return r.Warnings
	}
	if got := warnings(arm(15_999), result.Arm{Name: "none"}); len(got) > 0 {
		t.Errorf("%q", got)
	}
	const want = "few-ports: port exhaustion: NAT looked at 73 taken ports for each connection, on average, which makes connects slow"
	if got := warnings(arm(73_900)); len(got) != 1 || got[0] != want {
		t.Errorf("%q\nwant %q", got, want)
	}
}
