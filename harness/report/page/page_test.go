package page

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

// fixtures returns the results of package report's tests, and an old one.
func fixtures(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("../testdata/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no results: %v", err)
	}
	return append(paths, "../testdata/old/result.json")
}

func readResult(t testing.TB, path string) *result.Result {
	t.Helper()
	r, err := resultfile.ReadResult(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The elements and the attributes that the templates write. What else is in a page came
// from outside.
var (
	elements = strings.Fields(`html head meta title style body header main nav section footer figure h1 h2 h3 p ul ol li
		a strong span br div table caption thead tbody tr th td pre details summary svg g line rect circle path text desc`)
	attributes = strings.Fields(`lang charset http-equiv content name id class href role tabindex aria-label aria-labelledby aria-hidden scope
		x y dx dy x1 x2 y1 y2 cx cy r d width height viewBox preserveAspectRatio`)
	link = regexp.MustCompile(`^(#[a-z]+(-[a-z0-9]+)*|history\.html)$`)
)

// checkMarkup checks that a page is well-formed, that it has no markup but that of the
// templates, and that nothing in it can load or run anything.
func checkMarkup(t *testing.T, page string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	ids := map[string]bool{}
	var links []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if !slices.Contains(elements, start.Name.Local) {
			t.Errorf("element %s", start.Name.Local)
		}
		for _, a := range start.Attr {
			if !slices.Contains(attributes, a.Name.Local) {
				t.Errorf("attribute %s of %s", a.Name.Local, start.Name.Local)
			}
			switch a.Name.Local {
			case "href":
				links = append(links, a.Value)
			case "id":
				if ids[a.Value] {
					t.Errorf("id %s appears twice", a.Value)
				}
				ids[a.Value] = true
			}
		}
	}
	for _, to := range links {
		if id, inside := strings.CutPrefix(to, "#"); !link.MatchString(to) || inside && !ids[id] {
			t.Errorf("a link to %q", to)
		}
	}
	if i := strings.IndexFunc(page, isInvisible); i >= 0 {
		t.Errorf("a character that is invisible: %q", page[i:min(len(page), i+20)])
	}
}

func isInvisible(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

func TestWriteRun(t *testing.T) {
	t.Parallel()
	for _, path := range fixtures(t) {
		page := reporttest.Draw(t, WriteRun, readResult(t, path))
		checkMarkup(t, page)
		if !strings.HasPrefix(page, "<!DOCTYPE html>\n<html lang=\"en\">") {
			t.Errorf("%s: begins with %.60q", path, page)
		}
	}
}

// The policy allows the style sheet as it stands in the page, and nothing else.
func TestPolicy(t *testing.T) {
	t.Parallel()
	page := reporttest.Draw(t, WriteRun, readResult(t, "../testdata/control.json"))
	_, rest, _ := strings.Cut(page, "<style>")
	css, _, _ := strings.Cut(rest, "</style>")
	want := fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'", hashText(css))
	if policy != want {
		t.Errorf("got %s, want %s", policy, want)
	}
	if css != style || strings.Contains(css, "url(") || strings.Contains(css, "@import") {
		t.Error("the style sheet was changed, or loads something")
	}
}

// hostile returns a result whose texts are all markup.
func hostile(t *testing.T) *result.Result {
	text, err := os.ReadFile("../testdata/control.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"random-fully", "masquerade", "amd64", "nftables", "kvm"} {
		text = bytes.ReplaceAll(text, []byte(name), []byte(`</title></style></pre><script src=//evil>alert(1)</script><img src=x onerror=alert(1)>\" onload=\"x\u001b[2J\u202e\u0000]]>{{.}}`))
	}
	r, err := resultfile.DecodeResult(text)
	if err != nil {
		t.Fatal(err)
	}
	r.Scenario.Name, r.Warnings = reporttest.HostileName, append(r.Warnings, reporttest.HostileName, "--><svg onload=alert(1)>", "javascript:alert(1)")
	r.Environment.Sysctls = map[string]string{"<b>": "</table>"}
	return r
}

// Names, rules and errors are text, whatever they hold.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	page := reporttest.Draw(t, WriteRun, hostile(t))
	checkMarkup(t, page)
	if !strings.Contains(page, "&lt;script src=//evil&gt;") {
		t.Error("the names are not in the page: this test shows nothing")
	}
}

// kernels returns a matrix of three kernels, one of which cannot be tested.
func kernels(t *testing.T) *result.Matrix {
	row := func(kernel, name string) result.Row {
		return result.Row{Kernel: kernel, Status: result.RowOK, Accel: "tcg", Attempts: 1, Seconds: 41.2, Result: readResult(t, "../testdata/"+name+".json")}
	}
	m := &result.Matrix{Schema: result.MatrixSchema, Started: time.Date(2026, 11, 23, 6, 40, 0, 0, time.UTC), Seconds: 201, Rows: []result.Row{
		row("5.10.0-46-cloud-amd64", "control"), row("6.18.15+deb13-cloud-amd64", "many"),
		{Kernel: "./vmlinuz", Status: result.RowError, Reason: "the kernel panicked: sysrq triggered crash", Console: []string{"[    2.8] Kernel panic", "\x1b[31mno colours\x1b[0m"}}}}
	m.Scenario = m.Rows[0].Result.Scenario
	return m
}

// nodes returns a fleet of the kernels of [kernels].
func nodes(t *testing.T) *result.Fleet {
	m := kernels(t)
	f := &result.Fleet{Schema: result.FleetSchema, Scenario: m.Scenario, Started: m.Started, Seconds: m.Seconds}
	for i, r := range m.Rows {
		n := result.FleetNode{Node: fmt.Sprintf("web-%d", i+1), Status: r.Status, Reason: r.Reason, Result: r.Result}
		if n.Result != nil {
			n.Result.Environment.Kubernetes = &result.Kubernetes{Node: n.Node, Rules: []string{"iptables (nft), CNI-1: -A CNI-1 ! -d 224.0.0.0/4 -j MASQUERADE"}}
		}
		f.Nodes = append(f.Nodes, n)
	}
	return f
}

// The page of many nodes stays small.
func TestManyNodes(t *testing.T) {
	t.Parallel()
	f := nodes(t)
	for i := range 500 {
		f.Nodes = append(f.Nodes, f.Nodes[i%2])
	}
	page := reporttest.Draw(t, WriteFleet, f)
	if len(page) > 2_000_000 {
		t.Errorf("%d bytes", len(page))
	}
}

// Every other kind of page is well-formed, and no name in it is markup.
func TestOtherPages(t *testing.T) {
	t.Parallel()
	for name, page := range otherPages(t) {
		checkMarkup(t, page)
		if strings.HasSuffix(name, "-hostile") && !strings.Contains(page, "&lt;c&gt;") {
			t.Errorf("%s: the names are not in the page: this test shows nothing", name)
		}
	}
	checkMarkup(t, reporttest.Draw(t, WriteMatrix, &result.Matrix{}))
	checkMarkup(t, reporttest.Draw(t, WriteFleet, &result.Fleet{}))
	checkMarkup(t, reporttest.Draw(t, WriteHistory, &result.History{}))
	checkMarkup(t, reporttest.Draw(t, WriteHistory, &result.History{Series: []result.Series{{}}}))
	checkMarkup(t, reporttest.Draw(t, WriteComparison, &result.GroupComparison{}))
	checkMarkup(t, reporttest.Draw(t, WriteNight(""), &result.Night{Runs: []result.NightRun{{}}}))
	checkMarkup(t, reporttest.Draw(t, WriteCalibration, &result.Calibration{}))
}

// otherPages returns pages of matrices, histories, comparisons, nights and calibrations,
// also with hostile names.
func otherPages(t *testing.T) map[string]string {
	m, h, c := kernels(t), nights(), reporttest.ComparedKernels()
	pages := map[string]string{"matrix": reporttest.Draw(t, WriteMatrix, m), "history": reporttest.Draw(t, WriteHistory, h), "comparison": reporttest.Draw(t, WriteComparison, c)}
	evil := reporttest.HostileName
	m.Rows[0].Kernel, m.Rows[1].Result.Arms[1].Name, m.Rows[2].Reason, m.Rows[2].Console[0] = evil, evil, evil, evil
	m.Scenario.Name = evil
	s := &h.Series[0]
	s.Key.Scenario, s.Runs[3].Kernel, s.Kernels[0].Kernel, h.Store = evil, evil, evil, evil
	for i := range s.Runs {
		s.Runs[i].Arms[1].Name = evil
	}
	c.Arms[0].Name, c.Summary, c.Findings[0].Text, c.Differs[0].Old, c.Old.Name, c.Scenario = evil, evil, evil, evil, evil, evil
	pages["matrix-hostile"], pages["history-hostile"] = reporttest.Draw(t, WriteMatrix, m), reporttest.Draw(t, WriteHistory, h)
	pages["night"] = reporttest.Draw(t, WriteNight("history.html"), reporttest.Nights(t)["bad"])
	pages["night-hostile"], pages["calibration-hostile"] = reporttest.Draw(t, WriteNight(""), reporttest.HostileNight(t)), reporttest.Draw(t, WriteCalibration, hostileCalibration())
	fleet := nodes(t)
	pages["fleet"] = reporttest.Draw(t, WriteFleet, fleet)
	fleet.Nodes[0].Node, fleet.Nodes[1].Result.Environment.Kubernetes.Rules[0], fleet.Nodes[2].Reason, fleet.Scenario.Name = evil, evil, evil, evil
	pages["fleet-hostile"] = reporttest.Draw(t, WriteFleet, fleet)
	pages["calibration"] = reporttest.Draw(t, WriteCalibration, makeCalibration(100))
	pages["comparison-hostile"] = reporttest.Draw(t, WriteComparison, c)
	return pages
}

// nights returns a history in which most runs have shares that remain.
func nights() *result.History {
	h := reporttest.PastNights()
	runs := h.Series[0].Runs
	for i := range runs[:8] {
		runs[i].Arms[1].Method = result.ByControl
		runs[i].Arms[1].Remaining = &result.Remaining{Requests: 8000, ControlFailed: 1100, ControlRequests: 8000, Estimate: new(0.), DecisiveHigh: new(.007)}
	}
	return h
}

// Each change of kernel has a line, and the lines of guests, which run their kernels in
// turn, have none.
func TestKernelChanges(t *testing.T) {
	t.Parallel()
	runs := nights().Series[0].Runs
	x := newDayAxis(runs)
	marks, changes := x.markKernels(runs, false)
	if len(marks) != 1 || len(changes) != 1 || changes[0] != "from 6.12.107 to 6.18.15, on 2026-11-26" || marks[0].Label != "1" {
		t.Errorf("got %v, %q", marks, changes)
	}
	if marks, changes := x.markKernels(runs, true); len(marks)+len(changes) > 0 {
		t.Errorf("guests: got %v, %q", marks, changes)
	}
}

// longRun returns a result of so many arms and rounds, of 64 clients on 2 CPUs.
func longRun(t testing.TB, arms, rounds int) *result.Result {
	r := readResult(t, "../testdata/control.json")
	model := r.Arms[0]
	r.Scenario.Clients, r.Scenario.Rounds, r.Arms = 64, rounds, nil
	for a := range arms {
		arm := model
		arm.Name, arm.Trials = fmt.Sprintf("arm-%d", a), nil
		for round := range rounds {
			trial := model.Trials[round%len(model.Trials)]
			control := *trial.Control
			trial.Round, trial.Start, trial.Requests, trial.Failed = round+1, 1+float64(round*arms+a)*1.3, 64000, 20000+round*7%4000
			control.Requests, control.Failed = 64000, 21000+round*11%5000
			trial.Control = &control
			arm.Trials = append(arm.Trials, trial)
		}
		for us := range int64(3000) {
			arm.Latencies = append(arm.Latencies, result.Bucket{Micros: 20 + us, Requests: 1 + 3000 - us})
		}
		arm.ControlLatencies = arm.Latencies
		r.Arms = append(r.Arms, arm)
	}
	return r
}

// The page of the longest run is below 2 MB.
func TestPageSize(t *testing.T) {
	t.Parallel()
	for _, arms := range []int{2, 6, 32} {
		page := reporttest.Draw(t, WriteRun, longRun(t, arms, 1000))
		if len(page) > 2_000_000 {
			t.Errorf("%d arms: %d bytes", arms, len(page))
		}
		checkMarkup(t, page)
		if thinned := strings.Contains(page, "the lowest and the highest are drawn"); thinned != (arms > 6) {
			t.Errorf("%d arms: thinned is %v", arms, thinned)
		}
	}
}

// Whatever is read as a result can be drawn.
func FuzzWriteRun(f *testing.F) {
	for _, path := range fixtures(f) {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add(bytes.ReplaceAll(text, []byte("0"), []byte("-9")))
		f.Add(bytes.ReplaceAll(text, []byte("1"), []byte("1e300")))
		f.Add(bytes.ReplaceAll(text, []byte(`"`), []byte(`"<script>\u202e`)))
	}
	f.Add([]byte(`{"schema":"snatlab.result/v1","arms":[{"latency_histogram":"0 9223372036854775807"},{"trials":[{"start_s":1e308,"seconds":1e308,"control":{}}]}]}`))
	f.Add([]byte(`{"schema":"snatlab.result/v1","arms":[{"name":"a","trials":[{"requests":-1,"failed":5,"start_s":-1,"conntrack":{"per_cpu":[{"cpu":-1}]}}],"failure_rate":{"median":-1e308,"low":1e308,"high":-1e308,"highest":1e308}}],"comparisons":[{"arm":"a","remaining":{"estimate":-1e308,"low":1e308,"decisive_high":-5}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if r, err := resultfile.DecodeResult(text); err == nil {
			checkMarkup(t, reporttest.Draw(t, WriteRun, r))
		}
	})
}

func TestRemainingText(t *testing.T) {
	t.Parallel()
	for want, share := range map[string]*result.Remaining{
		"":                                      nil,
		"0 % (0 to 0.52 %)":                     {Estimate: new(0.), DecisiveHigh: new(0.0052)},
		"104.6 % (the interval bounds nothing)": {Estimate: new(1.046), DecisiveHigh: new(8.9e9)},
		"104.6 % (40 % or more)":                {Estimate: new(1.046), DecisiveLow: 0.4, DecisiveHigh: new(8.9e9)},
		"- (the interval bounds nothing)":       {},
	} {
		if got := remainingText(share); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestScale(t *testing.T) {
	t.Parallel()
	t.Run("has round ticks that cover the values", func(t *testing.T) {
		for most, want := range map[float64]string{0.434: "0 %,10 %,20 %,30 %,40 %,50 %", 1: "0 %,20 %,40 %,60 %,80 %,100 %", 0.00021: "0 %,0.005 %,0.01 %,0.015 %,0.02 %,0.025 %", 0: "0 %,0.2 %,0.4 %,0.6 %,0.8 %,1 %"} {
			s, values := fromZero(most, 5)
			var labels []string
			for _, v := range values {
				labels = append(labels, shortPercent(v))
			}
			if got := strings.Join(labels, ","); got != want || s.high < most {
				t.Errorf("%g: got %s up to %g, want %s", most, got, s.high, want)
			}
		}
	})
	t.Run("keeps what lies outside at its end", func(t *testing.T) {
		s := scale{low: 0.0001, high: 10, log: true}
		for v, want := range map[float64]string{0: "0%", -1: "0%", 0.0001: "0%", 0.001: "20%", 1e300: "100%"} {
			if got := s.percent(v); got != want {
				t.Errorf("%g: got %s, want %s", v, got, want)
			}
		}
	})
}

// The share of the requests below the curve is their share among all.
func TestDensity(t *testing.T) {
	t.Parallel()
	h := result.Histogram{{Micros: 10, Requests: 1}, {Micros: 20, Requests: 1}, {Micros: 40, Requests: 2}}
	if got := density(h, []float64{10, 20, 40}); got[0] <= 0 || got[0] != got[1] {
		t.Errorf("got %v", got)
	}
	edges := binEdges(1, 1_000_000)
	for i, e := range edges[1:] {
		if e < edges[i]+1 || e != float64(int(e)) {
			t.Fatalf("a bin from %g to %g", edges[i], e)
		}
	}
}
