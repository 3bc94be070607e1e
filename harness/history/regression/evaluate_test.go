package regression

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/history/historytest"
	"snatlab/harness/result"
)

func findingKinds(j Evaluation) (all []result.FindingKind) {
	for _, f := range j.Findings {
		all = append(all, f.Kind)
	}
	return all
}

// A run like those before it raises no finding.
func TestEvaluateUsualRun(t *testing.T) {
	t.Parallel()
	j := Evaluate(makeAttempts(1, historytest.RunSpec{Day: 20}), makePast(20), nil)
	if len(j.Findings) > 0 || j.Again != "" || len(j.Warnings) > 0 {
		t.Errorf("%+v", j)
	}
	if j.Compared != 20 || j.KernelBefore != "6.12.107" {
		t.Errorf("compared with %d runs on %s", j.Compared, j.KernelBefore)
	}
}

// A lost mitigation is a regression once a second attempt confirms it.
func TestEvaluateLostMitigation(t *testing.T) {
	t.Parallel()
	gone := historytest.RunSpec{Day: 20, Failed: 950}
	first := Evaluate(makeAttempts(1, gone), makePast(20), nil)
	if len(first.Findings) > 0 || first.Again == "" {
		t.Fatalf("after one attempt: %+v", first)
	}
	j := Evaluate(makeAttempts(2, gone), makePast(20), nil)
	want := []result.FindingKind{result.RemainingRose, result.ExpectationBroken}
	if !cmp.Equal(findingKinds(j), want) || j.Again != "" {
		t.Fatalf("%+v", j)
	}
	for i, text := range []string{
		"random-fully: 96.9 % of the failures remain, at least 84 % (15,200 of 96,000 requests failed, and 15,684 of 96,000 of the control, in 2 attempts); 20 earlier nights allow at most 0.005 %",
		"random-fully: reduction >= 99 % did not hold (",
	} {
		if got := j.Findings[i].Text; !strings.HasPrefix(got, text) {
			t.Errorf("got  %s\nwant %s", got, text)
		}
	}
	if want := ", in 2 attempts together; it held in 20 of 20 earlier nights"; !strings.HasSuffix(j.Findings[1].Text, want) {
		t.Errorf("%s", j.Findings[1].Text)
	}
	if j.Tonight.Arms[1].SumTotals().Failed != 15200 || len(j.Tonight.Arms[1].Trials) != 16 || j.Tonight.Arms[1].Trials[15].Round != 16 {
		t.Errorf("the sums are of %+v", j.Tonight.Arms[1].SumTotals())
	}
}

// A warning that the last attempt alone deserves is none about all attempts. What the run
// itself warned about stays.
func TestEvaluateWarnings(t *testing.T) {
	t.Parallel()
	dim := historytest.RunSpec{Day: 20, Change: func(r *result.Result) {
		r.Scenario.Until = &result.Until{Hits: 10_000} // an attempt has 8,000 of them
		r.WarningValues = []result.Warning{{Code: result.NoSharedMemory, Cause: "no memory"}}
	}}
	for attempts, want := range map[int][]result.WarningCode{
		1: {result.NoSharedMemory, result.FewHits, result.FewHits},
		2: {result.NoSharedMemory},
	} {
		var got []result.WarningCode
		for _, w := range Evaluate(makeAttempts(attempts, dim), nil, nil).Tonight.WarningValues {
			got = append(got, w.Code)
		}
		if !cmp.Equal(got, want) {
			t.Errorf("%d: got %v, want %v", attempts, got, want)
		}
	}
}

