package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

// judged is a night's run that gave the result of a fixture.
func judged(t *testing.T, fixture string, o result.Outcome, findings ...result.Finding) result.Judged {
	t.Helper()
	r, err := resultfile.Read("testdata/" + fixture + ".json")
	if err != nil {
		t.Fatal(err)
	}
	j := result.Judged{
		Scenario: r.Scenario.Name, File: fixture + ".yaml", Driver: r.Environment.Driver, Outcome: o, Seconds: r.Seconds,
		Compared: 20, KernelBefore: r.Environment.Kernel, Attempts: 1, Findings: findings, Result: r,
	}
	for _, a := range r.Arms {
		median := a.FailureRate.Median
		j.Before = append(j.Before, result.ArmBefore{Arm: a.Name, Runs: 20, Lowest: median / 2, Median: median, Highest: median * 1.25})
	}
	return j
}

// aNight is one with the runs given, on a kernel that it was on before.
func aNight(runs ...result.Judged) *result.Night {
	started := time.Date(2026, 11, 26, 3, 17, 0, 0, time.UTC)
	last := started.AddDate(0, 0, -1)
	return &result.Night{
		Schema: result.NightSchema, ID: "20261126-031700-0c0ffe", Version: "v1.2.3", Started: started, Seconds: 62.5,
		Kernel: "6.18.44", KernelBefore: "6.18.44", LastRun: &last, Runs: runs, Warnings: []string{},
		Store: result.StoreState{Path: "/var/lib/snatlab", Runs: 240, Bytes: 13 << 20},
	}
}

// nights are those that are drawn.
func nights(t *testing.T) map[string]*result.Night {
	first := judged(t, "docker", result.OutcomeOK)
	first.Compared, first.KernelBefore, first.Before = 0, "", nil
	arrived := aNight(first)
	arrived.KernelBefore, arrived.LastRun, arrived.Store.Runs = "", nil, 1

	equal := judged(t, "docker", result.OutcomeOK)
	equal.KernelBefore = "6.12.107"
	upgraded := aNight(equal)
	upgraded.KernelBefore = "6.12.107"

	p := 0.0012
	fell := judged(t, "many", result.OutcomeRegression,
		result.Finding{Kind: result.VerdictFell, Arm: "snat-pool", Text: "snat-pool was mitigated in 20 of 20 earlier runs, and is reduced now", P: nil},
		result.Finding{Kind: result.FailuresRose, Arm: "snat-pool", Text: "snat-pool failed 1,010 of 16,000 requests (6.31 %); in 20 earlier runs at most 2", P: &p},
		result.Finding{Kind: result.Shift, Arm: "masquerade", Text: "masquerade fails 24.9 % of requests; 40.0 to 41.2 % in 20 earlier runs", P: &p})
	fell.Attempts = 3
	known := judged(t, "footnotes", result.OutcomeKnown,
		result.Finding{Kind: result.ExpectationBroken, Arm: "random-fully", Claim: "unexplained <= 0.01 %", Text: "random-fully: unexplained <= 0.01 % held in 20 earlier runs, and does not now", Known: "ticket 4711"})
	fails := judged(t, "footnotes", result.OutcomeFail)
	fails.Scenario, fails.Reason = "widened-again", fails.Result.Summary
	dark := judged(t, "inconclusive", result.OutcomeInconclusive)
	dark.Reason, dark.Attempts = dark.Result.Summary, 3
	broken := result.Judged{Scenario: "torn.yaml", File: "/etc/snatlab/scenarios/torn.yaml", Outcome: result.OutcomeError, Reason: "torn.yaml:3:1: arms: missing"}
	bad := aNight(fell, known, fails, dark, judged(t, "docker", result.OutcomeOK), broken)
	bad.Incomplete = "interrupted by SIGTERM; not run: quickstart"
	bad.Warnings = []string{"/var/lib/snatlab/20261101-031700-facade: the file is empty"}
	bad.Store.Error = "write /var/lib/snatlab: no space left on device"

	unsettled := judged(t, "docker", result.OutcomeInconclusive)
	unsettled.Reason, unsettled.Attempts = "not settled by 3 attempts: random-fully failed 45 of 48,000 (0.09 %)", 3
	maybe := judged(t, "docker", result.OutcomeOK)
	maybe.Scenario, maybe.KernelBefore, maybe.Doubts = "docker-pool", "6.12.107", []string{"random-fully failed 45 of 48,000 (0.09 %) for refused; in 5 earlier runs at most 0; that may be chance (p = 0.17)"}
	anew := judged(t, "docker", result.OutcomeOK)
	anew.Scenario = "docker-quickstart"
	anew.Compared, anew.KernelBefore, anew.Before, anew.Anew = 0, "", nil, "docker 28.1.0 -> 28.1.1"
	late := judged(t, "many", result.OutcomeRegression,
		result.Finding{Kind: result.VerdictFell, Arm: "snat-pool", Text: "snat-pool was mitigated in 8 of 8 earlier runs, and is reduced now"})
	late.Attempts, late.Reason = 2, "attempt 3: Docker engine: gone"
	doubtful := aNight(unsettled, maybe, anew, late)
	doubtful.KernelBefore = "6.12.107"
	return map[string]*result.Night{"first": arrived, "upgraded": upgraded, "bad": bad, "doubtful": doubtful}
}

