package export

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
)

func TestWriteMetrics(t *testing.T) {
	t.Parallel()
	for name, n := range reporttest.Nights(t) {
		reporttest.CheckGolden(t, "testdata/night-"+name+".prom", reporttest.Draw(t, WriteMetrics, n))
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

// Prometheus reads the metrics, and its linter finds no problem.
func TestMetricsLint(t *testing.T) {
	t.Parallel()
	all := reporttest.Nights(t)
	all["hostile"] = reporttest.HostileNight(t)
	for name, n := range all {
		text := reporttest.Draw(t, WriteMetrics, n)
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

// One outcome of each scenario is set.
func TestMetricsOutcome(t *testing.T) {
	t.Parallel()
	n := reporttest.Nights(t)["bad"]
	set := map[string]string{}
	for _, m := range parse(t, reporttest.Draw(t, WriteMetrics, n))["snatlab_run_outcome"].Metric {
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

// A known failure is no regression.
func TestMetricsKnownFailure(t *testing.T) {
	t.Parallel()
	all := parse(t, reporttest.Draw(t, WriteMetrics, reporttest.Nights(t)["bad"]))
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

// An arm that could not be judged mitigates no more and no less than before.
func TestMetricsUndecided(t *testing.T) {
	t.Parallel()
	for _, v := range []result.ArmVerdict{result.Undecided, result.ArmInconclusive} {
		j := reporttest.JudgedRun(t, "docker", result.OutcomeOK)
		j.Result.Comparisons[0].Verdict = v
		all := parse(t, reporttest.Draw(t, WriteMetrics, reporttest.NightOf(j)))
		if all["snatlab_mitigated"] != nil || all["snatlab_verdict"] == nil {
			t.Errorf("%s: mitigated %v, verdict %v", v, all["snatlab_mitigated"], all["snatlab_verdict"])
		}
		text := reporttest.Draw(t, WriteMetrics, reporttest.NightOf(j))
		if !strings.Contains(text, fmt.Sprintf(`verdict="%s"} 1`, v)) || strings.Contains(text, `kind="verdict"`) {
			t.Errorf("%s:\n%s", v, text)
		}
		if s := newTestsuite(j); s.Skipped != 1 || s.Cases[1].Skipped == nil {
			t.Errorf("%s: %+v", v, s.caseCounts)
		}
	}
}

// A finding that an arm cannot have has no metric: it could only be 0.
func TestMetricsPossible(t *testing.T) {
	t.Parallel()
	text := reporttest.Draw(t, WriteMetrics, reporttest.NightOf(reporttest.JudgedRun(t, "docker", result.OutcomeOK)))
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

// A scenario that was not judged has no metric of findings: a 0 would end yesterday's
// alert without a result.
func TestMetricsUnjudged(t *testing.T) {
	t.Parallel()
	partial := reporttest.JudgedRun(t, "docker", result.OutcomeError)
	for _, j := range []result.NightRun{partial, reporttest.JudgedRun(t, "inconclusive", result.OutcomeInconclusive)} {
		all := parse(t, reporttest.Draw(t, WriteMetrics, reporttest.NightOf(j)))
		for _, metric := range []string{"snatlab_regression", "snatlab_known_failure", "snatlab_shift"} {
			if all[metric] != nil {
				t.Errorf("%s: %v", j.Outcome, all[metric])
			}
		}
	}
}
