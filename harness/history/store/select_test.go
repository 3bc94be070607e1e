package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/history/historytest"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

// underCPUs changes the series of a run, but not its scenario.
func underCPUs(n int) func(*result.Result) {
	return func(r *result.Result) { r.Environment.CPUs = n }
}

func TestSelect(t *testing.T) {
	t.Parallel()
	other := func(r *result.Result) { r.Scenario.Name, r.Scenario.Hash = "other", "sha256:000000000000" }
	edited := func(r *result.Result) { r.Scenario.Hash, r.Scenario.Rounds = "sha256:000000000001", 6 }
	kernels := newStore(t,
		historytest.RunSpec{Day: 1}.MakeResult(),
		historytest.RunSpec{Day: 2, Kernel: "6.12.107-cloud-amd64"}.MakeResult(),
		historytest.RunSpec{Day: 3, Kernel: "6.18.15-arch1"}.MakeResult(),
		historytest.RunSpec{Day: 4, Kernel: "6.18.150"}.MakeResult(),
		historytest.RunSpec{Day: 5, Kernel: "6.1.1", Change: underCPUs(4)}.MakeResult(),
		historytest.RunSpec{Day: 6, Kernel: "6.1.2", Change: underCPUs(4)}.MakeResult(),
		historytest.RunSpec{Day: 7, Kernel: "6.1.2"}.MakeResult(),
		historytest.RunSpec{Day: 8, Kernel: "6.1.1"}.MakeResult(),
		historytest.RunSpec{Day: 9, Kernel: "5.10.1", Change: other}.MakeResult(),
		historytest.RunSpec{Day: 10, Kernel: "5.10.2", Change: edited}.MakeResult(),
	)
	runs, _ := listAll(t, kernels)
	single := filepath.Join(kernels.Dir(), runs[1].Folder)
	four, two := runs[4].Key.SeriesID(), runs[0].Key.SeriesID()
	for _, c := range []struct {
		name     string
		old, new string
		series   string
		want     string // the days of both sides, or the error
	}{
		{"a release means itself first", "6.12.107", "6.18.15", "", "[1] [3]"},
		{"a release is no prefix of a number", "6.12.107", "6.18.1", "", "6.18.1: no such file or folder, and no run in the store DIR has this ID, label or kernel (kernels: 5.10.1, 5.10.2, 6.1.1, 6.1.2, 6.12.107, 6.12.107-cloud-amd64, 6.18.15-arch1, 6.18.150)"},
		{"the series that both sides have", "6.18.150", "6.1.1", "", "[4] [8]"},
		{"a series that is chosen", "6.1.1", "6.1.2", four, "[5] [6]"},
		{"several series", "6.1.1", "6.1.2", "", "2 series can be compared; choose one with --scenario or --series:\n  " +
			four + "  quickstart: netns, nftables, amd64, 4 CPUs, virtualisation kvm, hash sha256:5b0c94d2e1a7\n  " +
			two + "  quickstart: netns, nftables, amd64, 2 CPUs, virtualisation kvm, hash sha256:5b0c94d2e1a7"},
		{"no run of the series", "6.12.107", "6.1.2", four, "6.12.107: no run is left by --scenario and --series"},
		{"no scenario in common", "6.18.150", "5.10.1", "", "6.18.150 and 5.10.1 have no scenario in common: nothing can be compared (6.18.150 has quickstart sha256:5b0c94d2e1a7; 5.10.1 has other sha256:000000000000). To compare arms, put them into one scenario"},
		{"another scenario of the name", "6.12.107", "5.10.2", "", "6.12.107 and 5.10.2 have no scenario in common: nothing can be compared (6.12.107 has quickstart sha256:5b0c94d2e1a7; 5.10.2 has quickstart sha256:000000000001). To compare arms, put them into one scenario. What differs between those of the name quickstart: rounds 8 -> 6, and what the earlier result does not record"},
		{"a folder of one run", single, "6.18.15", "", "[2] [3]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := Selector{Dir: kernels.Dir(), Series: c.series, Warn: func(text string) { t.Errorf("warning: %s", text) }}
			before, after, err := s.Select(c.old, c.new)
			got := fmt.Sprint(err)
			if err == nil {
				got = fmt.Sprint(resultDays(before), resultDays(after))
			} else if !errors.As(err, new(SelectionError)) {
				t.Errorf("%T", err)
			}
			if got = strings.ReplaceAll(got, kernels.Dir(), "DIR"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func resultDays(g *Group) (all []int) {
	for _, r := range g.Results {
		all = append(all, int(r.Started.Sub(historytest.FirstDay).Hours()/24))
	}
	return all
}

// Results are large: only the latest of many are compared, with a warning.
func TestSelectManyRuns(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := historytest.RunSpec{}.MakeResult()
	for day := range mostRuns + 2 {
		r.ID, r.Started = fmt.Sprint(day), historytest.FirstDay.AddDate(0, 0, day)
		folder := filepath.Join(s.Dir(), r.ID)
		checkError(t, os.MkdirAll(folder, 0o755))
		var text strings.Builder // Put would sync each run
		checkError(t, resultfile.WriteJSON(&text, r))
		writeText(t, filepath.Join(folder, resultfile.ResultName), text.String())
	}
	var warnings []string
	selector := Selector{Dir: s.Dir(), Warn: func(text string) { warnings = append(warnings, text) }}
	before, _, err := selector.Select("6.12.107", "6.12.107")
	checkError(t, err)
	if days := resultDays(before); len(days) != mostRuns || days[0] != 2 {
		t.Errorf("%d runs from day %d on", len(days), days[0])
	}
	if want := "6.12.107: the last 200 of 202 runs are compared"; !slices.Equal(warnings, []string{want, want}) {
		t.Errorf("%q", warnings)
	}
}
