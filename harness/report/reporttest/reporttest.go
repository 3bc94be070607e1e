// Package reporttest holds nights and histories to draw, and golden files, for the
// tests of package report and of the packages below it.
package reporttest

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"snatlab/harness/report/layout"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

var update = flag.Bool("update", false, "write what is printed now to testdata")

// Draw returns the report of v.
func Draw[T any](t *testing.T, report func(io.Writer, T) error, v T) string {
	t.Helper()
	var out bytes.Buffer
	if err := report(&out, v); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// On returns a report as it is written for a screen.
func On[T any](screen layout.Screen, report func(io.Writer, T, layout.Screen) error) func(io.Writer, T) error {
	return func(w io.Writer, record T) error { return report(w, record, screen) }
}

// On80 returns a report as it is written for a screen of 80 columns.
func On80[T any](report func(io.Writer, T, layout.Screen) error) func(io.Writer, T) error {
	return On(layout.Screen{}, report)
}

// CheckFits checks that no line is wider than the screen, and that it can show all signs.
func CheckFits(t *testing.T, on layout.Screen, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if n := layout.Width(strings.TrimSuffix(line, "\n")); n > on.Columns() {
			t.Errorf("%d columns of %d: %s", n, on.Columns(), line)
		}
		if on.ASCII && strings.ContainsFunc(line, func(r rune) bool { return r > unicode.MaxASCII }) {
			t.Errorf("not in ASCII: %s", line)
		}
	}
}

// CheckGolden compares a report with the file at path.
func CheckGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

// Fixtures returns the paths of the results that are drawn, in testdata of package
// report.
func Fixtures(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(fixtureFolder(), "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no results: %v", err)
	}
	return paths
}

