package trend

import (
	"strings"
	"testing"

	"snatlab/harness/report/layout"
	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
)

// keptRuns are nights, runs by hand with and without a label, one in a guest, and one that
// ended early.
func keptRuns() *result.RunList {
	runs := reporttest.PastNights().Series[0].Runs[4:]
	for i, command := range []string{result.CommandNightly, result.CommandRun, result.CommandRun, result.CommandMatrix} {
		runs[i].Command = command
	}
	runs[1].Label, runs[2].Label = "before-upgrade", "after-upgrade"
	runs[2].Kernel, runs[2].Key.Scenario = "6.18.15-cloud-amd64", "docker-masquerade"
	return &result.RunList{Schema: result.RunListSchema, Store: "/var/lib/snatlab", Runs: runs, Warnings: []string{"/var/lib/snatlab/third: result.json: the file is empty; left out"}}
}

func TestWriteRuns(t *testing.T) {
	t.Parallel()
	reporttest.CheckGolden(t, "testdata/runs.txt", reporttest.Draw(t, reporttest.On80(WriteRuns), keptRuns()))
	if text := reporttest.Draw(t, reporttest.On80(WriteRuns), &result.RunList{Store: "/s"}); !strings.HasSuffix(text, "\n0 runs in /s; an ID begins with the time in UTC.\n") {
		t.Errorf("without a run: %s", text)
	}
}

// Text of a result cannot steer the terminal, and no line is wider than the screen.
func TestHostileRuns(t *testing.T) {
	t.Parallel()
	l := keptRuns()
	l.Runs[0].ID, l.Runs[0].Kernel, l.Runs[1].Label = "a\x1b[2J\nb", strings.Repeat("k", 300), "l\x1b[2J"
	for _, width := range []int{20, 80, 200, 400} {
		on := layout.Screen{Width: width}
		text := reporttest.Draw(t, reporttest.On(on, WriteRuns), l)
		reporttest.CheckFits(t, on, text)
		if strings.Contains(text, "\x1b") {
			t.Errorf("%d columns: %q", width, text)
		}
	}
}
