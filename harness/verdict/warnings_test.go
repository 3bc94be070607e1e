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
		swings    = " few: the rate of one arm varies by a factor of two to four between trials"
		undecided = "not triggered: "
	)
	rising, falling := []int{100, 110, 120, 130, 140, 150, 160, 170}, []int{170, 160, 150, 140, 130, 120, 110, 100}
	for _, tc := range []struct {
		claim string
		in    *result.Result
		want  []string
	}{
		{"eight rounds are enough", runOf(8, armOf("masquerade", lossyTrials...), armOf("random", lossyTrials...)), nil},
		{"five rounds have no interval", runOf(5, armOf("masquerade", lossyTrials[:5]...), armOf("random", lossyTrials[:5]...)),
			[]string{"5 rounds are too few for a 95 % interval of a reduction: at least 7 are needed"}},
		{"four rounds have no verdict either", runOf(4, armOf("masquerade", lossyTrials[:4]...), armOf("random", lossyTrials[:4]...)),
			[]string{"4 rounds cannot show a difference at p < 0.01: at least 5 are needed", "4 rounds are too few for a 95 % interval of a reduction: at least 7 are needed"}},
		{"many arms take more rounds", runOf(7, armOf("m", lossyTrials[:7]...), armOf("a"), armOf("b"), armOf("c"), armOf("d"), armOf("e"), armOf("f"), armOf("g"),
			armOf("h"), armOf("i"), armOf("j"), armOf("k"), armOf("l"), armOf("n"), armOf("o"), armOf("p"), armOf("q"), armOf("r"), armOf("s")),
			[]string{"7 rounds cannot show a difference at p < 0.01: at least 8 are needed"}},
		{"a single arm has no verdict to miss", runOf(4, armOf("masquerade", 700)), nil},
		{"three rounds are few for its median", runOf(3, armOf("masquerade", 700)), []string{"3 rounds are" + swings}},
		{"one round is few", runOf(1, armOf("masquerade", 700)), []string{"1 round is" + swings}},

		{"equal trials show nothing", runOf(8, armOf("masquerade", repeatTrial(8, 600)...), armOf("random", repeatTrial(8, 600)...), armOf("random-fully", repeatTrial(8, 0)...)),
			[]string{"random: all its trials and all of masquerade have the same failure rate, 10.0 %, so they show nothing"}},
		{"a baseline that gets worse", runOf(8, armOf("masquerade", rising...)),
			[]string{"masquerade: the failure rate rose in the course of the run (Mann-Kendall, exact p < 0.0001); " +
				"interleaved arms drift together, which hides differences but creates none"}},
		{"a baseline that gets better", runOf(8, armOf("masquerade", falling...)),
			[]string{"masquerade: the failure rate fell in the course of the run (Mann-Kendall, exact p < 0.0001); " +
				"interleaved arms drift together, which hides differences but creates none"}},
		{"a trend that chance may explain", runOf(8, armOf("masquerade", 100, 110, 120, 90, 140, 130, 160, 150)), nil}, // p = 0.031
		{"another arm may drift", runOf(8, armOf("masquerade", lossyTrials...), armOf("random", rising...)), nil},

		{"a busy machine", onMachine(result.Env{CPUsOnline: 2, Load: &[3]float64{2, 0, 0}}, runOf(8, armOf("masquerade", lossyTrials...))),
			[]string{"the machine was busy: a load average of 2.00 on 2 CPUs before the run; clients that have to wait for a CPU do not meet, and latencies are too high"}},
		{"a machine with a CPU to spare", onMachine(result.Env{CPUsOnline: 2, Load: &[3]float64{1.9, 8, 8}}, runOf(8, armOf("masquerade", lossyTrials...))), nil},
		{"a load of which the CPUs are not known", onMachine(result.Env{Load: &[3]float64{9, 9, 9}}, runOf(8, armOf("masquerade", lossyTrials...))), nil},
		{"a widened window", onMachine(result.Env{Widened: 5000}, runOf(8, armOf("masquerade", lossyTrials...))), nil},
		{"a window that could not be widened", onMachine(result.Env{NotWidened: "no such file or directory"}, runOf(8, armOf("masquerade", lossyTrials...))),
			[]string{"the kernel cannot have the idle rules that widen the window of the race by default: no such file or directory; fewer connections are lost, so the run takes longer to decide"}},

		{"other traffic in a shared table", runOf(8, withForeignTraffic(armOf("masquerade", lossyTrials...))),
			[]string{"masquerade: other traffic was in the conntrack table in 2 of 8 trials, and may account for 4 failed insertions and 1 drop"}},
		{"unexplained failures are named by trial", runOf(8, mixedArm("masquerade", 28, 4), mixedArm("random", 0, 1)),
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
	r := runOf(8, armOf("random-fully", repeatTrial(8, 0)...), armOf("masquerade", lossyTrials...))
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
		claim        string
		rounds, arms int
		expected     []result.Expectation
		want         string
	}{
		{"one_arm", 1, 1, nil, ""},
		{"one_arm_whose_race_is_absent", 1, 1, []result.Expectation{absent}, ""},
		{"two_arms", 4, 2, nil, "4 rounds cannot reach a verdict with 2 arms: use at least 5"},
		{"one_round", 1, 2, nil, "1 round cannot reach a verdict with 2 arms: use at least 5"},
		{"two_arms_just_enough", 5, 2, nil, ""},
		{"six_arms", 6, 6, nil, "6 rounds cannot reach a verdict with 6 arms: use at least 7"},
		{"expectations_of_one_arm_only", 1, 6, []result.Expectation{reproduced, unexplained}, ""},
		{"absent_is_compared", 1, 2, []result.Expectation{reproduced, absent}, "1 round cannot reach a verdict with 2 arms: use at least 5"},
		{"an_interval_takes_more", 5, 6, []result.Expectation{reduction}, "5 rounds cannot reach a verdict with 6 arms: use at least 7"},
		{"an_interval_only", 5, 2, []result.Expectation{reproduced, reduction}, "5 rounds cannot decide an expected reduction or latency: use at least 7"},
		{"a_latency", 6, 2, []result.Expectation{latency}, "6 rounds cannot decide an expected reduction or latency: use at least 7"},
		{"an_interval_just_enough", 7, 2, []result.Expectation{reduction, latency}, ""},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			got := ""
			if err := CheckRounds(tc.rounds, tc.arms, tc.expected); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func ExampleMinRounds() {
	for _, arms := range []int{1, 2, 3, 5, 6, 32} {
		fmt.Printf("%d arms: %d rounds\n", arms, MinRounds(arms))
	}
	fmt.Printf("an interval: %d\n", MinRoundsForInterval())
	// Output:
	// 1 arms: 1 rounds
	// 2 arms: 5 rounds
	// 3 arms: 6 rounds
	// 5 arms: 6 rounds
	// 6 arms: 7 rounds
	// 32 arms: 8 rounds
	// an interval: 7
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
