package trend

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/report/layout"
	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

func TestWriteComparison(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := WriteComparison(&out, reporttest.ComparedKernels(), layout.Screen{}); err != nil {
		t.Fatal(err)
	}
	reporttest.CheckGolden(t, "testdata/comparison.txt", out.String())
}

// A comparison written as JSON is read back whole.
func TestComparisonJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := resultfile.WriteJSON(&out, reporttest.ComparedKernels()); err != nil {
		t.Fatal(err)
	}
	var back result.GroupComparison
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(reporttest.ComparedKernels(), &back); diff != "" {
		t.Error(diff)
	}
}
