package calibration

import (
	"fmt"
	"strings"
	"testing"

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

func TestWriteText(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := WriteText(&out, example()); err != nil {
		t.Fatal(err)
	}
	want := `masquerade against itself
  in truth 100 % of the failures remain
  false verdicts: 0 of 4 (95 % interval 0 % to 60.2 %)
  verdicts: equal 1, undecided 3
  verdicts that say less than the truth: 3
  95 % interval: held the truth in 2 of 3 runs (95 % interval 9.40 % to 99.2 %)
  99.9 % interval: held the truth in 3 of 3 runs (95 % interval 9.40 % to 100 %)
  over all runs 100.3 % remain (95 % interval 95.0 % to 106.0 %): 3,010 failed requests against 3,000 of the control
fiftieth
  in truth 2.00 % of the failures remain
  false verdicts: 1 of 4 (95 % interval 0.60 % to 80.6 %)
  verdicts: mitigated 1, reduced 3
  95 % interval: no run had one
  99.9 % interval: no run had one

no more is wrong than chance explains; 1 of 4 runs measured nothing of any arm
runs in a row share the state of the machine, so they are not independent, and the intervals of these counts are too narrow
promised: a false verdict in at most ALPHA of runs, the truth in 95 % and 99.9 % of the intervals
5 rounds of 2 clients x 300 requests or more, kernel 6.18.0, netns
`
	want = strings.Replace(want, "ALPHA", fmt.Sprintf("%g %%", 100*result.Alpha), 1)
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
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
	if !strings.HasPrefix(out.String(), "# calibration of calibrate: pass\n\n- no more is wrong than chance explains") || !strings.HasSuffix(out.String(), want) {
		t.Errorf("got\n%s", out.String())
	}
}

func TestWriteProgress(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	WriteProgress(&out, example(), 100)
	if want := "run 4/100, 2.0 s: masquerade equal 98.7 %, fiftieth mitigated -\n"; out.String() != want {
		t.Errorf("got %s", out.String())
	}
}
