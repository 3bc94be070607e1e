package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

// pastNights is a history of two kernels, the second of which breaks the mitigation
// on its last day, and of a guest that ran once.
func pastNights() *result.History {
	key := result.Key{Scenario: "quickstart", Hash: "sha256:5b0c94d2e1a7", Arch: "amd64", CPUs: 2, Driver: "netns", Rootless: true, NAT: "nftables", Virtualisation: "kvm"}
	s := result.Series{ID: "ba39f4fd", Key: key}
	for i := range 9 {
		r := result.RunSummary{ID: fmt.Sprintf("2026112%d-030000-3f9c2a", i), Version: "v1", Started: time.Date(2026, 11, 20+i, 3, 0, 0, 0, time.UTC),
			Kernel: "6.12.107", Key: key, Verdict: result.Pass}
		r.Folder = r.ID
		lost, failed, verdict := 960+37*i, 0, result.Mitigated
		if i > 5 {
			r.Kernel = "6.18.15"
		}
		if i == 8 {
			failed, verdict, r.Verdict = 700, result.Reduced, result.Fail
		}
		r.Arms = []result.ArmSummary{summaryOf("masquerade", lost, ""), summaryOf("random-fully", failed, verdict)}
		s.Runs = append(s.Runs, r)
	}
	early := result.RunSummary{ID: "early", Folder: "early", Started: time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC), Kernel: "6.18.15", Key: key,
		Verdict: result.Inconclusive, Incomplete: "interrupted by SIGINT", Arms: []result.ArmSummary{{Name: "masquerade"}, {Name: "random-fully"}}}
	s.Runs = append(s.Runs, early)
	s.Kernels = []result.KernelRuns{
		{Kernel: "6.12.107", First: s.Runs[0].Started, Last: s.Runs[5].Started, Runs: 6, Verdicts: map[result.Verdict]int{result.Pass: 6}, Arms: []result.ArmRuns{
			{Name: "masquerade", Requests: 48000, Failed: 6315, FailureRate: result.Spread{Median: .131, Low: new(.12), High: new(.143)}},
			{Name: "random-fully", Requests: 48000, FailureRate: result.Spread{Low: new(0.), High: new(0.)}, Verdicts: map[result.ArmVerdict]int{result.Mitigated: 6}}}},
		{Kernel: "6.18.15", First: s.Runs[6].Started, Last: early.Started, Runs: 4, Incomplete: 1, Verdicts: map[result.Verdict]int{result.Pass: 2, result.Fail: 1}, Arms: []result.ArmRuns{
			{Name: "masquerade", Requests: 24000, Failed: 3657, FailureRate: result.Spread{Median: .152}},
			{Name: "random-fully", Requests: 24000, Failed: 700, Verdicts: map[result.ArmVerdict]int{result.Mitigated: 2, result.Reduced: 1}}}},
	}
	guest := key
	guest.Driver, guest.Rootless, guest.Virtualisation = "docker", false, "qemu"
	guest.Docker, guest.Firewall, guest.Iptables = "28.5.2", "iptables", "1.8.9 (nft)"
	alone := early
	alone.Kernel, alone.Key = "7.2.12", guest
	return &result.History{Schema: result.HistorySchema, Store: "/var/lib/snatlab", Warnings: []string{"/var/lib/snatlab/notes: no result.json in it; left out"},
		Series: []result.Series{s, {ID: "0c41fa77", Key: guest, Runs: []result.RunSummary{alone}, Kernels: []result.KernelRuns{
			{Kernel: "7.2.12", First: alone.Started, Last: alone.Started, Runs: 1, Incomplete: 1, Arms: []result.ArmRuns{{Name: "masquerade"}, {Name: "random-fully"}}}}}}}
}

func summaryOf(name string, failed int, verdict result.ArmVerdict) result.ArmSummary {
	rate := float64(failed) / 8000
	a := result.ArmSummary{Name: name, Trials: 8, Requests: 8000, Failed: failed, Verdict: verdict,
		FailureRate: result.Spread{Median: rate, Low: new(rate), Highest: rate}}
	if failed > 0 {
		a.Causes = map[string]int{result.SNATRace: failed - 1, result.Unexplained: 1}
	}
	return a
}

func TestHistoryIsDrawnAsTheGoldensShow(t *testing.T) {
	for name, draw := range map[string]func(io.Writer, *result.History) error{"history.txt": History, "history.csv": HistoryCSV} {
		var out bytes.Buffer
		if err := draw(&out, pastNights()); err != nil {
			t.Fatal(err)
		}
		golden(t, "testdata/history/"+name, out.String())
	}
}

func TestAHistoryAsJSONIsReadBackWhole(t *testing.T) {
	var out bytes.Buffer
	if err := resultfile.WriteJSON(&out, pastNights()); err != nil {
		t.Fatal(err)
	}
	var back result.History
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(pastNights(), &back); diff != "" {
		t.Error(diff)
	}
}

