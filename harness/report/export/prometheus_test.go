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

// Every metric that is written is described, with its labels.
func TestDescribeMetrics(t *testing.T) {
	t.Parallel()
	labels := map[string][]string{}
	for _, m := range DescribeMetrics() {
		labels[m.Name] = slices.Sorted(slices.Values(m.Labels))
	}
	for name, n := range reporttest.Nights(t) {
		for metric, f := range parse(t, reporttest.Draw(t, WriteMetrics, n)) {
			for _, m := range f.Metric {
				var names []string
				for _, l := range m.Label {
					names = append(names, l.GetName())
				}
				slices.Sort(names)
				if !slices.Equal(names, labels[metric]) {
					t.Errorf("%s: %s has the labels %q, described as %q", name, metric, names, labels[metric])
				}
			}
		}
	}
}

// Every metric has the name of the node, which may be no UTF-8.
func TestMetricsNode(t *testing.T) {
	t.Parallel()
	n := reporttest.Nights(t)["bad"]
	n.Node = "rack\xff"
	for metric, f := range parse(t, reporttest.Draw(t, WriteMetrics, n)) {
		for _, m := range f.Metric {
			if got := labelOf(m, "node"); got != "rack?" {
				t.Errorf("%s is of node %q", metric, got)
			}
		}
	}
}

