package regression

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/history/historytest"
	"snatlab/harness/history/store"
	"snatlab/harness/result"
)

// makeGroup returns a group of n runs, one a day.
func makeGroup(name string, n int, like historytest.RunSpec) store.Group {
	g := store.Group{Name: name}
	for range n {
		g.Results = append(g.Results, like.MakeResult())
		like.Day++
	}
	return g
}

func mustCompare(t *testing.T, before, after store.Group) *result.GroupComparison {
	t.Helper()
	c, err := CompareGroups(before, after)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func listKinds(c *result.GroupComparison) (all []result.FindingKind) {
	for _, f := range c.Findings {
		all = append(all, f.Kind)
	}
	return all
}

// Two results are compared by their trials.
func TestCompareTwoResults(t *testing.T) {
	t.Parallel()
	c := mustCompare(t, makeGroup("old", 1, historytest.RunSpec{Day: 1}), makeGroup("new", 1, historytest.RunSpec{Day: 2, Kernel: "6.18.15"}))
	if c.Unit != "trial" || c.Verdict != result.Pass || c.Summary != "No regression from old to new." {
		t.Errorf("%+v", c)
	}
	if !cmp.Equal(c.Warnings, []string{"one run on each side: p does not cover differences from night to night"}) {
		t.Errorf("%q", c.Warnings)
	}
	if a := c.Arms[1]; a.Old.Requests != 48000 || a.Rate.P == nil || *a.Rate.P != 1 || a.New.Verdicts[result.Mitigated] != 1 {
		t.Errorf("%+v", a)
	}
}

// A lost mitigation is a regression between two results, and its return is none.
func TestCompareLostMitigation(t *testing.T) {
	t.Parallel()
	c := mustCompare(t, makeGroup("old", 1, historytest.RunSpec{Day: 1}), makeGroup("new", 1, historytest.RunSpec{Day: 2, Failed: 950}))
	want := []result.FindingKind{result.VerdictFell, result.FailuresRose, result.ExpectationBroken}
	if !cmp.Equal(listKinds(c), want) || c.Verdict != result.Fail || c.Summary != "3 regressions from old to new." {
		t.Fatalf("%+v", c)
	}
	for i, text := range []string{
		"random-fully was mitigated in 1 of 1 run, and is in 0 of 1 run: it failed 7,600 of 48,000 (15.8 %), and 0 of 48,000 (0 %) before",
		"random-fully failed 7,600 of 48,000 (15.8 %), and 0 of 48,000 (0 %) before",
	} {
		if got := c.Findings[i].Text; got != text {
			t.Errorf("got  %s\nwant %s", got, text)
		}
	}
	if back := mustCompare(t, makeGroup("old", 1, historytest.RunSpec{Day: 2, Failed: 950}), makeGroup("new", 1, historytest.RunSpec{Day: 1})); back.Verdict != result.Pass {
		t.Errorf("repaired: %+v", back)
	}
}

// Many runs are compared by their medians, few by their trials.
func TestCompareManyRuns(t *testing.T) {
	t.Parallel()
	c := mustCompare(t, makeGroup("old", 6, historytest.RunSpec{Day: 1}), makeGroup("new", 6, historytest.RunSpec{Day: 10, Kernel: "6.18.15", Lost: 2000}))
	if c.Unit != "run" || c.Verdict != result.Pass || len(c.Warnings) > 0 || !cmp.Equal(listKinds(c), []result.FindingKind{result.Shift}) {
		t.Errorf("%+v", c)
	}
	if c := mustCompare(t, makeGroup("old", 2, historytest.RunSpec{Day: 1}), makeGroup("new", 3, historytest.RunSpec{Day: 10})); c.Unit != "trial" || len(c.Warnings) != 1 ||
		!strings.HasPrefix(c.Warnings[0], "2 runs and 3 runs are too few to compare runs: a value is a trial") {
		t.Errorf("%+v", c)
	}
}

// Runs that disagree need a small p.
func TestCompareMixedRuns(t *testing.T) {
	t.Parallel()
	some := makeGroup("new", 6, historytest.RunSpec{Day: 10})
	some.Results[0] = historytest.RunSpec{Day: 10, Failed: 950}.MakeResult()
	if c := mustCompare(t, makeGroup("old", 6, historytest.RunSpec{Day: 1}), some); c.Verdict != result.Pass {
		t.Errorf("1 of 6: %+v", c.Findings)
	}
	for i := range 5 {
		some.Results[i] = historytest.RunSpec{Day: 10 + i, Failed: 950}.MakeResult()
	}
	c := mustCompare(t, makeGroup("old", 8, historytest.RunSpec{Day: 1}), some)
	if c.Verdict != result.Fail || c.Findings[0].P == nil || *c.Findings[0].P >= 0.01 {
		t.Errorf("5 of 6: %+v", c.Findings)
	}
}

// A baseline without the race is inconclusive.
func TestCompareWithoutRace(t *testing.T) {
	t.Parallel()
	none := func(r *result.Result) {
		for i := range r.Arms[0].Trials {
			r.Arms[0].Trials[i] = historytest.MakeTrial(i, 0, result.SNATRace)
		}
	}
	for name, c := range map[string]struct {
		new  historytest.RunSpec
		want string
	}{
		"no_hit":   {historytest.RunSpec{Day: 2, Change: none}, "The race did not occur in masquerade of new, so nothing can be said about a mitigation."},
		"few_hits": {historytest.RunSpec{Day: 2, Lost: 1}, "The hits in masquerade of new are too few to judge, 8 in a run at most, so nothing can be said about a mitigation: it takes 20."},
	} {
		t.Run(name, func(t *testing.T) {
			got := mustCompare(t, makeGroup("old", 1, historytest.RunSpec{Day: 1}), makeGroup("new", 1, c.new))
			if got.Verdict != result.Inconclusive || got.Summary != c.want {
				t.Errorf("%s: %s", got.Verdict, got.Summary)
			}
		})
	}
}

// Six runs a side are enough for a test over runs. If none of them decides whether the
// arm mitigates, the comparison is inconclusive.
func TestCompareUndecidedRuns(t *testing.T) {
	t.Parallel()
	few := func(r *result.Result) {
		historytest.ShortenRun(r)
		for i := range r.Arms[1].Trials {
			r.Arms[1].Trials[i] = historytest.MakeTrial(i, 900, result.SNATRace)
		}
	}
	c := mustCompare(t, makeGroup("old", 6, historytest.RunSpec{Day: 1, Change: historytest.ShortenRun}), makeGroup("new", 6, historytest.RunSpec{Day: 10, Change: few}))
	if c.Unit != "run" || c.Verdict != result.Inconclusive ||
		c.Summary != "No run of old decided whether an arm mitigates, so nothing can be said about a mitigation." {
		t.Errorf("%s: %s", c.Verdict, c.Summary)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("%q", c.Warnings)
	}
	if c.Arms[1].Old.Verdicts[result.Undecided] != 6 {
		t.Errorf("%v", c.Arms[1].Old.Verdicts)
	}
}

// An arm that is undecided does not change the verdict of another arm.
func TestCompareUndecidedArm(t *testing.T) {
	t.Parallel()
	late := func(r *result.Result) {
		r.Arms = append(r.Arms, result.Arm{Name: "split", Settings: []string{}, Trials: r.Arms[1].Trials[:3]})
	}
	c := mustCompare(t, makeGroup("old", 1, historytest.RunSpec{Day: 1, Change: late}), makeGroup("new", 1, historytest.RunSpec{Day: 2, Change: late}))
	want := "no run of new decided whether split mitigates: that is not compared"
	if n := len(c.Warnings); c.Verdict != result.Pass || n != 3 || c.Warnings[n-1] != want {
		t.Errorf("%s: %q", c.Verdict, c.Warnings)
	}
}

// Different scenarios are not compared.
func TestCompareOtherScenarios(t *testing.T) {
	t.Parallel()
	other := makeGroup("new", 1, historytest.RunSpec{Day: 2, Change: func(r *result.Result) { r.Scenario.Hash, r.Scenario.Name = "sha256:0", "other" }})
	_, err := CompareGroups(makeGroup("old", 1, historytest.RunSpec{Day: 1}), other)
	want := "old and new are of different scenarios, and nothing can be compared: quickstart (sha256:5b0c94d2e1a7) and other (sha256:0)"
	if fmt.Sprint(err) != want {
		t.Errorf("%v", err)
	}
}

// Runs that ended early are left out.
func TestCompareEarlyEnds(t *testing.T) {
	t.Parallel()
	early := func(r *result.Result) { r.Incomplete = "interrupted" }
	g := makeGroup("new", 2, historytest.RunSpec{Day: 2})
	early(g.Results[1])
	if c := mustCompare(t, makeGroup("old", 1, historytest.RunSpec{Day: 1}), g); len(c.New.Runs) != 1 || c.Warnings[0] != "new: 1 run left out, which ended early" {
		t.Errorf("%+v", c)
	}
	if _, err := CompareGroups(makeGroup("old", 1, historytest.RunSpec{Day: 1}), makeGroup("new", 1, historytest.RunSpec{Day: 2, Change: early})); fmt.Sprint(err) != "new: every run ended early" {
		t.Errorf("%v", err)
	}
}

// Differences of the environment are listed.
func TestFindDifferences(t *testing.T) {
	t.Parallel()
	other := historytest.RunSpec{Day: 2, Kernel: "6.18.15", Change: func(r *result.Result) {
		r.Environment.CPUs, r.Environment.CPUModel = 4, new("Model 2")
		r.Environment.Sysctls = map[string]string{"net.ipv4.ip_forward": "1"}
	}}
	c := mustCompare(t, makeGroup("old", 1, historytest.RunSpec{Day: 1}), makeGroup("new", 1, other))
	want := []result.Difference{
		{What: "cpus", Old: "2", New: "4", Key: true},
		{What: "cpu_model", Old: "Model 1", New: "Model 2"},
		{What: "sysctl net.ipv4.ip_forward", New: "1"},
	}
	if diff := cmp.Diff(want, c.Differs); diff != "" {
		t.Error(diff)
	}
}