// Attempts that contradict each other are added up, in whatever order they come: the
// good one does not excuse the bad one. That more failures remain is shown by most of them.
func TestEvaluateContradiction(t *testing.T) {
	t.Parallel()
	lost, good := historytest.RunSpec{Day: 20, Failed: 950}.MakeResult(), historytest.RunSpec{Day: 20}.MakeResult()
	for name, c := range map[string]struct {
		attempts []*result.Result
		want     []result.FindingKind
		again    bool
	}{
		"bad_good":      {[]*result.Result{lost, good}, []result.FindingKind{result.ExpectationBroken}, true},
		"good_bad":      {[]*result.Result{good, lost}, []result.FindingKind{result.ExpectationBroken}, true},
		"bad_good_bad":  {[]*result.Result{lost, good, lost}, []result.FindingKind{result.RemainingRose, result.ExpectationBroken}, false},
		"good_bad_bad":  {[]*result.Result{good, lost, lost}, []result.FindingKind{result.RemainingRose, result.ExpectationBroken}, false},
		"bad_good_good": {[]*result.Result{lost, good, good}, []result.FindingKind{result.ExpectationBroken}, false},
		"good_good_bad": {[]*result.Result{good, good, lost}, []result.FindingKind{result.ExpectationBroken}, false},
	} {
		j := Evaluate(c.attempts, makePast(20), nil)
		if !cmp.Equal(findingKinds(j), c.want) || (j.Again != "") != c.again {
			t.Errorf("%s: %v, again %q", name, findingKinds(j), j.Again)
		}
	}
	few, many := historytest.RunSpec{Day: 20, Failed: 1}.MakeResult(), historytest.RunSpec{Day: 20}.MakeResult()
	many.Arms[1].Trials = append(many.Arms[1].Trials, many.Arms[1].Trials...)
	if j := Evaluate([]*result.Result{few, many}, makePast(20), nil); len(j.Findings) > 0 {
		t.Errorf("8 failures in two attempts: %+v", j.Findings)
	}
}

// A regression is reported every night until it is repaired.
func TestEvaluateLastingLoss(t *testing.T) {
	t.Parallel()
	before := makePast(20)
	for day := 20; day < 32; day++ {
		tonight := makeAttempts(2, historytest.RunSpec{Day: day, Failed: 950})
		j := Evaluate(tonight, before, nil)
		if !cmp.Equal(findingKinds(j), []result.FindingKind{result.RemainingRose, result.ExpectationBroken}) {
			t.Fatalf("night %d: %+v", day-19, j)
		}
		for _, f := range j.Findings {
			if day > 20 && !strings.HasSuffix(f.Text, ", since 2026-11-21") {
				t.Errorf("night %d: %s", day-19, f.Text)
			}
		}
		for _, r := range tonight {
			before = append(before, result.NewRunSummary(r))
		}
	}
	if j := Evaluate(makeAttempts(1, historytest.RunSpec{Day: 32}), before, nil); len(j.Findings) > 0 || j.Again != "" {
		t.Errorf("repaired: %+v", j)
	}
}

// A loss that is too small for one night adds up over nights, and is reported every night
// from then on.
func TestEvaluatePartialLoss(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		failed int // of about 8,000 that fail of the control
		nights int // in which it is found at the latest
	}{{"5_percent", 400, 1}, {"1_percent", 80, 1}, {"half_a_permille", 4, 5}} {
		before, found := makePast(20), 0
		for day := 20; day < 30; day++ {
			part := func(r *result.Result) {
				for i := range c.failed {
					trial := &r.Arms[1].Trials[i%8]
					trial.Failed++
					trial.Causes[result.SNATRace]++
				}
			}
			tonight := makeAttempts(2, historytest.RunSpec{Day: day, Change: part})
			if slices.Contains(findingKinds(Evaluate(tonight, before, nil)), result.RemainingRose) {
				if found++; found == 1 && day-19 > c.nights {
					t.Errorf("%s: found in night %d", c.name, day-19)
				}
			} else if found > 0 {
				t.Errorf("%s: not reported in night %d", c.name, day-19)
			}
			for _, r := range tonight {
				before = append(before, result.NewRunSummary(r))
			}
		}
		if found == 0 {
			t.Errorf("%s: never found", c.name)
		}
	}
}

