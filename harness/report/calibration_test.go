package report

import (
	"strings"
	"testing"

	"snatlab/harness/result"
)

func TestWriteCalibration(t *testing.T) {
	t.Parallel()
	c := &result.Calibration{
		Scenario: result.ScenarioSummary{Rounds: 5, Clients: 2, Requests: 300}, Runs: 4, Inconclusive: 1, Seconds: []float64{1, 1, 1, 2.04},
		Itself: result.Tally{Arm: "masquerade", High: 0.842,
			Verdicts: map[result.ArmVerdict]int{result.NoDifference: 2, result.Undecided: 1}},
	}
	var out strings.Builder
	if err := WriteCalibration(&out, c); err != nil {
		t.Fatal(err)
	}
	want := `masquerade against itself: 0 of 2 verdicts false (95 % interval 0 % to 84.2 %); 1 undecided
1 of 4 runs inconclusive; 5 rounds of 2 clients x 300 requests, p < 0.01
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
	t.Run("a line after each run", func(t *testing.T) {
		c.Arms = []result.Tally{{Arm: "random-fully", Wrong: 1}}
		var out strings.Builder
		WriteCalibrationProgress(&out, c, 100)
		if want := "run 4/100: 0 false, 1 missed (random-fully), 1 inconclusive; 2.0 s\n"; out.String() != want {
			t.Errorf("got %s", out.String())
		}
	})
}
