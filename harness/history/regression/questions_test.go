package regression

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/history/historytest"
	"snatlab/harness/result"
)

// Every kind of finding is one question, which can be asked in both ways, but for those
// about results that no night makes any more.
func TestQuestions(t *testing.T) {
	t.Parallel()
	want := []result.FindingKind{result.RemainingRose, result.VerdictFell, result.FailuresRose, result.NewCause, result.ExpectationBroken, result.Shift}
	var kinds []result.FindingKind
	for _, q := range questions {
		kinds = append(kinds, q.kind)
		isOld := q.kind == result.VerdictFell || q.kind == result.FailuresRose
		if (q.askNight == nil) != isOld || q.askGroups == nil || (q.ofScenario == nil) == (q.ofArm == nil) {
			t.Errorf("%s cannot be asked", q.kind)
		}
	}
	if !slices.Equal(kinds, want) {
		t.Errorf("%v, want %v", kinds, want)
	}
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	run := result.NewRunSummary(historytest.RunSpec{Failed: 3, Cause: result.PortExhaustion}.MakeResult())
	want := []subject{
		{kind: result.RemainingRose, arm: "random-fully"},
		{kind: result.VerdictFell, arm: "random-fully"},
		{kind: result.FailuresRose, arm: "random-fully"},
		{kind: result.NewCause, arm: "random-fully", cause: result.PortExhaustion},
		{kind: result.ExpectationBroken, arm: "masquerade", expectation: run.Expected[0]},
		{kind: result.ExpectationBroken, arm: "random-fully", expectation: run.Expected[1]},
		{kind: result.Shift, arm: "masquerade"},
	}
	var got []subject
	for _, s := range listSubjects([]result.RunSummary{run}) {
		got = append(got, s)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(subject{})); diff != "" {
		t.Error(diff)
	}
}
