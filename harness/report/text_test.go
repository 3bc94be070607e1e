package report

import (
	"fmt"
	"strings"
	"testing"

	"snatlab/harness/format"
	"snatlab/harness/report/layout"
	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

// No line of any report is wider than the screen, however wide that is.
func TestWidths(t *testing.T) {
	t.Parallel()
	for _, width := range []int{20, 33, 60, 80, 200} {
		for _, ascii := range []bool{false, true} {
			on := layout.Screen{Width: width, ASCII: ascii}
			for _, arms := range []int{1, 2, 3, 9, 32} {
				reporttest.CheckFits(t, on, reporttest.Draw(t, reporttest.On(on, WriteText), wide(arms)))
				reporttest.CheckFits(t, on, reporttest.Draw(t, reporttest.On(on, WriteFull), wide(arms)))
			}
			for _, path := range append(reporttest.Fixtures(t), "testdata/old/result.json") {
				r, err := resultfile.ReadResult(path)
				if err != nil {
					t.Fatal(err)
				}
				reporttest.CheckFits(t, on, reporttest.Draw(t, reporttest.On(on, WriteText), r))
				reporttest.CheckFits(t, on, reporttest.Draw(t, reporttest.On(on, WriteFull), r))
			}
			reporttest.CheckFits(t, on, reporttest.Draw(t, reporttest.On(on, WriteMatrixText), differing(t)))
		}
	}
}

// Every arm is in the table once, and the baseline in each of its parts.
func TestTableParts(t *testing.T) {
	t.Parallel()
	text := reporttest.Draw(t, reporttest.On(layout.Screen{Width: 120}, WriteFull), wide(9))
	heads := map[string]int{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "    ") {
			for _, name := range strings.Fields(line) {
				heads[name]++
			}
		}
	}
	parts := strings.Count(text, "failure rate, median")
	for i := range 9 {
		name, want := layout.Screen{}.Shorten(longName(i), layout.NameMost), 1
		if i == 0 {
			want = parts
		}
		if heads[name] != want {
			t.Errorf("%s heads %d columns in %d parts, want %d", name, heads[name], parts, want)
		}
	}
	if parts < 2 {
		t.Error("the table is in one part: this test shows nothing")
	}
}

// An arm without a trial has no figures.
func TestArmWithoutTrial(t *testing.T) {
	t.Parallel()
	r := &result.Result{
		Arms: []result.Arm{
			{
				Name: "masquerade", Trials: []result.Trial{{Round: 1, Requests: 6000}},
				LatencyP50: result.Spread{Median: 60}, LatencyP99: result.Spread{Median: 200},
			},
			{Name: "random-fully"},
		},
		Comparisons: []result.Comparison{{Arm: "random-fully", Baseline: "masquerade", Verdict: result.ArmInconclusive}},
	}
	for line := range strings.Lines(reporttest.Draw(t, reporttest.On80(WriteFull), r)) {
		row := strings.Fields(line)
		if len(row) > 1 && (row[0] == "requests" || row[0] == "unexplained") && row[2] != format.None {
			t.Errorf("got %s", line)
		}
		if strings.Contains(line, ", median") && row[len(row)-1] != format.None {
			t.Errorf("got %s", line)
		}
	}
}

// Warnings beyond the first few are counted.
func TestManyWarnings(t *testing.T) {
	t.Parallel()
	r := &result.Result{}
	for i := range layout.NotesMax + 2 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("note %d", i))
	}
	text := reporttest.Draw(t, reporttest.On80(WriteFull), r)
	if !strings.Contains(text, "⁸ note 7\n") || strings.Contains(text, "note 8") || !strings.Contains(text, "\n  and 2 more warnings, in result.json\n") {
		t.Errorf("got\n%s", text)
	}
	if markdown := reporttest.Draw(t, WriteMarkdown, r); !strings.Contains(markdown, "\n¹⁰ note 9\n") {
		t.Errorf("Markdown leaves warnings out:\n%s", markdown)
	}
}

// The number of a warning is printed at the arm that it is about, else at the verdict.
func TestWarningMarks(t *testing.T) {
	t.Parallel()
	about := []string{"", "random", "random-fully", "random", "random", "random"}
	r := &result.Result{Verdict: result.Pass, Summary: "it is so."}
	for _, arm := range about {
		r.Warnings, r.WarningValues = append(r.Warnings, "odd"), append(r.WarningValues, result.Warning{Arm: arm})
	}
	arms := []result.Arm{{Name: "masquerade"}, {Name: "random"}, {Name: "random-fully"}}
	for i, want := range []string{"", " ² ⁴ ⁵ …", " ³"} {
		if got := armMarks(about, arms[i]); got != want {
			t.Errorf("%s: got %q, want %q", arms[i].Name, got, want)
		}
	}
	if got := verdictMarks(about, arms); got != " ¹" {
		t.Errorf("the verdict: got %q", got)
	}
	r.Arms = arms
	text := reporttest.Draw(t, reporttest.On80(WriteFull), r)
	if !strings.Contains(text, "   masquerade   random ² ⁴ ⁵ …   random-fully ³\n") || !strings.HasPrefix(text, "CANNOT TELL ¹: ") {
		t.Errorf("got\n%s", text)
	}
}