func TestALineOfCSVIsAnArmOfARunWhateverItsNamesHold(t *testing.T) {
	h := pastNights()
	h.Series[0].Runs[0].Arms[0].Name = "a \"quoted\",\nname"
	var out bytes.Buffer
	if err := HistoryCSV(&out, h); err != nil {
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

func TestOnlyNoughtHasTheLowestBlock(t *testing.T) {
	for rate, want := range map[float64]string{0: "▁", 1e-9: "▂", 0.5: "▅", 1: "█"} {
		if got := height(rate, 1); got != want {
			t.Errorf("%v of 1 is %s, want %s", rate, got, want)
		}
	}
	if got := height(0, 0); got != "▁" {
		t.Errorf("nothing of nothing is %s", got)
	}
}

// onKernels is a series of runs, a day apart, on those kernels.
func onKernels(kernels ...string) *result.History {
	h := pastNights()
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

func drawn(t *testing.T, h *result.History) string {
	t.Helper()
	var out bytes.Buffer
	if err := History(&out, h); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestAKernelThatComesBackIsDrawnWhereItDid(t *testing.T) {
	h := onKernels("6.12.107", "6.12.107", "6.18.15", "6.12.107")
	h.Series[0].Runs[2].Arms = []result.ArmSummary{summaryOf("masquerade", 500, ""), summaryOf("random-fully", 900, result.Reduced)}
	want := `random-fully  ▁▁┊█┊▁  11.2 %
┊ from 6.12.107 to 6.18.15 on 2026-11-22
┊ from 6.18.15 to 6.12.107 on 2026-11-23
`
	if text := drawn(t, h); !strings.Contains(text, want) {
		t.Error(text)
	}
}

func TestTheLastOfManyChangesOfKernelAreNamed(t *testing.T) {
	var kernels []string
	for range 7 {
		kernels = append(kernels, "6.12.107", "6.18.15")
	}
	text := drawn(t, onKernels(kernels...))
	if !strings.Contains(text, "\n┊ 3 changes of kernel, and then\n┊ from 6.18.15 to 6.12.107 on 2026-11-24\n") || strings.Count(text, "┊ from") != 10 {
		t.Error(text)
	}
}

func TestGuestsThatTakeTurnsWithTheirKernelsChangeNone(t *testing.T) {
	h := onKernels("6.1.10", "6.12.107", "6.18.15", "6.1.10")
	h.Series[0].Key.Guest = "qemu 10.0.2, kvm"
	if text := drawn(t, h); strings.Contains(text, "┊") || !strings.Contains(text, "random-fully  ▁▁▁▁  0 %") {
		t.Error(text)
	}
}

func TestWhatOthersWroteIsOneLineOfPrintableCharacters(t *testing.T) {
	k := result.Key{Scenario: "a\x1b[2J\nb", Driver: "netns", Arch: "amd64", CPUs: 2, Hash: "sha256:1"}
	if got := Series(k); got != "a?[2J b: netns, amd64, 2 CPUs, hash sha256:1" {
		t.Errorf("%q", got)
	}
	if got := Plain("x\x1b]0;y\x07"); got != "x?]0;y?" {
		t.Errorf("%q", got)
	}
}

func TestManyRunsShareBlocksAndTheHighestIsSeen(t *testing.T) {
	h := pastNights()
	s := &h.Series[0]
	calm := s.Runs[0]
	s.Runs, s.Kernels = nil, s.Kernels[:1]
	for range 200 {
		s.Runs = append(s.Runs, calm)
	}
	s.Runs[100].Arms = []result.ArmSummary{summaryOf("masquerade", 8000, ""), summaryOf("random-fully", 1, result.Mitigated)}
	var out bytes.Buffer
	if err := History(&out, h); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if !strings.Contains(text, "a block for the highest of 4 runs") || !strings.Contains(text, "▂▂▂█▂▂▂") || !strings.Contains(text, "▁▁▁█▁▁▁") {
		t.Error(text)
	}
}

// A fact of a key that the line about a series does not hold would leave the user
// with two series that look alike.
func TestSeriesShowsEveryFact(t *testing.T) {
	key := result.Key{Scenario: "a-scenario", Hash: "a-hash", Arch: "an-arch", CPUs: 77, Driver: "a-driver", Rootless: true, NAT: "a-nat",
		Docker: "an-engine", Firewall: "a-firewall", Iptables: "an-iptables", Virtualisation: "a-hypervisor", Guest: "a-guest"}
	withoutIptables := key
	withoutIptables.Iptables = ""
	text := Series(key) + Series(withoutIptables) // NAT stands where iptables would
	for _, f := range key.Facts() {
		want := f.Value
		if f.Name == "rootless" {
			want = "(rootless)"
		}
		if f.Value == "" || !strings.Contains(text, want) {
			t.Errorf("%s: no %q in %s", f.Name, want, text)
		}
	}
}