// One bad night does not make the nights after it bad.
func TestEvaluateOneBadNight(t *testing.T) {
	t.Parallel()
	before := append(makePast(20), result.NewRunSummary(historytest.RunSpec{Day: 20, Failed: 950}.MakeResult()))
	for day := 21; day < 30; day++ {
		chance := func(r *result.Result) { // two draws meet
			r.Arms[1].Trials[3].Failed = map[int]int{21: 1, 27: 1}[day]
		}
		tonight := makeAttempts(1, historytest.RunSpec{Day: day, Change: chance})
		if j := Evaluate(tonight, before, nil); len(j.Findings) > 0 || j.Again != "" || len(j.Doubts) > 0 {
			t.Errorf("night %d after it: %+v", day-20, j)
		}
		before = append(before, result.NewRunSummary(tonight[0]))
	}
}

// A share that differs from night to night is allowed to.
func TestEvaluateScatteredNights(t *testing.T) {
	t.Parallel()
	half := func(day int, percent int) historytest.RunSpec {
		return historytest.RunSpec{Day: day, Lost: 1000, Failed: 10 * percent}
	}
	var before []result.RunSummary
	for day := range 12 {
		before = append(before, result.NewRunSummary(half(day, 45+5*(day%3)).MakeResult()))
	}
	if j := Evaluate(makeAttempts(2, half(12, 58)), before, nil); len(j.Findings) > 0 {
		t.Errorf("a little above all: %+v", j.Findings)
	}
	if j := Evaluate(makeAttempts(2, half(12, 95)), before, nil); !slices.Contains(findingKinds(j), result.RemainingRose) {
		t.Errorf("nearly twice as much: %+v", j)
	}
}

// A new cause is a regression in any arm.
func TestEvaluateNewCause(t *testing.T) {
	t.Parallel()
	exhausted := func(r *result.Result) {
		for i := range r.Arms[0].Trials {
			t := &r.Arms[0].Trials[i]
			t.Failed += 10
			t.Causes[result.PortExhaustion] = 10
		}
	}
	j := Evaluate(makeAttempts(2, historytest.RunSpec{Day: 20, Change: exhausted}), makePast(20), nil)
	if !cmp.Equal(findingKinds(j), []result.FindingKind{result.NewCause}) ||
		j.Findings[0].Text != "masquerade failed 80 of 48,000 (0.17 %) for port_exhaustion, in the best of 2 attempts; in 20 earlier runs at most 0" {
		t.Errorf("%+v", j)
	}
	foreign := func(r *result.Result) {
		exhausted(r)
		for i := range r.Arms[0].Trials {
			r.Arms[0].Trials[i].Causes = map[string]int{result.SNATRace: r.Arms[0].Trials[i].Failed - 10, result.CauseForeign: 10}
		}
	}
	if j := Evaluate(makeAttempts(2, historytest.RunSpec{Day: 20, Change: foreign}), makePast(20), nil); len(j.Findings) > 0 {
		t.Errorf("other traffic is no regression: %+v", j)
	}
}

// Fewer than five earlier nights can only raise a doubt, whatever they show.
func TestEvaluateShortHistory(t *testing.T) {
	t.Parallel()
	for _, past := range []int{1, 4} {
		j := Evaluate(makeAttempts(2, historytest.RunSpec{Day: past, Failed: 950}), makePast(past), nil)
		if len(j.Findings) > 0 || len(j.Doubts) != 2 || !strings.HasSuffix(j.Doubts[0], "; a regression takes 5; that may be chance") || j.Again != "" {
			t.Errorf("%d nights: %+v", past, j)
		}
	}
	j := Evaluate(makeAttempts(2, historytest.RunSpec{Day: 5, Failed: 950}), makePast(5), nil)
	if !cmp.Equal(findingKinds(j), []result.FindingKind{result.RemainingRose, result.ExpectationBroken}) || len(j.Doubts) > 0 {
		t.Errorf("5 nights: %+v", j)
	}
	if j := Evaluate(makeAttempts(2, historytest.RunSpec{Failed: 950}), nil, nil); len(j.Findings)+len(j.Doubts) > 0 || j.Compared != 0 {
		t.Errorf("the first run: %+v", j)
	}
}

