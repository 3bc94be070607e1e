package regression

import (
	"fmt"
	"slices"
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

// Two results are compared by the shares that remain in each, and that is said.
func TestCompareTwoResults(t *testing.T) {
	t.Parallel()
	c := mustCompare(t, makeGroup("old", 1, historytest.RunSpec{Day: 1}), makeGroup("new", 1, historytest.RunSpec{Day: 2, Kernel: "6.18.15"}))
	if c.Unit != "trial" || c.Verdict != result.Pass || c.Summary != "No regression from old to new." {
		t.Errorf("%+v", c)
	}
	if !cmp.Equal(c.Warnings, []string{"two single runs are compared: the share of the failures that remains is measured within each run, but the failure rates " +
		"also differ with the state of the machine, which two runs cannot show; they are information"}) {
		t.Errorf("%q", c.Warnings)
	}
	a := c.Arms[1]
	if a.Old.Requests != 48000 || a.Old.Remaining == nil || *a.Old.Remaining.Estimate != 0 || a.Old.Units != result.UnitTrial || a.New.Verdicts[result.Mitigated] != 1 {
		t.Errorf("%+v", a)
	}
}

// The baseline's rate differs between two single runs, which is no finding.
func TestCompareTwoRates(t *testing.T) {
	t.Parallel()
	c := mustCompare(t, makeGroup("old", 1, historytest.RunSpec{Day: 1}), makeGroup("new", 1, historytest.RunSpec{Day: 2, Lost: 200}))
	if c.Verdict != result.Pass || len(c.Findings) > 0 || *c.Arms[0].Rate.Estimate > -0.7 {
		t.Errorf("%+v", c)
	}
}

// A lost mitigation is a regression between two results, and its return is none.
func TestCompareLostMitigation(t *testing.T) {
	t.Parallel()
	c := mustCompare(t, makeGroup("old", 1, historytest.RunSpec{Day: 1}), makeGroup("new", 1, historytest.RunSpec{Day: 2, Failed: 950}))
	want := []result.FindingKind{result.RemainingRose, result.ExpectationBroken}
	if !cmp.Equal(listKinds(c), want) || c.Verdict != result.Fail || c.Summary != "2 regressions from old to new." {
		t.Fatalf("%+v", c)
	}
	if text := c.Findings[0].Text; !strings.HasPrefix(text, "random-fully: ") || !strings.HasSuffix(text, " of the failures remain, and 0 % (99.9 % interval 0 to 0.11 %) before") {
		t.Errorf("%s", text)
	}
	if back := mustCompare(t, makeGroup("old", 1, historytest.RunSpec{Day: 2, Failed: 950}), makeGroup("new", 1, historytest.RunSpec{Day: 1})); back.Verdict != result.Pass {
		t.Errorf("repaired: %+v", back)
	}
}

// Old results are compared as they were judged, and that is said.
func TestCompareOldResults(t *testing.T) {
	t.Parallel()
	old := func(g store.Group) store.Group {
		for _, r := range g.Results {
			for i := range r.Comparisons {
				c := &r.Comparisons[i]
				if c.Method, c.Remaining = "", nil; c.Verdict != result.Mitigated {
					c.Verdict = result.NoDifference
				}
			}
			r.Instrument = nil
		}
		return g
	}
	said := func(c *result.GroupComparison, text string) bool {
		return slices.ContainsFunc(c.Warnings, func(w string) bool { return strings.Contains(w, text) })
	}
	c := mustCompare(t, old(makeGroup("old", 1, historytest.RunSpec{Day: 1})), old(makeGroup("new", 1, historytest.RunSpec{Day: 2, Failed: 950})))
	want := []result.FindingKind{result.VerdictFell, result.FailuresRose, result.ExpectationBroken}
	if !cmp.Equal(listKinds(c), want) || !said(c, "the runs were judged by failure rates") {
		t.Errorf("%v, %q", listKinds(c), c.Warnings)
	}
	c = mustCompare(t, old(makeGroup("old", 1, historytest.RunSpec{Day: 1})), makeGroup("new", 1, historytest.RunSpec{Day: 2, Failed: 950}))
	if !cmp.Equal(listKinds(c), []result.FindingKind{result.FailuresRose}) || !said(c, "verdicts and expectations are not compared") {
		t.Errorf("mixed: %v, %q", listKinds(c), c.Warnings)
	}
}

// Many runs are compared by their medians, few by their trials.
func TestCompareManyRuns(t *testing.T) {
	t.Parallel()
	c := mustCompare(t, makeGroup("old", 6, historytest.RunSpec{Day: 1}), makeGroup("new", 6, historytest.RunSpec{Day: 10, Kernel: "6.18.15", Lost: 2000}))
	if c.Unit != "run" || c.Verdict != result.Pass || len(c.Warnings) > 0 || !cmp.Equal(listKinds(c), []result.FindingKind{result.Shift}) {
		t.Errorf("%+v", c)
	}
	if c.Arms[1].Old.Units != result.UnitNight || c.Arms[1].Old.Remaining.Trials != 6 {
		t.Errorf("%+v", c.Arms[1].Old)
	}
	if c := mustCompare(t, makeGroup("old", 2, historytest.RunSpec{Day: 1}), makeGroup("new", 3, historytest.RunSpec{Day: 10})); c.Unit != "trial" || len(c.Warnings) != 1 ||
		!strings.HasPrefix(c.Warnings[0], "2 runs and 3 runs are too few to compare runs: a failure rate is that of a trial") {
		t.Errorf("%+v", c)
	}
}

// Runs that disagree are added up.
func TestCompareMixedRuns(t *testing.T) {
	t.Parallel()
	some := makeGroup("new", 6, historytest.RunSpec{Day: 10})
	for i := range 5 {
		some.Results[i] = historytest.RunSpec{Day: 10 + i, Failed: 950}.MakeResult()
	}
	c := mustCompare(t, makeGroup("old", 8, historytest.RunSpec{Day: 1}), some)
	if want := []result.FindingKind{result.RemainingRose, result.ExpectationBroken}; c.Verdict != result.Fail || !cmp.Equal(listKinds(c), want) {
		t.Errorf("5 of 6: %+v", c.Findings)
	}
}

// A side that lost too little is inconclusive.
func TestCompareWithoutHits(t *testing.T) {
	t.Parallel()
	c := mustCompare(t, makeGroup("old", 1, historytest.RunSpec{Day: 1}), makeGroup("new", 1, historytest.RunSpec{Day: 2, Change: historytest.DimRun}))
	want := "Too few requests failed in new to compare an arm: 4 at most, of an arm and its control together; it takes 11."
	if c.Verdict != result.Inconclusive || c.Summary != want {
		t.Errorf("%s: %s", c.Verdict, c.Summary)
	}
}

// An arm that lost too little to compare does not change the verdict of another arm.
func TestCompareUndecidedArm(t *testing.T) {
	t.Parallel()
	dim := func(r *result.Result) {
		a := result.Arm{Name: "split", Settings: []string{}}
		for round := range 8 {
			a.Trials = append(a.Trials, historytest.MakeTrial(round, 0, result.SNATRace, round%2))
		}
		r.Arms = append(r.Arms, a)
	}
	c := mustCompare(t, makeGroup("old", 1, historytest.RunSpec{Day: 1, Change: dim}), makeGroup("new", 1, historytest.RunSpec{Day: 2, Change: dim}))
	want := "new lost too little to show how much of the failures remains under split: that is not compared"
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
