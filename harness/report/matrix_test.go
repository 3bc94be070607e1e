package report

import (
	"strings"
	"testing"
	"time"

	"snatlab/harness/report/layout"
	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

// tested returns the row of a kernel with a result of testdata.
func tested(t *testing.T, kernel, name string) result.Row {
	t.Helper()
	r, err := resultfile.ReadResult("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return result.Row{Kernel: kernel, Spec: kernel + ".deb", Status: result.RowOK, Accel: "tcg", Attempts: 1, Seconds: 41.2, Result: r}
}

func matrixOf(rows ...result.Row) *result.Matrix {
	m := &result.Matrix{Schema: result.MatrixSchema, Started: time.Date(2026, 11, 23, 6, 40, 0, 0, time.UTC), Seconds: 201, Rows: rows}
	for _, r := range rows {
		if r.Result != nil {
			m.Scenario = r.Result.Scenario
		}
	}
	return m
}

// differing returns a matrix with everything that a matrix can hold.
func differing(t *testing.T) *result.Matrix {
	failed, again := tested(t, "7.2.12+deb13-cloud-amd64", "docker"), tested(t, "6.18.15+deb13-cloud-amd64", "docker")
	failed.Result.Comparisons[0].Verdict, failed.Result.Verdict = result.NoDifference, result.Fail
	no := false
	failed.Result.Expected[0].Held, failed.Result.Expected[0].Found = &no, "0 of 48,000 requests"
	again.Attempts = 3
	again.Result.Arms[0].Trials[0].Causes[result.Unexplained] = 7
	return matrixOf(tested(t, "5.10.0-46-cloud-amd64", "docker"),
		result.Row{Kernel: "6.1.0-56-cloud-amd64", Status: result.RowError, Accel: "tcg", Attempts: 1, Seconds: 14.9,
			Reason: "the kernel panicked: sysrq triggered crash", Console: []string{"[    2.8] Kernel panic - not syncing: sysrq triggered crash", "\x1b[31mno colours\x1b[0m"}},
		result.Row{Kernel: "./vmlinuz", Status: result.RowError, Reason: "not a kernel that can be booted here: the file is empty"},
		again, failed)
}

func TestWriteMatrix(t *testing.T) {
	t.Parallel()
	half := matrixOf(tested(t, "5.10.0-46-cloud-amd64", "docker"), tested(t, "6.1.0-56-cloud-amd64", "docker"))
	half.Incomplete = "interrupted by SIGINT"
	for name, m := range map[string]*result.Matrix{
		"differing": differing(t), "alike": half, "one": matrixOf(tested(t, "6.1.0", "few")), "wide": matrixOf(tested(t, "6.1.0", "many")),
	} {
		reporttest.CheckGolden(t, "testdata/matrix/"+name+".txt", reporttest.Draw(t, reporttest.On80(WriteMatrixText), m))
		reporttest.CheckGolden(t, "testdata/matrix/"+name+".md", reporttest.Draw(t, WriteMatrixMarkdown, m))
	}
}

// A matrix steers no terminal, and fits the page.
func TestMatrixFitsPage(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(reporttest.Draw(t, reporttest.On80(WriteMatrixText), differing(t))) {
		if strings.ContainsAny(line, "\x1b\r") || len([]rune(line)) > layout.DefaultWidth+1 {
			t.Errorf("%q", line)
		}
	}
}