// All runs of half a day are one night: many runs in a row are no history.
func TestEvaluateRunsInARow(t *testing.T) {
	t.Parallel()
	before := makePast(1)
	for i := range 20 {
		r := historytest.RunSpec{Day: 0}.MakeResult()
		r.ID, r.Started = fmt.Sprint(i), r.Started.Add(time.Duration(i)*10*time.Minute)
		before = append(before, result.NewRunSummary(r))
	}
	if j := Evaluate(makeAttempts(2, historytest.RunSpec{Day: 1, Failed: 950}), before, nil); len(j.Findings) > 0 || j.Shares[0].Nights != 1 {
		t.Errorf("%+v", j)
	}
}

// A mitigation that is lost is found even if the scenario expects nothing of it.
func TestEvaluateRetries(t *testing.T) {
	t.Parallel()
	gone := historytest.RunSpec{Day: 5, Failed: 950, Change: func(r *result.Result) { r.Expected = r.Expected[:1] }}
	if j := Evaluate(makeAttempts(1, gone), makePast(5), nil); len(j.Findings) > 0 || j.Again == "" {
		t.Errorf("after one attempt: %+v", j)
	}
	if j := Evaluate(makeAttempts(2, gone), makePast(5), nil); !cmp.Equal(findingKinds(j), []result.FindingKind{result.RemainingRose}) {
		t.Errorf("after two: %+v", j)
	}
}

// An arm that failed as much in an earlier night needs more than another such night.
func TestEvaluateBadBefore(t *testing.T) {
	t.Parallel()
	before := makePast(12)
	for _, day := range []int{3, 8} {
		before[day] = result.NewRunSummary(historytest.RunSpec{Day: day, Failed: 950}.MakeResult())
	}
	j := Evaluate(makeAttempts(2, historytest.RunSpec{Day: 12, Failed: 950}), before, nil)
	if len(j.Findings) > 0 || !slices.ContainsFunc(j.Doubts, func(text string) bool {
		return strings.Contains(text, "it held in 10 of 12 earlier nights; that may be chance (p = 0.23)")
	}) {
		t.Errorf("%+v", j)
	}
}

// A doubt about a known failure is none.
func TestEvaluateKnownDoubt(t *testing.T) {
	t.Parallel()
	known, err := ParseKnown("known.yaml", []byte(knownFile))
	checkError(t, err)
	j := Evaluate(makeAttempts(2, historytest.RunSpec{Day: 4, Failed: 950}), makePast(4), known)
	if !cmp.Equal(findingKinds(j), []result.FindingKind{result.ExpectationBroken}) || j.Findings[0].Known == "" || len(j.Doubts) != 1 {
		t.Errorf("%+v", j)
	}
}

// A finding about an expectation has its claim in words, and its identity.
func TestFindingExpectation(t *testing.T) {
	t.Parallel()
	tonight := makeAttempts(2, historytest.RunSpec{Day: 20, Failed: 950})
	j := Evaluate(tonight, makePast(20), nil)
	if got := j.Findings[1].Claim; got != "reduction >= 99 %" || j.Findings[0].Claim != "" {
		t.Errorf("%q", got)
	}
	for i, want := range []bool{false, true} {
		if j.Findings[1].IsBroken(tonight[0].Expected[i]) != want || j.Findings[0].IsBroken(tonight[0].Expected[i]) {
			t.Errorf("expectation %d: %+v", i, j.Findings[1])
		}
	}
}

// Attempts under another key than that of the last one are left out.
func TestEvaluateKeyChange(t *testing.T) {
	t.Parallel()
	upgraded := historytest.RunSpec{Day: 20, Failed: 950, Change: func(r *result.Result) { r.Environment.NAT = "iptables-nft 1.8.11" }}
	tonight := append(makeAttempts(1, historytest.RunSpec{Day: 20}), makeAttempts(1, upgraded)...)
	before := makePast(20)
	for i := range before[:8] {
		before[i].Key = result.KeyOf(tonight[1])
	}
	j := Evaluate(tonight, before, nil)
	if j.Compared != 8 || len(j.Findings) > 0 || j.Again == "" {
		t.Errorf("one attempt counts, and is bad: %+v", j)
	}
}

