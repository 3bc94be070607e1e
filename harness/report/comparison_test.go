package report

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/report/layout"
	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

func comparedKernels() *result.GroupComparison {
	day := func(n int) time.Time { return time.Date(2026, 11, n, 3, 0, 0, 0, time.UTC) }
	return &result.GroupComparison{
		Schema: result.GroupComparisonSchema, Scenario: "quickstart", Hash: "sha256:5b0c94d2e1a7", Unit: "run",
		Old: result.Side{Name: "6.12.107", Runs: []string{"a", "b", "c", "d", "e", "f"}, Kernels: []string{"6.12.107"}, First: day(1), Last: day(6)},
		New: result.Side{Name: "results/after", Runs: []string{"g", "h", "i", "j", "k", "l"}, Kernels: []string{"6.18.15", "7.2.12"}, First: day(9), Last: day(9)},
		Arms: []result.ArmChange{
			{Name: "masquerade", Old: result.ArmRuns{Requests: 48000, Failed: 6315}, New: result.ArmRuns{Requests: 48000, Failed: 3157},
				Rate: result.RateChange{Old: result.Spread{Median: .131, Low: new(.12), High: new(.143)}, New: result.Spread{Median: .066},
					Estimate: new(-.496), Low: new(-.61), High: new(-.35), P: new(.0022), PHolm: new(.0043)}},
			{Name: "random-fully", Old: result.ArmRuns{Requests: 48000, Verdicts: map[result.ArmVerdict]int{result.Mitigated: 6}, Units: "night",
				Remaining: &result.Remaining{ControlFailed: 6287, Estimate: new(0.), DecisiveHigh: new(.0012)}},
				New: result.ArmRuns{Requests: 48000, Failed: 700, Verdicts: map[result.ArmVerdict]int{result.Mitigated: 3, result.Reduced: 3}, Units: "trial",
					Remaining: &result.Remaining{Failed: 700, ControlFailed: 3204, Estimate: new(.2185), DecisiveLow: .061, DecisiveHigh: new(.782)}},
				Rate: result.RateChange{New: result.Spread{Median: .001}, P: new(.18), PHolm: new(.18)}},
		},
		Findings: []result.Finding{
			{Kind: result.RemainingRose, Arm: "random-fully", Text: "random-fully: 21.8 % (99.9 % interval 6.1 to 79 %) of the failures remain, and 0 % (99.9 % interval 0 to 0.12 %) before"},
			{Kind: result.Shift, Arm: "masquerade", Text: "masquerade lost 6.60 % (median), and 13.1 % before", P: new(0.00001)},
		},
		Differs:  []result.Difference{{What: "cpus", Old: "2", New: "4", Key: true}, {What: "sysctl net.ipv4.tcp_tw_reuse", New: "2"}},
		Warnings: []string{"results/after: 1 run left out, which ended early"},
		Verdict:  result.Fail, Summary: "1 regression from 6.12.107 to results/after.",
	}
}

func TestWriteComparison(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := WriteComparison(&out, comparedKernels(), layout.Screen{}); err != nil {
		t.Fatal(err)
	}
	reporttest.CheckGolden(t, "testdata/history/comparison.txt", out.String())
}

// A comparison written as JSON is read back whole.
func TestComparisonJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := resultfile.WriteJSON(&out, comparedKernels()); err != nil {
		t.Fatal(err)
	}
	var back result.GroupComparison
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(comparedKernels(), &back); diff != "" {
		t.Error(diff)
	}
}
