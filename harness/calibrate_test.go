package harness

import (
	"context"
	"maps"
	"math"
	"slices"
	"testing"

	"snatlab/harness/lab"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/scenario/sysctl"
)

// calibrationArms are arms of each truth: everything remains, half, a tenth, a fiftieth,
// nothing.
var calibrationArms = []scenario.Arm{
	{Name: "masquerade"},
	{Name: "half", Masquerade: scenario.MasqueradeOptions{RandomFully: true, Removes: 0.5}},
	{Name: "most", Masquerade: scenario.MasqueradeOptions{RandomFully: true, Removes: 0.9}},
	{Name: "nearly-all", Masquerade: scenario.MasqueradeOptions{RandomFully: true, Removes: 0.98}},
	{Name: "random-fully", Masquerade: scenario.MasqueradeOptions{RandomFully: true}},
}

func TestTrueRemaining(t *testing.T) {
	t.Parallel()
	for i, want := range []float64{1, 0.5, 0.1, 0.02, 1. / 64_512} {
		if got, known := trueRemaining(calibrationArms[i]); !known || math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: %g, %v; want %g", calibrationArms[i].Name, got, known, want)
		}
	}
	exact := scenario.Arm{Name: "x", Masquerade: scenario.MasqueradeOptions{RandomFully: true, Removes: 0.99}}
	if got, _ := trueRemaining(exact); got != 0.01 || !isTrue(result.Mitigated, got) {
		t.Errorf("of 99 %% removed, %g remains", got)
	}
	if err := CheckTruth(&scenario.Scenario{Arms: calibrationArms}); err != nil {
		t.Error(err)
	}
	for _, a := range []scenario.Arm{
		{Name: "x", Masquerade: scenario.MasqueradeOptions{ToPorts: scenario.PortRange{First: 2000, Last: 2999}}},
		{Name: "x", ClientPorts: result.SplitPorts},
		{Name: "x", Sysctls: scenario.Sysctls{Router: []sysctl.Setting{{Name: "net.ipv4.ip_forward", Value: "1"}}}},
	} {
		if err := CheckTruth(&scenario.Scenario{Arms: []scenario.Arm{calibrationArms[0], a}}); err == nil {
			t.Errorf("%+v is accepted", a)
		}
	}
	if err := CheckTruth(&scenario.Scenario{Arms: calibrationArms[1:]}); err == nil {
		t.Error("a baseline that draws ports is accepted")
	}
}

// A verdict is false if what it says does not hold. One that says less is not.
func TestIsTrue(t *testing.T) {
	t.Parallel()
	all := []result.ArmVerdict{result.Mitigated, result.Reduced, result.Equal, result.Worse, result.Undecided, result.ArmInconclusive}
	for remaining, want := range map[float64]struct {
		best  result.ArmVerdict
		false []result.ArmVerdict
	}{
		1:           {result.Equal, []result.ArmVerdict{result.Mitigated, result.Reduced, result.Worse}},
		0.9:         {result.Equal, []result.ArmVerdict{result.Mitigated, result.Reduced, result.Worse}},
		0.5:         {result.Reduced, []result.ArmVerdict{result.Mitigated, result.Equal, result.Worse}},
		0.02:        {result.Reduced, []result.ArmVerdict{result.Mitigated, result.Equal, result.Worse}},
		0.01:        {result.Mitigated, []result.ArmVerdict{result.Equal, result.Worse}},
		1. / 64_512: {result.Mitigated, []result.ArmVerdict{result.Equal, result.Worse}},
		1.5:         {result.Worse, []result.ArmVerdict{result.Mitigated, result.Reduced, result.Equal}},
	} {
		if got := bestVerdict(remaining); got != want.best {
			t.Errorf("%g remains: %s says most, want %s", remaining, got, want.best)
		}
		for _, v := range all {
			if got := isTrue(v, remaining); got == slices.Contains(want.false, v) {
				t.Errorf("%g remains: %s is true: %v", remaining, v, got)
			}
		}
	}
}

