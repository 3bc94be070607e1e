package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snatlab/harness/history/historytest"
	"snatlab/harness/result"
)

// labelled returns what makes a result that of a run by hand with a label.
func labelled(label string) func(*result.Result) {
	return func(r *result.Result) { r.Command, r.Label = result.CommandRun, label }
}

// ofScenario makes a run one of another scenario.
func ofScenario(name, label string) func(*result.Result) {
	return func(r *result.Result) { r.Scenario.Name, r.Scenario.Hash, r.Label = name, "sha256:000000000000", label }
}

// namedStore has nights and runs by hand, of days 1 to 8.
func namedStore(t *testing.T) *Store {
	return newStore(t,
		historytest.RunSpec{Day: 1}.MakeResult(),
		historytest.RunSpec{Day: 2, Kernel: "6.12.108", Change: labelled("before")}.MakeResult(),
		historytest.RunSpec{Day: 3, Kernel: "6.12.108", Change: labelled("before")}.MakeResult(),
		historytest.RunSpec{Day: 4, Kernel: "6.18.15-arch1", Change: labelled("after")}.MakeResult(),
		historytest.RunSpec{Day: 5, Kernel: "6.18.15-arch1"}.MakeResult(),
		historytest.RunSpec{Day: 6, Kernel: "6.18.15-arch1", Change: ofScenario("other", "both")}.MakeResult(),
		historytest.RunSpec{Day: 7, Kernel: "6.18.15-arch1", Change: labelled("both")}.MakeResult(),
		historytest.RunSpec{Day: 8, Kernel: "6.18.15-arch1", Change: func(r *result.Result) { r.Incomplete = "interrupted" }}.MakeResult(),
	)
}

// A name means a run, or an error lists what it could mean.
func TestFindRun(t *testing.T) {
	t.Parallel()
	s := namedStore(t)
	runs, _ := listAll(t, s)
	id := func(day int) string { return runs[day-1].ID }
	for _, c := range []struct{ name, want, said string }{
		{id(2), "2", ""},
		{id(2)[:12], "2", ""},
		{"after", "4", ""},
		{"before", "3", "before: 2 runs have this label; the newest is " + id(3) + "  quickstart on 6.12.108, before"},
		{"6.12.107", "1", ""},
		{"6.12", "3", "6.12: 3 runs have such a kernel; the newest is " + id(3) + "  quickstart on 6.12.108, before"},
		{"6.18.15", "6.18.15: runs of 2 scenarios have such a kernel; name one by its ID:\n  " +
			id(6) + "  other on 6.18.15-arch1, both\n  " + id(8) + "  quickstart on 6.18.15-arch1", ""},
		{"both", "both: runs of 2 scenarios have this label; name one by its ID:\n  " +
			id(6) + "  other on 6.18.15-arch1, both\n  " + id(7) + "  quickstart on 6.18.15-arch1, both", ""},
		{"202611", "202611: 8 IDs begin with it; name one:" + listCandidates(runs), ""},
		{"6.1", "6.1: no such file or folder, and no run in the store DIR has this ID, label or kernel (kernels: 6.12.107, 6.12.108, 6.18.15-arch1) (labels: after, before, both)", ""},
		{"other", "other: no such file or folder, and no run in the store DIR has this ID, label or kernel (kernels: 6.12.107, 6.12.108, 6.18.15-arch1) (labels: after, before, both) (it is a scenario: `snatlab history runs other` lists its runs)", ""},
		{"", ": no such file or folder, and no run in the store DIR has this ID, label or kernel (kernels: 6.12.107, 6.12.108, 6.18.15-arch1) (labels: after, before, both)", ""},
	} {
		said := ""
		run, err := s.FindRun(c.name, func(text string) { said += text })
		got := fmt.Sprint(listDays([]result.RunSummary{run})[0])
		if err != nil {
			got = strings.ReplaceAll(err.Error(), s.Dir(), "DIR")
			if !errors.As(err, new(SelectionError)) {
				t.Errorf("%s: %T", c.name, err)
			}
		}
		if got != c.want || said != c.said {
			t.Errorf("%q: got  %s\nwant %s\nsaid %s\nwant %s", c.name, got, c.want, said, c.said)
		}
	}
}