func TestNightsAreDrawnAsTheGoldensShow(t *testing.T) {
	for name, n := range nights(t) {
		for suffix, render := range map[string]func(io.Writer, *result.Night) error{".txt": Night, ".xml": JUnit, ".prom": Metrics} {
			golden(t, "testdata/night-"+name+suffix, drawNight(t, render, n))
		}
	}
}

func drawNight(t *testing.T, render func(io.Writer, *result.Night) error, n *result.Night) string {
	t.Helper()
	var out bytes.Buffer
	if err := render(&out, n); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestANightIsWrittenAsItIs(t *testing.T) {
	for name, n := range nights(t) {
		var back result.Night
		text := drawNight(t, resultfile.WriteJSON, n)
		if err := json.Unmarshal([]byte(text), &back); err != nil {
			t.Fatal(err)
		}
		if again := drawNight(t, resultfile.WriteJSON, &back); again != text {
			t.Errorf("%s changed:\n%s", name, again)
		}
	}
}

// hostile is a name that means something in every format.
const hostile = "a\"\\b\n<c>&]]>{d}\x1b[2J\x00\xff"

func hostileNight(t *testing.T) *result.Night {
	j := judged(t, "docker", result.OutcomeRegression, result.Finding{Kind: result.NewCause, Arm: hostile, Text: hostile})
	j.Scenario, j.Reason, j.Result.Arms[1].Name, j.Result.Environment.Kernel = hostile, hostile, hostile, hostile
	n := aNight(j)
	n.Kernel, n.Version, n.Incomplete = hostile, hostile, hostile
	return n
}

func TestAHostileNameSteersNoTerminal(t *testing.T) {
	if text := drawNight(t, Night, hostileNight(t)); strings.ContainsAny(text, "\x1b\x00") || !utf8.ValidString(text) {
		t.Errorf("%q", text)
	}
}

// parse reads metrics as Prometheus does.
func parse(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return families
}

func TestMetricsAreThoseThatPrometheusReads(t *testing.T) {
	all := nights(t)
	all["hostile"] = hostileNight(t)
	for name, n := range all {
		text := drawNight(t, Metrics, n)
		problems, err := promlint.New(strings.NewReader(text)).Lint()
		if err != nil || len(problems) > 0 {
			t.Errorf("%s: %v %v", name, problems, err)
		}
		for metric, f := range parse(t, text) {
			if !strings.HasPrefix(metric, "snatlab_") || f.GetType() != dto.MetricType_GAUGE || f.GetHelp() == "" {
				t.Errorf("%s: %s is a %v, %q", name, metric, f.GetType(), f.GetHelp())
			}
		}
	}
}

func TestOneOutcomeOfEachScenarioIsSet(t *testing.T) {
	n := nights(t)["bad"]
	set := map[string]string{}
	for _, m := range parse(t, drawNight(t, Metrics, n))["snatlab_run_outcome"].Metric {
		if m.GetGauge().GetValue() == 1 {
			set[labelOf(m, "scenario")] += labelOf(m, "outcome")
		}
	}
	for _, j := range n.Runs {
		if set[j.Scenario] != string(j.Outcome) {
			t.Errorf("%s: %q, want %q", j.Scenario, set[j.Scenario], j.Outcome)
		}
	}
}

func TestWhatIsKnownIsNoRegressionInMetrics(t *testing.T) {
	all := parse(t, drawNight(t, Metrics, nights(t)["bad"]))
	count := func(metric string) (sum float64) {
		for _, m := range all[metric].Metric {
			sum += m.GetGauge().GetValue()
		}
		return sum
	}
	if r, k, s := count("snatlab_regression"), count("snatlab_known_failure"), count("snatlab_shift"); r != 2 || k != 1 || s != 1 {
		t.Errorf("%v regressions, %v known, %v shifts", r, k, s)
	}
}

func labelOf(m *dto.Metric, name string) string {
	i := slices.IndexFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetName() == name })
	if i < 0 {
		return ""
	}
	return m.Label[i].GetValue()
}