// remains returns what a run says about an arm, with intervals that reach from half of the
// estimate to twice as much, and from a third to three times as much.
func remains(failed, control int) *result.Remaining {
	estimate := float64(failed) / float64(control)
	return &result.Remaining{
		Failed: failed, Requests: 10_000, ControlFailed: control, ControlRequests: 10_000, Trials: 5, Estimate: &estimate,
		Low: estimate / 2, High: new(2 * estimate), DecisiveLow: estimate / 3, DecisiveHigh: new(3 * estimate),
	}
}

// calibratedRun returns a run with these outcomes, of the baseline against itself first.
func calibratedRun(all ...result.CalibratedRun) *result.Result {
	r := &result.Result{Seconds: 5}
	for _, o := range all {
		r.Comparisons = append(r.Comparisons, result.Comparison{Verdict: o.Verdict, Why: o.Why, Remaining: o.Remaining})
	}
	return r
}

func TestCountRun(t *testing.T) {
	t.Parallel()
	c := newCalibration(&scenario.Scenario{Arms: calibrationArms[:2]}, RunOptions{Version: "v1"})
	type ran = result.CalibratedRun
	for _, r := range []*result.Result{
		calibratedRun(ran{Verdict: result.Undecided, Remaining: remains(1000, 1010)}, ran{Verdict: result.Reduced, Remaining: remains(500, 1000)}),
		calibratedRun(ran{Verdict: result.Worse, Remaining: remains(2500, 1000)}, ran{Verdict: result.Undecided, Remaining: remains(180, 1000)}),
		calibratedRun(ran{Verdict: result.Equal, Remaining: remains(1000, 1000)}, ran{Verdict: result.Mitigated, Remaining: remains(1, 1000)}),
		calibratedRun(ran{Verdict: result.Undecided, Why: result.WhyInstrument, Remaining: remains(2000, 1000)}, ran{Verdict: result.Undecided, Why: result.WhyInstrument, Remaining: remains(2, 1000)}),
		calibratedRun(ran{Verdict: result.Undecided, Remaining: &result.Remaining{}}, ran{Verdict: result.Undecided}),
	} {
		countRun(c, r)
	}
	if c.Runs != 5 || c.Inconclusive != 2 || len(c.Seconds) != 5 {
		t.Errorf("%d runs, %d of them inconclusive", c.Runs, c.Inconclusive)
	}
	for _, want := range []struct {
		got           result.Tally
		wrong, missed int
		held          [2]int // of three runs with an interval
		verdicts      map[result.ArmVerdict]int
		failed        int
	}{
		{c.Itself, 1, 3, [2]int{2, 3}, map[result.ArmVerdict]int{result.Undecided: 3, result.Worse: 1, result.Equal: 1}, 4500},
		{c.Arms[0], 1, 3, [2]int{1, 2}, map[result.ArmVerdict]int{result.Undecided: 3, result.Reduced: 1, result.Mitigated: 1}, 681},
	} {
		got := want.got
		if got.Wrong != want.wrong || got.Missed != want.missed || len(got.Outcomes) != 5 || !maps.Equal(got.Verdicts, want.verdicts) {
			t.Errorf("%s: %+v", got.Arm, got)
		}
		for i, c := range got.Intervals {
			if c.Held != want.held[i] || c.Runs != 3 {
				t.Errorf("%s: %+v, want %d of 3", got.Arm, c, want.held[i])
			}
		}
		if p := got.Pooled; p == nil || p.Failed != want.failed || p.Trials != 3 || p.Requests != 30_000 {
			t.Errorf("%s: over all runs %+v", got.Arm, p)
		}
	}
}