// Of many candidates the last ones are listed.
func TestManyCandidates(t *testing.T) {
	t.Parallel()
	if lines := listCandidates(makePast(13)); !strings.HasPrefix(lines, "\n  (3 earlier)\n  20261104-") || strings.Count(lines, "\n") != 11 {
		t.Errorf("got %s", lines)
	}
}

// A label and the beginning of a version mean the newest run, and a whole release all.
func TestSelectNamed(t *testing.T) {
	t.Parallel()
	s := namedStore(t)
	runs, _ := listAll(t, s)
	night, hand := runs[0].SeriesID(), runs[1].SeriesID()
	newest := func(name string, n int, by string, day int) string {
		return fmt.Sprintf("%s: %d runs have %s; the newest is %s (--all compares all)", name, n, by, describeRun(runs[day-1]))
	}
	for _, c := range []struct {
		name     string
		old, new string
		with     Selector
		want     string // the days of both sides
		said     []string
	}{
		{"labels", "before", "after", Selector{}, "[3] [4]", []string{newest("before", 2, "this label", 3)}},
		{"all runs of a label", "before", "after", Selector{All: true}, "[2 3] [4]", nil},
		{"versions; a run that ended early is not taken", "6.12", "6.18", Selector{Scenario: "quickstart"}, "[3] [7]",
			[]string{newest("6.12", 3, "such a kernel", 3), newest("6.18", 4, "such a kernel", 7)}},
		{"a whole release is its nights", "6.12.107", "6.18.15", Selector{Scenario: "quickstart"}, "[1] [5 8]", nil},
		{"runs by hand where there are no nights", "6.12.108", "6.18.15", Selector{Scenario: "quickstart"}, "[2 3] [5 8]", nil},
		{"a series by hand", "6.12", "6.18.15", Selector{Series: hand}, "[3] [4 7]", []string{newest("6.12", 2, "such a kernel", 3)}},
		{"the series of a key", "6.12", "6.18.15", Selector{Series: night}, "[3] [5 8]", []string{newest("6.12", 3, "such a kernel", 3)}},
		{"IDs and beginnings of them", runs[0].ID, runs[4].ID[:14], Selector{}, "[1] [5]", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var said []string
			c.with.Dir, c.with.Warn = s.Dir(), func(text string) { said = append(said, text) }
			before, after, err := c.with.Select(c.old, c.new)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(resultDays(before), resultDays(after)); got != c.want || strings.Join(said, "\n") != strings.Join(c.said, "\n") {
				t.Errorf("got %s, want %s; said\n%s\nwant\n%s", got, c.want, strings.Join(said, "\n"), strings.Join(c.said, "\n"))
			}
		})
	}
}

// A file of a name is used, and the run of that name is said; the folder of the run itself
// is no other run.
func TestDescribeShadowed(t *testing.T) {
	s := namedStore(t)
	runs, _ := listAll(t, s)
	t.Chdir(t.TempDir())
	writeText(t, "before", "")
	want := "before is a file in this folder, and it is used. In the store, 2 runs have this label as well; name it by its ID: " + describeRun(runs[2])
	if got := s.DescribeShadowed("before"); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got := s.DescribeShadowed(filepath.Join(".", "nothing")); got != "" {
		t.Errorf("got %s", got)
	}
	t.Chdir(s.Dir())
	for _, name := range []string{runs[0].Folder, "./before"} {
		if got := s.DescribeShadowed(name); got != "" {
			t.Errorf("%s: got %s", name, got)
		}
	}
	if _, err := os.Stat(runs[0].Folder); err != nil {
		t.Error(err)
	}
}
