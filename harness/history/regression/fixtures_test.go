package regression

import (
	"fmt"
	"testing"

	"snatlab/harness/history/historytest"
	"snatlab/harness/result"
)

// makePast returns ordinary runs of that many days, one a day.
func makePast(days int) (runs []result.RunSummary) {
	for day := range days {
		runs = append(runs, result.NewRunSummary(historytest.RunSpec{Day: day}.MakeResult()))
	}
	return runs
}

// makeAttempts returns n attempts of one night.
func makeAttempts(n int, like historytest.RunSpec) (all []*result.Result) {
	for i := range n {
		r := like.MakeResult()
		r.ID = fmt.Sprintf("%s-%d", r.ID, i)
		all = append(all, r)
	}
	return all
}

func checkError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
