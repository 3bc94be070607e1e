package report

import (
	"io"
	"strings"
	"testing"

	"snatlab/harness/report/layout"
	"snatlab/harness/report/reporttest"
	"snatlab/harness/result/resultfile"
)

// The results in testdata are judged by package verdict, whose tests keep
// them so.
func TestWriteResult(t *testing.T) {
	t.Parallel()
	for _, path := range reporttest.Fixtures(t) {
		r, err := resultfile.ReadResult(path)
		if err != nil {
			t.Fatal(err)
		}
		base := strings.TrimSuffix(path, ".json")
		reporttest.CheckGolden(t, base+".txt", reporttest.Draw(t, on80(WriteText), r))
		reporttest.CheckGolden(t, base+"-full.txt", reporttest.Draw(t, on80(WriteFull), r))
		reporttest.CheckGolden(t, base+".md", reporttest.Draw(t, WriteMarkdown, r))
	}
}

// A result of before there were intervals, settings and footnotes is still drawn: its
// low and high were those of a trial.
func TestWriteOldResult(t *testing.T) {
	t.Parallel()
	r, err := resultfile.ReadResult("testdata/old")
	if err != nil {
		t.Fatal(err)
	}
	reporttest.CheckGolden(t, "testdata/old/report.txt", reporttest.Draw(t, on80(WriteText), r))
	reporttest.CheckGolden(t, "testdata/old/full.txt", reporttest.Draw(t, on80(WriteFull), r))
	reporttest.CheckGolden(t, "testdata/old/report.md", reporttest.Draw(t, WriteMarkdown, r))
}

// on80 returns a report for a screen of 80 columns.
func on80[T any](report func(io.Writer, T, layout.Screen) error) func(io.Writer, T) error {
	return reporttest.On(layout.Screen{}, report)
}
