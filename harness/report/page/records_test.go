package page

import (
	"math"
	"testing"

	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
)

// makeCalibration returns a calibration of so many runs, in which one verdict is false.
func makeCalibration(runs int) *result.Calibration {
	c := &result.Calibration{Version: "v1", Runs: runs, Verdict: result.Pass,
		Scenario:    result.ScenarioSummary{Name: "calibrate", Rounds: 6, Clients: 2, Requests: 300},
		Environment: result.Env{Kernel: "6.18.44", Arch: "amd64", CPUs: 2, Driver: "netns", Rootless: true, Widened: 1000},
		Itself:      tallied("masquerade", 1, runs), Arms: []result.Tally{tallied("random-fully", 1.0/64512, runs), tallied("tenth", 0.1, runs), tallied("fiftieth", 0.02, runs)}}
	for i := range runs {
		c.Seconds = append(c.Seconds, 4+math.Mod(float64(i)*0.37, 2))
	}
	return c
}

func tallied(arm string, truth float64, runs int) result.Tally {
	t := result.Tally{Arm: arm, Remaining: truth, Verdicts: map[result.ArmVerdict]int{}, High: 3.7 / float64(runs),
		Intervals: []result.Coverage{{Confidence: 0.95, Runs: runs, Held: runs * 95 / 100, Low: 0.87, High: 0.99}, {Confidence: 0.999, Runs: runs, Held: runs, Low: 0.96, High: 1}},
		Pooled:    &result.Remaining{Estimate: new(truth), Low: truth * 0.98, High: new(truth * 1.02), Failed: 1000, ControlFailed: 100_000}}
	verdict := map[float64]result.ArmVerdict{1: result.Equal, 0.1: result.Reduced, 0.02: result.Reduced}[truth]
	if verdict == "" {
		verdict = result.Mitigated
	}
	for i := range runs {
		found := truth * (1 + 0.2*math.Sin(float64(i)*1.7))
		o := result.CalibratedRun{Verdict: verdict, Remaining: &result.Remaining{Estimate: new(found), DecisiveLow: found * 0.8, DecisiveHigh: new(found*1.25 + 0.006)}}
		if i%9 == 8 && truth == 1 {
			o.Verdict = result.Undecided
		}
		t.Outcomes = append(t.Outcomes, o)
		t.Verdicts[o.Verdict]++
	}
	if truth == 0.02 {
		t.Wrong, t.Low, t.High = 1, 0.0003, 5.6/float64(runs)
	}
	return t
}

// hostileCalibration returns a calibration with a hostile name for every name.
func hostileCalibration() *result.Calibration {
	c := makeCalibration(3)
	c.Scenario.Name, c.Itself.Arm, c.Arms[0].Arm, c.Environment.Kernel, c.Version = reporttest.HostileName, reporttest.HostileName, reporttest.HostileName, reporttest.HostileName, reporttest.HostileName
	return c
}

// The page of many runs stays small, and says that it leaves some out.
func TestLongCalibration(t *testing.T) {
	t.Parallel()
	page := reporttest.Draw(t, WriteCalibration, makeCalibration(10_000))
	checkMarkup(t, page)
	if len(page) > 2_000_000 {
		t.Errorf("%d bytes", len(page))
	}
}