// An expectation that often breaks is no regression.
func TestEvaluateFlakyClaim(t *testing.T) {
	t.Parallel()
	before := makePast(20)
	for day := range before {
		if day%2 == 0 {
			before[day].Expected[1].Held = new(false)
		}
	}
	j := Evaluate(makeAttempts(2, historytest.RunSpec{Day: 20, Failed: 950}), before, nil)
	if slices.Contains(findingKinds(j), result.ExpectationBroken) {
		t.Errorf("%+v", j)
	}
}

// An expectation that is undecided, tonight or before, is neither held nor broken.
func TestEvaluateUndecidedClaim(t *testing.T) {
	t.Parallel()
	before := makePast(20)
	for day := range before {
		before[day].Expected[1].Held = nil
	}
	if j := Evaluate(makeAttempts(2, historytest.RunSpec{Day: 20, Failed: 950}), before, nil); slices.Contains(findingKinds(j), result.ExpectationBroken) {
		t.Errorf("undecided before: %+v", j)
	}
	near := historytest.RunSpec{Day: 20, Failed: 10}
	if r := near.MakeResult(); r.Expected[1].Held != nil {
		t.Fatalf("1 %% of the failures: %+v", r.Expected[1])
	}
	if j := Evaluate(makeAttempts(3, near), makePast(20), nil); slices.Contains(findingKinds(j), result.ExpectationBroken) {
		t.Errorf("undecided tonight: %+v", j)
	}
}

// A finding names the kernel on which it began. A new kernel with the same figures is
// no finding.
func TestEvaluateNewKernel(t *testing.T) {
	t.Parallel()
	j := Evaluate(makeAttempts(2, historytest.RunSpec{Day: 20, Failed: 950, Kernel: "6.18.15"}), makePast(20), nil)
	if want := ", since kernel 6.18.15 (6.12.107 before it)"; !strings.HasSuffix(j.Findings[0].Text, want) {
		t.Errorf("%s", j.Findings[0].Text)
	}
	if j := Evaluate(makeAttempts(1, historytest.RunSpec{Day: 20, Kernel: "6.18.15"}), makePast(20), nil); len(j.Findings) > 0 || j.Compared != 20 {
		t.Errorf("a new kernel and the same figures: %+v", j)
	}
}

// A baseline whose rate moves with the kernel is a shift, which is reported once.
func TestEvaluateShift(t *testing.T) {
	t.Parallel()
	before, found := makePast(20), 0
	for day := 20; day < 40; day++ {
		tonight := makeAttempts(1, historytest.RunSpec{Day: day, Kernel: "6.18.15", Lost: 300})
		j := Evaluate(tonight, before, nil)
		if len(j.Findings) > 0 {
			found++
			want := "masquerade lost 5.00 % in the 7 nights (median) since kernel 6.18.15, and "
			if f := j.Findings[0]; f.Kind != result.Shift || day != 26 || !strings.HasPrefix(f.Text, want) || !strings.HasSuffix(f.Text, " in the 20 nights before it (6.12.107)") {
				t.Errorf("night %d: %s", day-19, f.Text)
			}
		}
		before = append(before, result.NewRunSummary(tonight[0]))
	}
	if found != 1 {
		t.Errorf("reported %d times", found)
	}
}

// Nights in which the race is rare are counted, whatever the kernel.
func TestEvaluateMachine(t *testing.T) {
	t.Parallel()
	before := makePast(20)
	for _, day := range []int{16, 18} {
		before[day] = result.NewRunSummary(historytest.RunSpec{Day: day, Lost: 20}.MakeResult())
	}
	j := Evaluate(makeAttempts(1, historytest.RunSpec{Day: 20}), before, nil)
	if want := (result.MachineState{Slow: 2, Nights: 7}); j.Machine == nil || *j.Machine != want || len(j.Findings) > 0 {
		t.Errorf("%+v, %+v", j.Machine, j.Findings)
	}
	if j := Evaluate(makeAttempts(1, historytest.RunSpec{}), nil, nil); j.Machine != nil {
		t.Errorf("the first night: %+v", j.Machine)
	}
}

