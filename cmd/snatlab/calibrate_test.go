package main

import (
	"strings"
	"testing"

	"snatlab/harness"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

func TestCalibrationCode(t *testing.T) {
	tally := func(right, undecided, wrong int) harness.Tally {
		return harness.Tally{Arm: "a", Wrong: wrong, Verdicts: map[result.ArmVerdict]int{
			result.NoDifference: right, result.Undecided: undecided, result.Worse: wrong,
		}}
	}
	for _, tc := range []struct {
		claim  string
		itself harness.Tally
		want   int
	}{
		{"right", tally(100, 0, 0), exitPass},
		{"few_wrong", tally(98, 0, 2), exitPass},
		{"many_wrong", tally(80, 0, 20), exitFail},
		{"half_undecided", tally(50, 50, 0), exitPass},
		{"most_undecided", tally(49, 51, 0), exitInconclusive},
		{"undecided_do_not_dilute", tally(46, 50, 4), exitFail},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			c := &harness.Calibration{Runs: 100, Itself: tc.itself}
			if got := codeOf(calibrationCode(c)); got != tc.want {
				t.Errorf("exit code %d, want %d", got, tc.want)
			}
		})
	}
}

func TestPrintCalibration(t *testing.T) {
	c := &harness.Calibration{Runs: 4, Inconclusive: 1, Itself: harness.Tally{Arm: "masquerade",
		Verdicts: map[result.ArmVerdict]int{result.NoDifference: 2, result.Undecided: 1}}}
	var out strings.Builder
	printCalibration(&out, &scenario.Scenario{Rounds: 5, Clients: 2, Load: scenario.LoadSettings{Requests: 300}}, c)
	want := `masquerade against itself: 0 of 2 verdicts false (95 % interval 0 % to 84.2 %); 1 undecided
1 of 4 runs inconclusive; 5 rounds of 2 clients x 300 requests, p < 0.01
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}