// element is any of JUnit's.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []element  `xml:",any"`
}

// shape is what may stand where in the format: for each element the attributes
// that it must have, and the elements that it may, in their order.
var shape = map[string]struct{ attrs, children []string }{
	"testsuites": {[]string{"name", "tests", "failures", "errors", "skipped", "time"}, []string{"testsuite"}},
	"testsuite":  {[]string{"name", "tests", "failures", "errors", "skipped", "time"}, []string{"properties", "testcase", "system-out"}},
	"properties": {nil, []string{"property"}},
	"property":   {[]string{"name", "value"}, nil},
	"testcase":   {[]string{"classname", "name", "time"}, []string{"failure", "error", "skipped", "system-out"}},
	"failure":    {[]string{"type", "message"}, nil},
	"error":      {[]string{"type", "message"}, nil},
	"skipped":    {[]string{"message"}, nil},
	"system-out": {nil, nil},
}

func (e element) check(t *testing.T) {
	want, ok := shape[e.XMLName.Local]
	if !ok {
		t.Errorf("element %s", e.XMLName.Local)
	}
	for _, name := range want.attrs {
		if !slices.ContainsFunc(e.Attrs, func(a xml.Attr) bool { return a.Name.Local == name }) {
			t.Errorf("%s has no %s", e.XMLName.Local, name)
		}
	}
	last := 0
	for _, c := range e.Children {
		i := slices.Index(want.children, c.XMLName.Local)
		if i < last {
			t.Errorf("%s in %s", c.XMLName.Local, e.XMLName.Local)
		}
		last = i
		c.check(t)
	}
}

func TestJUnitHasTheShapeThatCISystemsRead(t *testing.T) {
	all := nights(t)
	all["hostile"], all["empty"] = hostileNight(t), aNight()
	for name, n := range all {
		t.Run(name, func(t *testing.T) {
			decoder := xml.NewDecoder(strings.NewReader(drawNight(t, JUnit, n)))
			var root element
			if err := decoder.Decode(&root); err != nil {
				t.Fatal(err)
			}
			if root.XMLName.Local != "testsuites" || len(root.Children) != len(n.Runs) {
				t.Errorf("%s with %d suites", root.XMLName.Local, len(root.Children))
			}
			root.check(t)
		})
	}
}

func TestASuiteFailsIfAndOnlyIfItsScenarioDoes(t *testing.T) {
	n := nights(t)["bad"]
	for _, j := range n.Runs {
		s := newSuite(j)
		failed := j.Outcome == result.OutcomeRegression || j.Outcome == result.OutcomeFail
		if (s.Failures > 0) != failed || (s.Errors > 0) != (j.Outcome == result.OutcomeError) {
			t.Errorf("%s is %s: %+v", j.Scenario, j.Outcome, s.counts)
		}
	}
}

