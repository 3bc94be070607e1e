package store

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/history/historytest"
	"snatlab/harness/result"
)

// listDays returns the days of runs, counted from the first day, a Sunday.
func listDays(runs []result.RunSummary) (all []int) {
	for _, r := range runs {
		all = append(all, int(r.Started.Sub(historytest.FirstDay).Hours()/24))
	}
	return all
}

// Thinning keeps the runs that users look for.
func TestSelectThinned(t *testing.T) {
	t.Parallel()
	runs := makePast(30)
	for i := 20; i < 30; i++ {
		runs[i].Kernel = "6.18.15"
	}
	runs[10].Arms[1].Verdict = "reduced"
	// Weeks begin on days 1, 8, 15, 22 and 29. The change of verdict on day 10
	// keeps 9 to 11, the change of kernel 19 and 20, and 7 days 23 on.
	now := historytest.FirstDay.AddDate(0, 0, 30)
	thinned := listDays(Policy{Days: 7}.selectThinned(runs, now))
	if want := []int{2, 3, 4, 5, 6, 7, 12, 13, 14, 16, 17, 18, 21}; !cmp.Equal(thinned, want) {
		t.Errorf("thinned %v, want %v", thinned, want)
	}
	if thinned := (Policy{Days: 30}.selectThinned(runs, now)); len(thinned) > 0 {
		t.Errorf("within the days that are kept: %v", listDays(thinned))
	}
}

// Each series is thinned by itself.
func TestSelectThinnedBySeries(t *testing.T) {
	t.Parallel()
	runs := makePast(6)
	runs[4].Key.CPUs = 4
	runs[5].Key.CPUs = 4
	if thinned := listDays(Policy{}.selectThinned(runs, historytest.FirstDay.AddDate(0, 0, 9))); !cmp.Equal(thinned, []int{2}) {
		t.Errorf("thinned %v", thinned)
	}
}

// Runs by hand are thinned by themselves, and do not change which nights are kept.
func TestSelectThinnedByHand(t *testing.T) {
	t.Parallel()
	runs := makePast(6)
	runs[2].Command, runs[2].Verdict = result.CommandRun, result.Inconclusive
	if thinned := listDays(Policy{}.selectThinned(runs, historytest.FirstDay.AddDate(0, 0, 9))); !cmp.Equal(thinned, []int{3, 4}) {
		t.Errorf("thinned %v", thinned)
	}
}

// A run with a label is kept.
func TestSelectThinnedLabel(t *testing.T) {
	t.Parallel()
	runs := makePast(6)
	runs[3].Label = "before-upgrade"
	if thinned := listDays(Policy{}.selectThinned(runs, historytest.FirstDay.AddDate(0, 0, 9))); !cmp.Equal(thinned, []int{2, 4}) {
		t.Errorf("thinned %v", thinned)
	}
}

// A dry run removes nothing.
func TestPrune(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for day := range 5 {
		checkError(t, s.Put(historytest.RunSpec{Day: 1 + day}.MakeResult()))
	}
	now := historytest.FirstDay.AddDate(1, 0, 0)
	for _, dry := range []bool{true, false} {
		pruned, err := s.Prune(Policy{KeepDays}, now, dry)
		if err != nil || !cmp.Equal(listDays(pruned.Runs), []int{2, 3, 4}) {
			t.Errorf("dry %v: %v, %v", dry, listDays(pruned.Runs), err)
		}
	}
	runs, warnings := listAll(t, s)
	if entries, err := os.ReadDir(s.Dir()); !cmp.Equal(listDays(runs), []int{1, 5}) || len(warnings) > 0 || len(entries) != 4 || err != nil {
		t.Errorf("%v, %q, %v, %v", listDays(runs), warnings, entries, err)
	}
	if pruned, err := s.Prune(Policy{KeepDays}, now, false); err != nil || len(pruned.Runs) > 0 {
		t.Errorf("again: %v, %v", listDays(pruned.Runs), err)
	}
}
