package calibration

import (
	"fmt"
	"strings"
	"testing"

	"snatlab/harness/report/layout"
	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
)

func example() *result.Calibration {
	covered := func(held, runs int, low, high float64) []result.Coverage {
		return []result.Coverage{{Confidence: 0.95, Runs: runs, Held: held, Low: low, High: high}, {Confidence: 0.999, Runs: runs, Held: runs, Low: low, High: 1}}
	}
	run := func(v result.ArmVerdict, estimate *float64) result.CalibratedRun {
		return result.CalibratedRun{Verdict: v, Remaining: &result.Remaining{Estimate: estimate}}
	}
	return &result.Calibration{
		Scenario: result.ScenarioSummary{Name: "calibrate", Rounds: 5, Clients: 2, Requests: 300}, Runs: 4, Inconclusive: 1,
		Environment: result.Env{Kernel: "6.18.0", Driver: "netns"}, Seconds: []float64{1, 1, 1, 2.04}, Verdict: result.Pass,
		Itself: result.Tally{
			Arm: "masquerade", Remaining: 1, Verdicts: map[result.ArmVerdict]int{result.Equal: 1, result.Undecided: 3}, Missed: 3, High: 0.602,
			Intervals: covered(2, 3, 0.094, 0.992), Outcomes: []result.CalibratedRun{{}, {}, {}, run(result.Equal, new(0.987))},
			Pooled: &result.Remaining{Failed: 3010, ControlFailed: 3000, Estimate: new(1.0033), Low: 0.95, High: new(1.06)},
		},
		Arms: []result.Tally{{
			Arm: "fiftieth", Remaining: 0.02, Verdicts: map[result.ArmVerdict]int{result.Reduced: 3, result.Mitigated: 1}, Wrong: 1, Low: 0.006, High: 0.806,
			Intervals: covered(0, 0, 0, 1), Outcomes: []result.CalibratedRun{{}, {}, {}, run(result.Mitigated, nil)},
		}},
	}
}

// The report fits any screen.
func TestWriteText(t *testing.T) {
	t.Parallel()
	for _, on := range []layout.Screen{{Width: 20, ASCII: true}, {Width: 60}, {Width: 80}, {Width: 120}, {Width: 200}} {
		text := reporttest.Draw(t, reporttest.On(on, WriteText), example())
		for line := range strings.Lines(text) {
			if n := layout.Width(strings.TrimSuffix(line, "\n")); n > on.Width {
				t.Errorf("%d columns of %d: %s", n, on.Width, line)
			}
		}
		reporttest.CheckGolden(t, fmt.Sprintf("testdata/%d.txt", on.Width), text)
	}
}

func TestWriteMarkdown(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := WriteMarkdown(&out, example()); err != nil {
		t.Fatal(err)
	}
	want := `| arm | remains in truth | over all runs | false verdicts | verdicts | less than the truth | 95 % interval held | 99.9 % interval held |
|---|---|---|---|---|---|---|---|
| masquerade against itself | 100 % | 100.3 % | 0 of 4 | equal 1, undecided 3 | 3 | 2 of 3 | 3 of 3 |
| fiftieth | 2.00 % | - | 1 of 4 | mitigated 1, reduced 3 | 0 | 0 of 0 | 0 of 0 |
`
	if !strings.HasPrefix(out.String(), "# calibration of calibrate: AS PROMISED\n\n- no more is wrong than chance explains") || !strings.HasSuffix(out.String(), want) {
		t.Errorf("got\n%s", out.String())
	}
}

func TestWriteProgress(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	WriteProgress(&out, example(), 100, layout.Screen{})
	if want := "run 4/100, 2.0 s: masquerade equal 98.7 %, fiftieth mitigated -\n"; out.String() != want {
		t.Errorf("got %s", out.String())
	}
}