// What was run on a node of a cluster has the name of that node, and the night that of the
// machine.
func TestMetricsFleet(t *testing.T) {
	t.Parallel()
	all := parse(t, reporttest.Draw(t, WriteMetrics, reporttest.Nights(t)["fleet"]))
	nodesOf := func(metric string) (nodes []string) {
		for _, m := range all[metric].Metric {
			nodes = append(nodes, labelOf(m, "node"))
		}
		slices.Sort(nodes)
		return slices.Compact(nodes)
	}
	for metric, want := range map[string][]string{
		"snatlab_run_outcome": {"worker-1", "worker-2", "worker-3"}, "snatlab_failure_ratio": {"worker-1", "worker-2"}, "snatlab_nightly_complete": {"node-1"},
	} {
		if got := nodesOf(metric); !slices.Equal(got, want) {
			t.Errorf("%s is of %q, want %q", metric, got, want)
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
		if !strings.Contains(text, fmt.Sprintf(`verdict="%s"} 1`, v)) {
			t.Errorf("%s:\n%s", v, text)
		}
		if s := newTestsuite(j); s.Skipped != 1 || s.Cases[1].Skipped == nil {
			t.Errorf("%s: %+v", v, s.caseCounts)
		}
	}
}

// sharedRun returns a run whose second arm has half of the failures of its control.
func sharedRun(t *testing.T) result.NightRun {
	t.Helper()
	j := reporttest.JudgedRun(t, "control", result.OutcomeOK)
	j.Result.Instrument = &result.Remaining{Estimate: new(1.02), DecisiveLow: 0.97, DecisiveHigh: new(1.07)}
	j.Result.Comparisons[0].Remaining = &result.Remaining{Estimate: new(0.5), DecisiveLow: 0.44, DecisiveHigh: new(0.57)}
	return j
}

// A finding that an arm cannot have has no metric: it could only be 0.
func TestMetricsPossible(t *testing.T) {
	t.Parallel()
	j := sharedRun(t)
	arm := j.Result.Arms[1].Name
	text := reporttest.Draw(t, WriteMetrics, reporttest.NightOf(j))
	about := func(metric, arm, kind string) string {
		return fmt.Sprintf(`%s{arm="%s",driver="%s",%snode="node-1",scenario=`, metric, arm, j.Driver, kind)
	}
	for _, never := range []string{about("snatlab_shift", arm, ""), about("snatlab_regression", "masquerade", `kind="remaining",`)} {
		if strings.Contains(text, never) {
			t.Errorf("there is %s", never)
		}
	}
	for _, always := range []string{about("snatlab_shift", "masquerade", ""), about("snatlab_regression", arm, `kind="remaining",`)} {
		if !strings.Contains(text, always) {
			t.Errorf("there is no %s", always)
		}
	}
	j.Result.Comparisons[0].Remaining = nil
	if text := reporttest.Draw(t, WriteMetrics, reporttest.NightOf(j)); strings.Contains(text, `kind="remaining"`) {
		t.Error("an arm without a share has an answer")
	}
}

// The share that remains has its interval, and the baseline is named.
func TestMetricsShares(t *testing.T) {
	t.Parallel()
	j := sharedRun(t)
	all := parse(t, reporttest.Draw(t, WriteMetrics, reporttest.NightOf(j)))
	for metric, want := range map[string][2]float64{ // of the baseline and of the arm
		"snatlab_baseline":             {1, 0},
		"snatlab_remaining_ratio":      {1.02, 0.5},
		"snatlab_remaining_ratio_low":  {0.97, 0.44},
		"snatlab_remaining_ratio_high": {1.07, 0.57},
	} {
		for _, m := range all[metric].GetMetric() {
			i := slices.IndexFunc(j.Result.Arms, func(a result.Arm) bool { return a.Name == labelOf(m, "arm") })
			if i < 2 && m.GetGauge().GetValue() != want[i] {
				t.Errorf("%s of %s is %v", metric, labelOf(m, "arm"), m.GetGauge().GetValue())
			}
		}
		if len(all[metric].GetMetric()) < 2 {
			t.Errorf("%s: %v", metric, all[metric])
		}
	}
}

// Medians have the ends of their intervals, in the unit of the metric. Ends that the
// trials do not have are missing.
func TestMetricsIntervals(t *testing.T) {
	t.Parallel()
	j := reporttest.JudgedRun(t, "docker", result.OutcomeOK)
	j.Result.Arms = j.Result.Arms[:1]
	arm := &j.Result.Arms[0]
	arm.FailureRate = result.Spread{Median: 0.5}
	arm.LatencyP50 = result.Spread{Median: 50, Low: new(40.0), High: new(60.0)}
	j.Result.Comparisons = []result.Comparison{{Arm: "other", Latency: []result.LatencyChange{{Percentile: "p99", Estimate: new(0.1), Low: new(-0.2)}}}}
	all := parse(t, reporttest.Draw(t, WriteMetrics, reporttest.NightOf(j)))
	for metric, want := range map[string]float64{
		"snatlab_failure_ratio": 0.5, "snatlab_latency_p50_seconds": 50e-6,
		"snatlab_latency_p50_seconds_low": 40e-6, "snatlab_latency_p50_seconds_high": 60e-6,
		"snatlab_latency_change_ratio": 0.1, "snatlab_latency_change_ratio_low": -0.2,
	} {
		if m := all[metric].GetMetric(); len(m) != 1 || m[0].GetGauge().GetValue() != want {
			t.Errorf("%s: %v, want %v", metric, m, want)
		}
	}
	for _, metric := range []string{"snatlab_failure_ratio_low", "snatlab_failure_ratio_high", "snatlab_latency_change_ratio_high"} {
		if all[metric] != nil {
			t.Errorf("%s: %v", metric, all[metric])
		}
	}
}

// Failed insertions and lost requests of the control are not the arm's.
func TestMetricsControl(t *testing.T) {
	t.Parallel()
	j := sharedRun(t)
	all := parse(t, reporttest.Draw(t, WriteMetrics, reporttest.NightOf(j)))
	sum := func(metric, arm, cause string) (n float64) {
		for _, m := range all[metric].GetMetric() {
			if labelOf(m, "arm") == arm && labelOf(m, "cause") == cause {
				n += m.GetGauge().GetValue()
			}
		}
		return n
	}
	for _, a := range j.Result.Arms {
		counted := float64(result.SumTrials(a.Trials, func(t result.Trial) uint64 { return t.Conntrack.InsertFailed }))
		own, control := sum("snatlab_insert_failed", a.Name, ""), sum("snatlab_control_failed_requests", a.Name, result.SNATRace)
		if own+control != counted || control != float64(a.SumControl().Race) || sum("snatlab_control_requests", a.Name, "") != float64(a.SumControl().Requests) {
			t.Errorf("%s: %v of the arm and %v of the control, of %v", a.Name, own, control, counted)
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
