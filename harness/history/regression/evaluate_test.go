package regression

import (
	"math"
	"slices"
	"strings"
	"testing"

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
	want := []result.FindingKind{result.VerdictFell, result.FailuresRose, result.ExpectationBroken}
	if !cmp.Equal(findingKinds(j), want) || j.Again != "" {
		t.Fatalf("%+v", j)
	}
	for i, text := range []string{
		"random-fully is no longer mitigated, but no-difference: it failed 7,600 of 48,000 (15.8 %), in the best of 2 attempts; it was mitigated in 20 of 20 earlier runs",
		"random-fully failed 7,600 of 48,000 (15.8 %), in the best of 2 attempts; in 20 earlier runs at most 0",
	} {
		if got := j.Findings[i].Text; got != text {
			t.Errorf("got  %s\nwant %s", got, text)
		}
	}
	if p := *j.Findings[0].P; math.Abs(p-1./231) > 1e-12 { // C(22, 2)
		t.Errorf("p = %v", p)
	}
}

// A good second attempt refutes the first.
func TestEvaluateGoodRetry(t *testing.T) {
	t.Parallel()
	all := append(makeAttempts(1, historytest.RunSpec{Day: 20, Failed: 950}), historytest.RunSpec{Day: 20}.MakeResult())
	if j := Evaluate(all, makePast(20), nil); len(j.Findings) > 0 || j.Again != "" {
		t.Errorf("%+v", j)
	}
}

// A regression is reported every night until it is repaired.
func TestEvaluateLastingLoss(t *testing.T) {
	t.Parallel()
	before := makePast(20)
	for day := 20; day < 60; day++ {
		tonight := makeAttempts(3, historytest.RunSpec{Day: day, Failed: 950})
		j := Evaluate(tonight, before, nil)
		want := []result.FindingKind{result.VerdictFell, result.FailuresRose, result.ExpectationBroken}
		if len(before)+len(tonight) > 4*20 { // less than a quarter is without the rise
			want = slices.Delete(want, 1, 2)
		}
		if !cmp.Equal(findingKinds(j), want) {
			t.Fatalf("night %d: %+v", day-19, j)
		}
		if day > 20 && !strings.HasSuffix(j.Findings[0].Text, "mitigated in 20 of 20 earlier runs, since 2026-11-21") {
			t.Errorf("night %d: %s", day-19, j.Findings[0].Text)
		}
		for _, r := range tonight {
			before = append(before, result.NewRunSummary(r))
		}
	}
	if j := Evaluate(makeAttempts(1, historytest.RunSpec{Day: 60}), before, nil); len(j.Findings) > 0 {
		t.Errorf("repaired: %+v", j)
	}
}

// A rise of the failures of a mitigated arm is a regression from a floor on.
func TestEvaluateRise(t *testing.T) {
	t.Parallel()
	before := makePast(20)
	for day := range before { // two random draws can meet
		before[day].Arms[1].Failed = day % 3
	}
	for _, c := range []struct {
		name   string
		failed int // in each of 8 trials
		want   int
	}{{"a stray one", 0, 0}, {"below the floor", 2, 0}, {"still mitigated, but 40 failed", 5, 1}} {
		tonight := makeAttempts(3, historytest.RunSpec{Day: 20, Failed: c.failed})
		if c.failed == 0 {
			tonight[0].Arms[1].Trials[3].Failed = 1
		}
		j := Evaluate(tonight, before, nil)
		if len(j.Findings) != c.want || j.Again != "" {
			t.Errorf("%s: %+v", c.name, j)
		}
		if c.want == 1 {
			f := j.Findings[0]
			if want := "random-fully failed 40 of 48,000 (0.08 %), in the best of 3 attempts; in 20 earlier runs at most 2"; f.Kind != result.FailuresRose || f.Text != want {
				t.Errorf("%s: %+v", c.name, f)
			}
		}
	}
}