// tallyOf returns the tally of so many runs with a verdict and an interval each.
func tallyOf(arm scenario.Arm, counts map[result.ArmVerdict]int, share *result.Remaining) result.Tally {
	tally := newTally(arm)
	for v, n := range counts {
		for range n {
			countOutcome(&tally, result.CalibratedRun{Verdict: v, Remaining: share})
		}
	}
	return tally
}

func TestJudgeCalibration(t *testing.T) {
	t.Parallel()
	same := remains(1000, 1000)
	off := remains(4000, 1000) // both intervals miss 1
	for _, tc := range []struct {
		claim  string
		itself result.Tally
		want   result.Verdict
	}{
		{"undecided_is_not_wrong", tallyOf(calibrationArms[0], map[result.ArmVerdict]int{result.Undecided: 100}, same), result.Pass},
		{"one_of_twenty_may_be_chance", tallyOf(calibrationArms[0], map[result.ArmVerdict]int{result.Undecided: 19, result.Worse: 1}, same), result.Pass},
		{"five_of_twenty_are_not", tallyOf(calibrationArms[0], map[result.ArmVerdict]int{result.Undecided: 15, result.Worse: 5}, same), result.Fail},
		{"intervals_that_miss", tallyOf(calibrationArms[0], map[result.ArmVerdict]int{result.Undecided: 10}, off), result.Fail},
		{"a_missed_reduction_is_not_wrong", tallyOf(calibrationArms[1], map[result.ArmVerdict]int{result.Undecided: 100}, remains(500, 1000)), result.Pass},
		{"nothing_measured", tallyOf(calibrationArms[0], map[result.ArmVerdict]int{result.Undecided: 100}, nil), result.Inconclusive},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			c := &result.Calibration{Runs: len(tc.itself.Outcomes), Itself: tc.itself}
			if got := judgeCalibration(c); got != tc.want {
				t.Errorf("%s, want %s: %d wrong of %d", got, tc.want, tc.itself.Wrong, len(tc.itself.Outcomes))
			}
		})
	}
}

// So many wrong verdicts in so many runs are what a chance of 0.1 % explains, and one more
// is not. The bound is 0.05 %, one side of DecisiveConfidence.
func TestIsBeyond(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		k, n   int
		beyond bool
	}{{0, 1, false}, {1, 1, false}, {1, 10, false}, {2, 31, true}, {2, 33, false}, {3, 100, true}, {3, 200, false}} {
		if got := isBeyond(c.k, c.n, 0.001); got != c.beyond {
			t.Errorf("%d of %d: %v", c.k, c.n, got)
		}
	}
}

// Each run of a calibration has an ID, a seed and a lab of its own.
func TestCalibrate(t *testing.T) {
	t.Parallel()
	s := ephemeralScenario(2, "masquerade", "random-fully")
	s.Arms[1].Masquerade.RandomFully = true
	var ids []string
	var progress []int
	open := func(_ context.Context, _ int, id string) (lab.Lab, error) {
		ids = append(ids, id)
		return newFakeLab(t, 2), nil
	}
	done := func(c *result.Calibration) { progress = append(progress, c.Runs) }
	c, err := Calibrate(t.Context(), s, 2, open, noWatcher{}, done, RunOptions{ID: "c", Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(ids, []string{"c-1", "c-2"}) || !slices.Equal(progress, []int{1, 2}) {
		t.Errorf("IDs %v, progress %v", ids, progress)
	}
	if c.Version != "v1" || c.Runs != 2 || len(c.Arms) != 1 || c.Arms[0].Arm != "random-fully" || c.Verdict != result.Inconclusive {
		t.Errorf("got %+v", c)
	}
	for _, tally := range c.Tallies() {
		if len(tally.Outcomes) != 2 || len(tally.Verdicts) == 0 {
			t.Errorf("%s: %+v", tally.Arm, tally)
		}
	}
}

// noWatcher watches nothing.
type noWatcher struct{}

func (noWatcher) Start(result.Progress)               {}
func (noWatcher) Done(result.Progress, *result.Trial) {}