// A reduction is not printed if the baseline did not show the race.
func TestShownReduction(t *testing.T) {
	t.Parallel()
	reduction := result.Reduction{Estimate: new(1.0), Low: new(0.9), High: new(1.0)}
	for verdict, want := range map[result.ArmVerdict][]string{
		result.Mitigated:       {"100 %", "90.0 to 100 %"},
		result.ArmInconclusive: {format.None, format.None},
	} {
		r := compared2(result.Comparison{Verdict: verdict, Reduction: reduction})
		if got := cells(r, "reduction"); got[0] != want[0] {
			t.Errorf("%s: got %q", verdict, got)
		}
		if got := cells(r, "  95 % interval"); got[1] != want[1] { // the first one is that of the rate
			t.Errorf("%s: got %q", verdict, got)
		}
	}
}

// A change of latency is printed only if chance does not explain it.
func TestChangeCell(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		change result.LatencyChange
		want   string
	}{
		{result.LatencyChange{Estimate: new(0.041), Low: new(0.001), High: new(0.1)}, "+4.10 %"},
		{result.LatencyChange{Estimate: new(-0.352), Low: new(-0.4), High: new(-0.1)}, "-35.2 %"},
		{result.LatencyChange{Estimate: new(0.041), Low: new(-0.01), High: new(0.1)}, format.NoDifference},
		{result.LatencyChange{Estimate: new(0.041)}, format.NoDifference},
		{result.LatencyChange{PHolm: new(0.001)}, format.None},
		{result.LatencyChange{}, format.None},
	} {
		tc.change.Percentile = "p50"
		r := compared2(result.Comparison{Latency: []result.LatencyChange{tc.change}})
		if got := cells(r, "latency p50, change"); got[0] != tc.want {
			t.Errorf("%+v: got %q, want %q", tc.change, got[0], tc.want)
		}
		if got := cells(r, "latency p99, change"); got[0] != format.None {
			t.Errorf("a percentile that is not there: got %q", got[0])
		}
	}
}

// The processor is named if there is room.
func TestFullMachine(t *testing.T) {
	t.Parallel()
	e := result.Env{Kernel: "6.18", Arch: "amd64", CPUs: 2, CPUModel: new("a model"), Virtualisation: new("kvm")}
	if got := fullMachine(result.Env{Kernel: "6.18", Arch: "amd64", CPUs: 1, Virtualisation: new("none")}, 80); got != "Linux 6.18, amd64, 1 CPU" {
		t.Errorf("on bare metal: got %q", got)
	}
	for room, want := range map[int]string{
		80: "Linux 6.18, amd64, 2 CPUs, a model, kvm",
		38: "Linux 6.18, amd64, 2 CPUs, a model",
		33: "Linux 6.18, amd64, 2 CPUs, kvm",
		10: "Linux 6.18, amd64, 2 CPUs",
	} {
		if got := fullMachine(e, room); got != want {
			t.Errorf("%d columns: got %q", room, got)
		}
	}
}

// compared2 returns a result with one comparison.
func compared2(c result.Comparison) *result.Result {
	c.Arm, c.Baseline = "random", "masquerade"
	trials := []result.Trial{{Round: 1, Requests: 1}}
	return &result.Result{Arms: []result.Arm{{Name: "masquerade", Trials: trials}, {Name: "random", Trials: trials}}, Comparisons: []result.Comparison{c}}
}

// cells returns the cells of the second arm in each row with the label.
func cells(r *result.Result, label string) (all []string) {
	for _, row := range compareArms(r, nil, true).Rows {
		if row[0] == label {
			all = append(all, row[2])
		}
	}
	return all
}

// wide returns a result whose names, rules and figures are as long as they get.
func wide(arms int) *result.Result {
	r := &result.Result{
		Scenario: result.ScenarioSummary{Name: strings.Repeat("scenario ", 20), Clients: 64, Requests: 500, Rounds: 1000, Pattern: "lockstep", Sync: "barrier"},
		Verdict:  result.Inconclusive,
		Summary:  strings.Repeat("a long sentence about it ", 12),
		Warnings: []string{strings.Repeat("a long warning ", 12)},
	}
	for i := range arms {
		r.Arms = append(r.Arms, result.Arm{
			Name: longName(i), Rule: strings.Repeat("-A POSTROUTING ", 10),
			Trials: []result.Trial{{Round: 1, Requests: 32_000_000, Failed: 31_999_999,
				Evidence: &result.Evidence{Looked: 31_999_999, Dropped: 31_999_999, Sample: []result.Sample{{Client: 63, Port: 65535, Entry: "SYN_SENT"}}}}},
			Settings:    []string{strings.Repeat("clients: net.ipv4 ", 8)},
			FailureRate: result.Spread{Median: 0.99999, Low: new(0.0835), High: new(0.99999), Highest: 0.99999},
			LatencyP50:  result.Spread{Median: 499_999}, LatencyP99: result.Spread{Median: 499_999},
		})
		r.Warnings = append(r.Warnings, longName(i)+": "+strings.Repeat("odd ", 40))
		r.WarningValues = append(r.WarningValues, result.Warning{Arm: longName(i)})
		if i > 0 {
			r.Comparisons = append(r.Comparisons, result.Comparison{
				Arm: longName(i), Verdict: result.NoDifference, PHolm: new(0.00012),
				Reduction: result.Reduction{Estimate: new(-12.5), Low: new(-123.4), High: new(0.9876)},
				Latency:   []result.LatencyChange{{Percentile: "p50", Estimate: new(12.5), Low: new(-0.99999), High: new(123.4), PHolm: new(0.001)}},
			})
		}
		r.Expected = append(r.Expected, result.Expectation{Arm: longName(i), Race: "absent", Found: strings.Repeat("found ", 20)})
	}
	return r
}

func longName(i int) string {
	return fmt.Sprintf("an-arm-whose-name-is-very-long-%02d", i)
}