// A night that ends with exit code 4 is not all green, whatever it could not tell.
func TestASuiteOfAnInconclusiveScenarioHasASkippedCase(t *testing.T) {
	unsettled := judged(t, "docker", result.OutcomeInconclusive)
	unsettled.Reason = "not settled by 3 attempts"
	alone := judged(t, "inconclusive", result.OutcomeInconclusive) // of one arm, which has no comparison
	alone.Reason, alone.Result.Arms, alone.Result.Comparisons, alone.Result.Expected = "no race", alone.Result.Arms[:1], nil, nil
	for _, j := range []result.Judged{unsettled, alone} {
		s := newSuite(j)
		last := s.Cases[len(s.Cases)-1]
		if s.Skipped != 1 || last.Name != "history" || last.Skipped == nil || last.Skipped.Message != j.Reason {
			t.Errorf("%s: %+v, %+v", j.Scenario, s.counts, last)
		}
	}
}

func TestAFindingFailsTheCaseOfItsOwnClaim(t *testing.T) {
	j := judged(t, "docker", result.OutcomeRegression)
	no := false
	j.Result.Expected = []result.Expect{
		{Arm: "random-fully", Race: "absent", Held: &no, Found: "one"}, {Arm: "random-fully", Race: "reproduced", Held: &no, Found: "two"}}
	j.Findings = []result.Finding{{Kind: result.ExpectationBroken, Arm: "random-fully", Claim: "race reproduced", Text: "it broke"}}
	s := newSuite(j)
	messages := map[string]string{}
	for _, c := range s.Cases {
		if c.Failure != nil {
			messages[c.Name] = c.Failure.Message
		}
	}
	if len(messages) != 2 || messages["random-fully: race absent"] != "one" || messages["random-fully: race reproduced"] != "it broke" {
		t.Errorf("failures %q", messages)
	}
}

// An arm that nobody could judge mitigates no more and no less than before.
func TestMetricsOfUndecidedArm(t *testing.T) {
	for _, v := range []result.ArmVerdict{result.Undecided, result.ArmInconclusive} {
		j := judged(t, "docker", result.OutcomeOK)
		j.Result.Comparisons[0].Verdict = v
		all := parse(t, drawNight(t, Metrics, aNight(j)))
		if all["snatlab_mitigated"] != nil || all["snatlab_verdict"] == nil {
			t.Errorf("%s: mitigated %v, verdict %v", v, all["snatlab_mitigated"], all["snatlab_verdict"])
		}
		text := drawNight(t, Metrics, aNight(j))
		if !strings.Contains(text, fmt.Sprintf(`verdict="%s"} 1`, v)) || strings.Contains(text, `kind="verdict"`) {
			t.Errorf("%s:\n%s", v, text)
		}
		if s := newSuite(j); s.Skipped != 1 || s.Cases[1].Skipped == nil {
			t.Errorf("%s: %+v", v, s.counts)
		}
	}
}

// A series that can be nothing but 0 says nothing.
func TestMetricsAreOnlyThoseThatAnArmCanHave(t *testing.T) {
	text := drawNight(t, Metrics, aNight(judged(t, "docker", result.OutcomeOK)))
	for _, never := range []string{
		`snatlab_shift{arm="random-fully"`,
		`snatlab_regression{arm="masquerade",driver="docker",kind="verdict"`,
		`snatlab_known_failure{arm="masquerade",driver="docker",kind="failures"`,
	} {
		if strings.Contains(text, never) {
			t.Errorf("there is %s", never)
		}
	}
	for _, always := range []string{`snatlab_shift{arm="masquerade"`, `snatlab_regression{arm="random-fully",driver="docker",kind="verdict"`} {
		if !strings.Contains(text, always) {
			t.Errorf("there is no %s", always)
		}
	}
}

// A 0 would end yesterday's alert, though nobody has looked.
func TestAScenarioThatWasNotJudgedIsNotSaidToBeWithoutRegression(t *testing.T) {
	partial := judged(t, "docker", result.OutcomeError)
	for _, j := range []result.Judged{partial, judged(t, "inconclusive", result.OutcomeInconclusive)} {
		all := parse(t, drawNight(t, Metrics, aNight(j)))
		for _, metric := range []string{"snatlab_regression", "snatlab_known_failure", "snatlab_shift"} {
			if all[metric] != nil {
				t.Errorf("%s: %v", j.Outcome, all[metric])
			}
		}
	}
}
