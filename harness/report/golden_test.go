package report

import (
	"fmt"
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
		reporttest.CheckGolden(t, base+".txt", reporttest.Draw(t, reporttest.On80(WriteText), r))
		reporttest.CheckGolden(t, base+"-full.txt", reporttest.Draw(t, reporttest.On80(WriteFull), r))
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
	reporttest.CheckGolden(t, "testdata/old/report.txt", reporttest.Draw(t, reporttest.On80(WriteText), r))
	reporttest.CheckGolden(t, "testdata/old/full.txt", reporttest.Draw(t, reporttest.On80(WriteFull), r))
	reporttest.CheckGolden(t, "testdata/old/report.md", reporttest.Draw(t, WriteMarkdown, r))
}

// The screens of a run and a matrix as they are on terminals of several widths,
// and on one without UTF-8.
func TestScreens(t *testing.T) {
	t.Parallel()
	many := reporttest.ReadFixture(t, "many")
	control := reporttest.ReadFixture(t, "control")
	matrix := differing(t)
	for _, on := range []layout.Screen{{Width: 20, ASCII: true}, {Width: 60}, {Width: 80}, {Width: 120}, {Width: 200}} {
		for name, text := range map[string]string{
			"run":    reporttest.Draw(t, reporttest.On(on, WriteText), control),
			"many":   reporttest.Draw(t, reporttest.On(on, WriteText), many),
			"full":   reporttest.Draw(t, reporttest.On(on, WriteFull), many),
			"matrix": reporttest.Draw(t, reporttest.On(on, WriteMatrixText), matrix),
		} {
			reporttest.CheckFits(t, on, text)
			reporttest.CheckGolden(t, fmt.Sprintf("testdata/screens/%s-%d.txt", name, on.Width), text)
		}
	}
}
