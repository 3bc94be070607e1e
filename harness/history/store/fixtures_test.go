package store

import (
	"path/filepath"
	"testing"

	"snatlab/harness/history/historytest"
	"snatlab/harness/result"
)

// makePast are ordinary runs, one a day, before the day given.
func makePast(days int) (runs []result.RunSummary) {
	for day := range days {
		runs = append(runs, result.NewRunSummary(historytest.RunSpec{Day: day}.MakeResult()))
	}
	return runs
}

func newStore(t *testing.T, results ...*result.Result) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "state", "snatlab"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if err := s.Put(r); err != nil {
			t.Fatal(err)
		}
	}
	return s
}