// ReadFixture reads one of them, by its name without the extension.
func ReadFixture(t *testing.T, name string) *result.Result {
	t.Helper()
	r, err := resultfile.ReadResult(filepath.Join(fixtureFolder(), name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// fixtureFolder returns the folder of package report's results, seen from that package
// or from a package below it.
func fixtureFolder() string {
	if _, err := os.Stat("testdata/docker.json"); err == nil {
		return "testdata"
	}
	return "../testdata"
}

// JudgedRun returns a night's run with the result of a fixture.
func JudgedRun(t *testing.T, fixture string, o result.Outcome, findings ...result.Finding) result.NightRun {
	t.Helper()
	r := ReadFixture(t, fixture)
	j := result.NightRun{
		Scenario: r.Scenario.Name, File: fixture + ".yaml", Driver: r.Environment.Driver, Outcome: o, Seconds: r.Seconds,
		Compared: 20, KernelBefore: r.Environment.Kernel, Attempts: 1, Findings: findings, Result: r,
	}
	for _, a := range r.Arms {
		median := a.FailureRate.Median
		j.Before = append(j.Before, result.ArmBefore{Arm: a.Name, Runs: 20, Lowest: median / 2, Median: median, Highest: median * 1.25})
	}
	return j
}

// NightOf returns a night with the runs, on the same kernel as the night before.
func NightOf(runs ...result.NightRun) *result.Night {
	started := time.Date(2026, 11, 26, 3, 17, 0, 0, time.UTC)
	last := started.AddDate(0, 0, -1)
	return &result.Night{
		Schema: result.NightSchema, ID: "20261126-031700-0c0ffe", Version: "v1.2.3", Node: "node-1", Started: started, Seconds: 62.5,
		Kernel: "6.18.44", KernelBefore: "6.18.44", LastRun: &last, Runs: runs, Warnings: []string{},
		Store: result.StoreState{Path: "/var/lib/snatlab", Runs: 240, Bytes: 13 << 20},
	}
}

// Nights returns the nights to draw, by name.
func Nights(t *testing.T) map[string]*result.Night {
	first := JudgedRun(t, "docker", result.OutcomeOK)
	first.Compared, first.KernelBefore, first.Before = 0, "", nil
	arrived := NightOf(first)
	arrived.KernelBefore, arrived.LastRun, arrived.Store.Runs = "", nil, 1

	equal := JudgedRun(t, "docker", result.OutcomeOK)
	equal.KernelBefore = "6.12.107"
	upgraded := NightOf(equal)
	upgraded.KernelBefore = "6.12.107"

	p := 0.0012
	fell := JudgedRun(t, "many", result.OutcomeRegression,
		result.Finding{Kind: result.RemainingRose, Arm: "snat-pool", Text: "snat-pool: 24.9 % of the failures remain, at least 20.1 % (1,010 of 16,000 requests failed, and 4,056 of 16,000 of the control, in 3 attempts); 20 earlier nights allow at most 0.05 %"},
		result.Finding{Kind: result.NewCause, Arm: "snat-pool", Text: "snat-pool failed 48 of 16,000 (0.30 %) for refused, in the best of 3 attempts; in 20 earlier runs at most 0", P: &p},
		result.Finding{Kind: result.Shift, Arm: "masquerade", Text: "masquerade lost 24.9 % in the 7 nights (median) since kernel 6.18.44, and 40.6 % in the 20 nights before it (6.12.107)", P: &p})
	fell.Attempts, fell.Machine = 3, &result.MachineState{Slow: 3, Nights: 7}
	fell.Shares = []result.NightShare{{Arm: "snat-pool", Nights: 20, Before: &result.Remaining{Estimate: new(0.), DecisiveHigh: new(0.0003)}, Allowed: new(0.0005)}}
	known := JudgedRun(t, "footnotes", result.OutcomeKnown,
		result.Finding{Kind: result.ExpectationBroken, Arm: "random-fully", Claim: "unexplained <= 0.01 %", Text: "random-fully: unexplained <= 0.01 % held in 20 earlier runs, and does not now", Known: "ticket 4711"})
	fails := JudgedRun(t, "footnotes", result.OutcomeFail)
	fails.Scenario, fails.Reason = "widened-again", fails.Result.Summary
	dark := JudgedRun(t, "inconclusive", result.OutcomeInconclusive)
	dark.Reason, dark.Attempts = dark.Result.Summary, 3
	broken := result.NightRun{Scenario: "torn.yaml", File: "/etc/snatlab/scenarios/torn.yaml", Outcome: result.OutcomeError, Reason: "torn.yaml:3:1: arms: missing"}
	bad := NightOf(fell, known, fails, dark, JudgedRun(t, "docker", result.OutcomeOK), broken)
	bad.Incomplete = "interrupted by SIGTERM; not run: quickstart"
	bad.Warnings = []string{"/var/lib/snatlab/20261101-031700-facade: the file is empty"}
	bad.Store.Error = "write /var/lib/snatlab: no space left on device"

	unsettled := JudgedRun(t, "docker", result.OutcomeInconclusive)
	unsettled.Reason, unsettled.Attempts = "not settled by 3 attempts: random-fully failed 45 of 48,000 (0.09 %)", 3
	maybe := JudgedRun(t, "docker", result.OutcomeOK)
	maybe.Scenario, maybe.KernelBefore, maybe.Doubts = "docker-pool", "6.12.107", []string{"random-fully failed 45 of 48,000 (0.09 %) for refused; in 5 earlier runs at most 0; that may be chance (p = 0.17)"}
	anew := JudgedRun(t, "docker", result.OutcomeOK)
	anew.Scenario = "docker-quickstart"
	anew.Compared, anew.KernelBefore, anew.Before, anew.KeyChange = 0, "", nil, "docker 28.1.0 -> 28.1.1"
	late := JudgedRun(t, "many", result.OutcomeRegression,
		result.Finding{Kind: result.RemainingRose, Arm: "snat-pool", Text: "snat-pool: 24.9 % of the failures remain, at least 20.1 % (1,010 of 16,000 requests failed, and 4,056 of 16,000 of the control, in 2 attempts); 8 earlier nights allow at most 0.12 %"})
	late.Attempts, late.Reason = 2, "attempt 3: Docker engine: gone"
	doubtful := NightOf(unsettled, maybe, anew, late)
	doubtful.KernelBefore = "6.12.107"
	return map[string]*result.Night{"first": arrived, "upgraded": upgraded, "bad": bad, "doubtful": doubtful, "fleet": fleetNight(t)}
}

// fleetNight returns a night on three nodes of a cluster, of which one has a new kernel, and
// one could not be run.
func fleetNight(t *testing.T) *result.Night {
	var runs []result.NightRun
	for _, node := range []string{"worker-1", "worker-2", "worker-3"} {
		j := JudgedRun(t, "docker", result.OutcomeOK)
		j.Scenario, j.Driver, j.Node = "kubernetes-masquerade", result.DriverKubernetes, node
		runs = append(runs, j)
	}
	runs[1].KernelBefore = "6.12.107"
	runs[2].Outcome, runs[2].Reason, runs[2].Result = result.OutcomeError, "is cordoned (kubectl uncordon worker-3)", nil
	return NightOf(runs...)
}

// HostileName has a character with a special meaning in every format.
const HostileName = "a\"\\b\n<c>&]]>{d}\x1b[2J\x00\xff"

// HostileNight returns a night with [HostileName] for every name.
func HostileNight(t *testing.T) *result.Night {
	j := JudgedRun(t, "docker", result.OutcomeRegression, result.Finding{Kind: result.NewCause, Arm: HostileName, Text: HostileName})
	j.Scenario, j.Reason, j.Result.Arms[1].Name, j.Result.Environment.Kernel = HostileName, HostileName, HostileName, HostileName
	n := NightOf(j)
	n.Kernel, n.Version, n.Incomplete = HostileName, HostileName, HostileName
	return n
}

// PastNights returns a history of two kernels, of which the second breaks the
// mitigation on its last day, and of a guest that ran once.
func PastNights() *result.History {
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
		r.Arms = []result.ArmSummary{StoredArm("masquerade", lost, ""), StoredArm("random-fully", failed, verdict)}
		s.Runs = append(s.Runs, r)
	}
	last := s.Runs[8].Arms // the runs before have no shares, as those of old versions
	last[0].Remaining = &result.Remaining{Failed: 1256, Requests: 8000, ControlFailed: 1250, ControlRequests: 8000, Estimate: new(1.0048), DecisiveLow: .88, DecisiveHigh: new(1.15)}
	last[1].Method, last[1].Remaining = result.ByControl, &result.Remaining{Failed: 700, Requests: 8000, ControlFailed: 1250, ControlRequests: 8000, Estimate: new(.56), DecisiveLow: .48, DecisiveHigh: new(.66)}
	early := result.RunSummary{ID: "early", Folder: "early", Started: time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC), Kernel: "6.18.15", Key: key,
		Verdict: result.Inconclusive, Incomplete: "interrupted by SIGINT", Arms: []result.ArmSummary{{Name: "masquerade"}, {Name: "random-fully"}}}
	s.Runs = append(s.Runs, early)
	s.Kernels = []result.KernelRuns{
		{Kernel: "6.12.107", First: s.Runs[0].Started, Last: s.Runs[5].Started, Runs: 6, Verdicts: map[result.Verdict]int{result.Pass: 6}, Arms: []result.ArmRuns{
			{Name: "masquerade", Requests: 48000, Failed: 6315, FailureRate: result.Spread{Median: .131, Low: new(.12), High: new(.143)}},
			{Name: "random-fully", Requests: 48000, FailureRate: result.Spread{Low: new(0.), High: new(0.)}, Verdicts: map[result.ArmVerdict]int{result.Mitigated: 6},
				Remaining: &result.Remaining{ControlFailed: 6287, Estimate: new(0.), DecisiveHigh: new(.0012)}, Units: result.UnitNight}}},
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

// StoredArm returns an arm of a stored run, of 8,000 requests.
func StoredArm(name string, failed int, verdict result.ArmVerdict) result.ArmSummary {
	rate := float64(failed) / 8000
	a := result.ArmSummary{Name: name, Trials: 8, Requests: 8000, Failed: failed, Verdict: verdict,
		FailureRate: result.Spread{Median: rate, Low: new(rate), Highest: rate}}
	if failed > 0 {
		a.Causes = map[string]int{result.SNATRace: failed - 1, result.Unexplained: 1}
	}
	return a
}

// ComparedKernels returns a comparison of two kernels, of which the new one breaks the
// mitigation.
func ComparedKernels() *result.GroupComparison {
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
