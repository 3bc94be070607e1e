package export

import (
	"bytes"
	"encoding/csv"
	"testing"

	"snatlab/harness/report/reporttest"
)

func TestWriteHistoryCSV(t *testing.T) {
	t.Parallel()
	reporttest.CheckGolden(t, "testdata/history.csv", reporttest.Draw(t, WriteHistoryCSV, reporttest.PastNights()))
}

// A line is an arm of a run, whatever characters its names hold.
func TestHistoryCSVNames(t *testing.T) {
	t.Parallel()
	h := reporttest.PastNights()
	h.Series[0].Runs[0].Arms[0].Name = "a \"quoted\",\nname"
	var out bytes.Buffer
	if err := WriteHistoryCSV(&out, h); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(lines) != 1+2*11 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	arm := 0
	for lines[0][arm] != "arm" {
		arm++
	}
	if lines[1][arm] != h.Series[0].Runs[0].Arms[0].Name {
		t.Errorf("%q", lines[1])
	}
}
