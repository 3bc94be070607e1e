package trend

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/report/layout"
	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

func TestWriteHistory(t *testing.T) {
	t.Parallel()
	reporttest.CheckGolden(t, "testdata/history.txt", reporttest.Draw(t, reporttest.On80(WriteHistory), reporttest.PastNights()))
}

// A history written as JSON is read back whole.
func TestHistoryJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := resultfile.WriteJSON(&out, reporttest.PastNights()); err != nil {
		t.Fatal(err)
	}
	var back result.History
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(reporttest.PastNights(), &back); diff != "" {
		t.Error(diff)
	}
}

// Only 0 has the lowest block.
func TestSparkBlock(t *testing.T) {
	t.Parallel()
	for rate, want := range map[float64]string{0: "▁", 1e-9: "▂", 0.5: "▅", 1: "█"} {
		if got := sparkBlock(rate, 1); got != want {
			t.Errorf("%v of 1 is %s, want %s", rate, got, want)
		}
	}
	if got := sparkBlock(0, 0); got != "▁" {
		t.Errorf("nothing of nothing is %s", got)
	}
}

// onKernels returns a history of runs on the kernels, one a day.
func onKernels(kernels ...string) *result.History {
	h := reporttest.PastNights()
	s := &h.Series[0]
	calm := s.Runs[0]
	s.Runs, h.Series = nil, h.Series[:1]
	for i, kernel := range kernels {
		r := calm
		r.Kernel, r.Started = kernel, calm.Started.AddDate(0, 0, i)
		s.Runs = append(s.Runs, r)
	}
	return h
}

// A kernel that comes back has a span where it came back.
func TestKernelComesBack(t *testing.T) {
	t.Parallel()
	h := onKernels("6.12.107", "6.12.107", "6.18.15", "6.12.107")
	h.Series[0].Runs[2].Arms = []result.ArmSummary{reporttest.StoredArm("masquerade", 500, ""), reporttest.StoredArm("random-fully", 900, result.Reduced)}
	want := `random-fully  ▁▁┊█┊▁  11.2 %
┊ from 6.12.107 to 6.18.15 on 2026-11-22
┊ from 6.18.15 to 6.12.107 on 2026-11-23
`
	if text := reporttest.Draw(t, reporttest.On80(WriteHistory), h); !strings.Contains(text, want) {
		t.Error(text)
	}
}

// Of many changes of kernel, the last ones are named.
func TestManyKernelChanges(t *testing.T) {
	t.Parallel()
	var kernels []string
	for range 7 {
		kernels = append(kernels, "6.12.107", "6.18.15")
	}
	text := reporttest.Draw(t, reporttest.On80(WriteHistory), onKernels(kernels...))
	if !strings.Contains(text, "\n┊ 3 changes of kernel before these:\n┊ from 6.18.15 to 6.12.107 on 2026-11-24\n") || strings.Count(text, "┊ from") != 10 {
		t.Error(text)
	}
}

// Guests run their kernels in turn, which is no change of kernel.
func TestGuestsInTurns(t *testing.T) {
	t.Parallel()
	h := onKernels("6.1.10", "6.12.107", "6.18.15", "6.1.10")
	h.Series[0].Key.Guest = "qemu 10.0.2, kvm"
	if text := reporttest.Draw(t, reporttest.On80(WriteHistory), h); strings.Contains(text, "┊") || !strings.Contains(text, "random-fully  ▁▁▁▁  0 %") {
		t.Error(text)
	}
}

// A block for several runs shows the highest of them.
func TestManyRunsShareBlocks(t *testing.T) {
	t.Parallel()
	h := reporttest.PastNights()
	s := &h.Series[0]
	calm := s.Runs[0]
	s.Runs, s.Kernels = nil, s.Kernels[:1]
	for range 200 {
		s.Runs = append(s.Runs, calm)
	}
	s.Runs[100].Arms = []result.ArmSummary{reporttest.StoredArm("masquerade", 8000, ""), reporttest.StoredArm("random-fully", 1, result.Mitigated)}
	var out bytes.Buffer
	if err := WriteHistory(&out, h, layout.Screen{}); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if !strings.Contains(text, "one block for the highest of 4 runs") || !strings.Contains(text, "▂▂▂█▂▂▂") || !strings.Contains(text, "▁▁▁█▁▁▁") {
		t.Error(text)
	}
}