// Runs that were judged without shares that remain are not compared.
func TestEvaluateOldRuns(t *testing.T) {
	t.Parallel()
	var before []result.RunSummary
	for day := range 20 {
		before = append(before, historytest.AsOld(historytest.RunSpec{Day: day}.MakeResult()))
	}
	j := Evaluate(makeAttempts(2, historytest.RunSpec{Day: 20, Failed: 950}), before, nil)
	if j.Compared != 0 || len(j.Findings) > 0 || j.Restarted != "earlier runs were judged by failure rates, not by the share of the failures that remains" {
		t.Errorf("%+v", j)
	}
	if j := Evaluate(makeAttempts(1, historytest.RunSpec{Day: 40}), makePast(20), nil); j.Restarted != "" {
		t.Errorf("%q", j.Restarted)
	}
}

// A night whose instrument failed says nothing about an arm, tonight or before.
func TestEvaluateBrokenInstrument(t *testing.T) {
	t.Parallel()
	broken := func(r *result.Result) {
		for i := range r.Arms[0].Trials {
			trial := &r.Arms[0].Trials[i]
			trial.Failed /= 2
			trial.Causes[result.SNATRace] = trial.Failed
		}
	}
	j := Evaluate(makeAttempts(2, historytest.RunSpec{Day: 20, Failed: 950, Change: broken}), makePast(20), nil)
	if slices.Contains(findingKinds(j), result.RemainingRose) || j.Shares[0].Nights != 20 {
		t.Errorf("tonight: %+v", j)
	}
	before := makePast(20)
	for day := range 10 {
		before[day] = result.NewRunSummary(historytest.RunSpec{Day: day, Failed: 950, Change: broken}.MakeResult())
	}
	if j := Evaluate(makeAttempts(1, historytest.RunSpec{Day: 20}), before, nil); j.Shares[0].Nights != 10 || len(j.Findings) > 0 {
		t.Errorf("before: %+v", j)
	}
}

// Runs under another key, and runs that ended early, are not compared.
func TestEvaluateOtherRuns(t *testing.T) {
	t.Parallel()
	before := makePast(4)
	before[0].Key.Virtualisation = "qemu"
	before[1].Key.Hash = "sha256:000000000000"
	before[2].Incomplete = "interrupted by SIGINT"
	tonight := makeAttempts(1, historytest.RunSpec{Day: 20})
	if j := Evaluate(tonight, append(before, result.NewRunSummary(tonight[0])), nil); j.Compared != 1 {
		t.Errorf("compared with %d runs", j.Compared)
	}
}

// An arm that is undecided tonight is not worse, and tonight is not compared with nights
// that lost too little.
func TestEvaluateUndecided(t *testing.T) {
	t.Parallel()
	if j := Evaluate(makeAttempts(3, historytest.RunSpec{Day: 20, Change: historytest.DimRun}), makePast(20), nil); len(j.Findings) > 0 || len(j.Doubts) > 0 || j.Again == "" {
		t.Errorf("undecided tonight: %+v", j)
	}
	var before []result.RunSummary
	for day := range 20 {
		r := historytest.RunSpec{Day: day, Change: historytest.DimRun}.MakeResult()
		r.Arms[1].Trials[1].Control.Failed = 0
		before = append(before, result.NewRunSummary(r))
	}
	if j := Evaluate(makeAttempts(2, historytest.RunSpec{Day: 20, Failed: 950}), before[:1], nil); len(findingKinds(j)) > 0 {
		t.Errorf("undecided before: %+v", j.Findings)
	}
}

// An inconclusive run is tried again, and nothing else is concluded from it.
func TestEvaluateInconclusive(t *testing.T) {
	t.Parallel()
	for _, attempts := range []int{1, 3} {
		j := Evaluate(makeAttempts(attempts, historytest.RunSpec{Day: 20, Change: historytest.DimRun}), makePast(20), nil)
		if j.Again == "" || len(j.Findings) > 0 {
			t.Errorf("%d attempts: %+v", attempts, j)
		}
	}
}