// An earlier rise does not count as usual.
func TestEvaluateEarlierRise(t *testing.T) {
	t.Parallel()
	before := makePast(40)
	for day := range before {
		before[day].Arms[1].Failed = 10 + day%9
	}
	before[17].Arms[1].Failed = 400
	j := Evaluate(makeAttempts(2, historytest.RunSpec{Day: 40, Failed: 6}), before, nil)
	want := "random-fully failed 48 of 48,000 (0.10 %), in the best of 2 attempts; in 39 of 40 earlier runs at most 18"
	if len(j.Findings) != 1 || j.Findings[0].Text != want {
		t.Errorf("%+v", j)
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

// A verdict or an expectation that was always good needs no long history.
func TestEvaluateShortHistory(t *testing.T) {
	t.Parallel()
	broken := historytest.RunSpec{Day: 2, Failed: 950}
	j := Evaluate(makeAttempts(2, broken), makePast(2), nil)
	if !cmp.Equal(findingKinds(j), []result.FindingKind{result.VerdictFell, result.ExpectationBroken}) {
		t.Fatalf("%+v", j)
	}
	if want := "; it held in 2 of 2 earlier runs"; !strings.HasSuffix(j.Findings[1].Text, want) {
		t.Errorf("%s", j.Findings[1].Text)
	}
	want := []string{"random-fully failed 7,600 of 48,000 (15.8 %), in the best of 2 attempts; in 2 earlier runs at most 0; that may be chance (p = 0.17)"}
	if !cmp.Equal(j.Doubts, want) || len(j.Warnings) > 0 {
		t.Errorf("%q, %q", j.Doubts, j.Warnings)
	}
	if j := Evaluate(makeAttempts(2, historytest.RunSpec{Failed: 950}), nil, nil); len(j.Findings)+len(j.Doubts) > 0 || j.Compared != 0 {
		t.Errorf("the first run: %+v", j)
	}
}

// A mitigation that is lost after few runs is tried again, even if the scenario
// expects nothing of it.
func TestEvaluateRetries(t *testing.T) {
	t.Parallel()
	gone := historytest.RunSpec{Day: 5, Failed: 950, Change: func(r *result.Result) { r.Expected = r.Expected[:1] }}
	if j := Evaluate(makeAttempts(1, gone), makePast(5), nil); len(j.Findings) > 0 || j.Again == "" {
		t.Errorf("after one attempt: %+v", j)
	}
	if j := Evaluate(makeAttempts(2, gone), makePast(5), nil); !cmp.Equal(findingKinds(j), []result.FindingKind{result.VerdictFell}) {
		t.Errorf("after two: %+v", j)
	}
}

// An arm that was bad before needs a small p.
func TestEvaluateBadBefore(t *testing.T) {
	t.Parallel()
	bad, before := historytest.RunSpec{Day: 4, Failed: 950}, makePast(4)
	before[1] = result.NewRunSummary(historytest.RunSpec{Day: 1, Failed: 950}.MakeResult())
	j := Evaluate(makeAttempts(2, bad), before, nil)
	if len(j.Findings) > 0 || len(j.Doubts) != 3 || !strings.Contains(j.Doubts[0], "it was mitigated in 3 of 4 earlier runs; that may be chance (p = 0.2)") {
		t.Errorf("%+v", j)
	}
}

// A doubt about a known failure is none.
func TestEvaluateKnownDoubt(t *testing.T) {
	t.Parallel()
	known, err := ParseKnown("known.yaml", []byte(knownFile))
	checkError(t, err)
	before := makePast(4)
	before[1] = result.NewRunSummary(historytest.RunSpec{Day: 1, Failed: 950}.MakeResult())
	j := Evaluate(makeAttempts(2, historytest.RunSpec{Day: 4, Failed: 950}), before, known)
	if !cmp.Equal(findingKinds(j), []result.FindingKind{result.ExpectationBroken}) || j.Findings[0].Known == "" || len(j.Doubts) != 2 {
		t.Errorf("%+v", j)
	}
}

// A finding about an expectation has its claim in words, and its identity.
func TestFindingExpectation(t *testing.T) {
	t.Parallel()
	tonight := makeAttempts(2, historytest.RunSpec{Day: 20, Failed: 950})
	j := Evaluate(tonight, makePast(20), nil)
	if got := j.Findings[2].Claim; got != "reduction >= 99 %" || j.Findings[0].Claim != "" {
		t.Errorf("%q", got)
	}
	for i, want := range []bool{false, true} {
		if j.Findings[2].IsBroken(tonight[0].Expected[i]) != want || j.Findings[0].IsBroken(tonight[0].Expected[i]) {
			t.Errorf("expectation %d: %+v", i, j.Findings[2])
		}
	}
}

// One good attempt ends a streak.
func TestEvaluateStreakEnds(t *testing.T) {
	t.Parallel()
	before := makePast(20)
	for day := 20; day < 26; day++ {
		before = append(before, result.NewRunSummary(historytest.RunSpec{Day: day, Failed: 950}.MakeResult()))
	}
	before = append(before, result.NewRunSummary(historytest.RunSpec{Day: 26}.MakeResult()))
	j := Evaluate(makeAttempts(3, historytest.RunSpec{Day: 27, Failed: 950}), before, nil)
	if len(j.Findings) > 0 || len(j.Doubts) != 3 || !strings.Contains(j.Doubts[0], "it was mitigated in 21 of 27 earlier runs; that may be chance") {
		t.Errorf("%+v", j)
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

// An expectation that often fails is no regression.
func TestEvaluateFlakyClaim(t *testing.T) {
	t.Parallel()
	before := makePast(20)
	for day := range before {
		if day%2 == 0 {
			before[day].Expected[1].Held = new(false)
		}
	}
	j := Evaluate(makeAttempts(2, historytest.RunSpec{Day: 20, Change: func(r *result.Result) { r.Expected[1].Reduction = new(1.0); r.Arms[1].Trials[2].Failed = 3 }}), before, nil)
	if len(j.Findings) > 0 {
		t.Errorf("%+v", j)
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

// A baseline whose rate moves is a shift.
func TestEvaluateShift(t *testing.T) {
	t.Parallel()
	before := makePast(20)
	for day := 20; day < 23; day++ {
		before = append(before, result.NewRunSummary(historytest.RunSpec{Day: day, Kernel: "6.18.15", Lost: 300}.MakeResult()))
	}
	j := Evaluate(makeAttempts(1, historytest.RunSpec{Day: 23, Kernel: "6.18.15", Lost: 290}), before, nil)
	if !cmp.Equal(findingKinds(j), []result.FindingKind{result.Shift}) || j.Again != "" ||
		!strings.HasPrefix(j.Findings[0].Text, "masquerade lost 5.00 % in the last 4 runs (median), and 16") ||
		!strings.HasSuffix(j.Findings[0].Text, " in the 20 before, since kernel 6.18.15 (6.12.107 before it)") {
		t.Errorf("%+v", j)
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

// An undecided arm is not worse, and tonight is not compared with undecided runs.
func TestEvaluateUndecided(t *testing.T) {
	t.Parallel()
	if j := Evaluate(makeAttempts(3, historytest.RunSpec{Day: 20, Change: historytest.ShortenRun}), makePast(20), nil); cmp.Equal(findingKinds(j), []result.FindingKind{result.VerdictFell}) {
		t.Errorf("undecided tonight: %+v", j.Findings)
	}
	var before []result.RunSummary
	for day := range 20 {
		before = append(before, result.NewRunSummary(historytest.RunSpec{Day: day, Change: historytest.ShortenRun}.MakeResult()))
	}
	if j := Evaluate(makeAttempts(3, historytest.RunSpec{Day: 20, Failed: 950}), before, nil); len(findingKinds(j)) > 0 {
		t.Errorf("undecided before: %+v", j.Findings)
	}
}

// An inconclusive run is tried again, and nothing else is concluded from it.
func TestEvaluateInconclusive(t *testing.T) {
	t.Parallel()
	j := Evaluate(makeAttempts(1, historytest.RunSpec{Day: 20, Lost: 1}), makePast(20), nil)
	if j.Again == "" || len(j.Findings) > 0 {
		t.Errorf("%+v", j)
	}
	if j := Evaluate(makeAttempts(3, historytest.RunSpec{Day: 20, Lost: 1}), makePast(20), nil); cmp.Equal(findingKinds(j), []result.FindingKind{result.VerdictFell}) {
		t.Errorf("an arm cannot fall where no race was: %+v", j)
	}
}
