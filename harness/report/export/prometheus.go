package export

import (
	"io"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"snatlab/harness/result"
)

// WriteMetrics writes a night in the text format of Prometheus, for the textfile
// collector of node_exporter. Every metric is a gauge, as each night replaces the
// file. A scenario without a result has an outcome, and no figures.
//
// Every metric has the label node, so that nights of several nodes can be told apart
// whatever the scrape adds. The label instance is that of node_exporter. What was run on a
// node of a cluster has the name of that node; the night as a whole has that of this machine.
func WriteMetrics(w io.Writer, n *result.Night) error {
	machine := prometheus.NewPedanticRegistry()
	registerNight(machine, n)
	all := prometheus.Gatherers{machine}
	for _, node := range listNodes(n.Runs) {
		registry := prometheus.NewPedanticRegistry()
		newMetrics(registry, node).registerRuns(runsOn(node, n.Runs))
		all = append(all, registry)
	}
	families, err := all.Gather()
	if err != nil {
		return err
	}
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(w, f); err != nil {
			return err
		}
	}
	return nil
}

// Metric describes a metric that a night may have.
type Metric struct {
	Name, Help string
	Labels     []string
}

// DescribeMetrics returns every metric that [WriteMetrics] can write, in no order.
func DescribeMetrics() []Metric {
	return registerNight(prometheus.NewPedanticRegistry(), &result.Night{})
}

// nodeLabel is the label that every metric has.
const nodeLabel = "node"

// registerNight registers the metrics of a night, and returns what describes them.
func registerNight(all prometheus.Registerer, n *result.Night) []Metric {
	m := newMetrics(all, n.Node)
	m.registerTotals(n)
	m.registerRuns(runsOn("", n.Runs))
	return m.described
}

// listNodes returns the nodes of a cluster that runs were on, each once.
func listNodes(runs []result.NightRun) (nodes []string) {
	for _, j := range runs {
		if j.Node != "" && !slices.Contains(nodes, j.Node) {
			nodes = append(nodes, j.Node)
		}
	}
	return nodes
}

// runsOn returns the runs on a node of a cluster; those on this machine if it is empty.
func runsOn(node string, runs []result.NightRun) []result.NightRun {
	return slices.DeleteFunc(slices.Clone(runs), func(j result.NightRun) bool { return j.Node != node })
}

// metrics registers gauges as they are made.
type metrics struct {
	prometheus.Registerer
	described []Metric
}

// newMetrics returns metrics that have the name of a node.
func newMetrics(all prometheus.Registerer, node string) *metrics {
	return &metrics{Registerer: prometheus.WrapRegistererWith(prometheus.Labels{nodeLabel: strings.ToValidUTF8(node, "?")}, all)}
}

// registerGauge registers a gauge with labels, and returns the function that sets it.
// The registry refuses label values that are not UTF-8.
func (m *metrics) registerGauge(name, help string, labels ...string) func(value float64, values ...string) {
	m.described = append(m.described, Metric{name, help, append([]string{nodeLabel}, labels...)})
	vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	m.MustRegister(vec)
	return func(value float64, values ...string) {
		for i := range values {
			values[i] = strings.ToValidUTF8(values[i], "?")
		}
		vec.WithLabelValues(values...).Set(value)
	}
}

// registerRuns registers what is known of each run.
func (m *metrics) registerRuns(runs []result.NightRun) {
	m.registerOutcomes(runs)
	m.registerFindings(runs)
	m.registerArms(runs)
	m.registerLatencies(runs)
	m.registerShares(runs)
	m.registerControls(runs)
}

// registerTotals registers the figures of the night as a whole.
func (m *metrics) registerTotals(n *result.Night) {
	m.registerGauge("snatlab_build_info", "The snatlab that wrote this file; always 1.", "version")(1, n.Version)
	m.registerGauge("snatlab_nightly_kernel_info", "The kernel that the machine runs, and that of the last run before; always 1.", "kernel", "before")(1, n.Kernel, n.KernelBefore)
	end := n.Started.Add(time.Duration(n.Seconds * float64(time.Second)))
	m.registerGauge("snatlab_nightly_timestamp_seconds", "When the nightly ended, in seconds since 1970.")(float64(end.UnixMilli()) / 1000)
	m.registerGauge("snatlab_nightly_duration_seconds", "How long the nightly took.")(n.Seconds)
	m.registerGauge("snatlab_nightly_complete", "Whether every scenario was run: 0 if the nightly was interrupted, or had to stop.")(boolValue(n.Incomplete == ""))
	m.registerGauge("snatlab_store_runs", "Runs that the store of results holds.")(float64(n.Store.Runs))
	m.registerGauge("snatlab_store_size_bytes", "Size of the store of results.")(float64(n.Store.Bytes))
	m.registerGauge("snatlab_store_writable", "Whether every result of the nightly could be stored.")(boolValue(n.Store.Error == ""))
}

// registerOutcomes registers a state set: one outcome of each scenario is 1.
func (m *metrics) registerOutcomes(runs []result.NightRun) {
	outcome := m.registerGauge("snatlab_run_outcome", "The outcome of a scenario: 1 for that outcome, 0 for the others.", "scenario", "driver", "outcome")
	started := m.registerGauge("snatlab_run_timestamp_seconds", "When the last attempt of a scenario began, in seconds since 1970.", "scenario", "driver")
	duration := m.registerGauge("snatlab_run_duration_seconds", "How long all attempts of a scenario took.", "scenario", "driver")
	attempts := m.registerGauge("snatlab_run_attempts", "How often a scenario was run before its outcome was settled.", "scenario", "driver")
	compared := m.registerGauge("snatlab_run_compared", "Earlier runs that a scenario was compared with.", "scenario", "driver")
	for _, j := range runs {
		for _, o := range result.Outcomes {
			outcome(boolValue(j.Outcome == o), j.Scenario, j.Driver, string(o))
		}
		duration(j.Seconds, j.Scenario, j.Driver)
		attempts(float64(j.Attempts), j.Scenario, j.Driver)
		compared(float64(j.Compared), j.Scenario, j.Driver)
		if j.Result != nil {
			started(float64(j.Result.Started.UnixMilli())/1000, j.Scenario, j.Driver)
		}
	}
}

// regressions are the kinds of findings of a night that are regressions.
var regressions = []result.FindingKind{result.RemainingRose, result.NewCause, result.ExpectationBroken}

// registerFindings registers the findings of every arm that was judged. An arm without
// a finding has 0, which ends an alert. A missing metric would also end an alert, and
// is missing if a scenario was an error or inconclusive: so the alert rules look back
// for the last value. A finding that an arm cannot have is not registered.
func (m *metrics) registerFindings(runs []result.NightRun) {
	regression := m.registerGauge("snatlab_regression", "Whether an arm got worse than in its history, known failures excepted.", "scenario", "driver", "arm", "kind")
	known := m.registerGauge("snatlab_known_failure", "Whether an arm got worse than in its history, as a known failure.", "scenario", "driver", "arm", "kind")
	shift := m.registerGauge("snatlab_shift", "Whether the failure rate of the baseline, which depends on timing, has changed with the kernel: 1 in one night at most.", "scenario", "driver", "arm")
	for _, j := range runs {
		judged := j.Outcome != result.OutcomeError && j.Outcome != result.OutcomeInconclusive
		set := func(gauge func(float64, ...string), is, possible bool, more ...string) {
			if is || judged && possible {
				gauge(boolValue(is), append([]string{j.Scenario, j.Driver}, more...)...)
			}
		}
		for _, arm := range judgedArms(j) {
			set(shift, hasFinding(j, arm, result.Shift, false), isBaseline(j, arm), arm)
			for _, kind := range regressions {
				possible := canHave(j, arm, kind)
				set(regression, hasFinding(j, arm, kind, false), possible, arm, string(kind))
				set(known, hasFinding(j, arm, kind, true), possible, arm, string(kind))
			}
		}
	}
}

func isBaseline(j result.NightRun, arm string) bool {
	return j.Result != nil && len(j.Result.Arms) > 0 && j.Result.Arms[0].Name == arm
}

// canHave reports whether a finding of a kind can be about an arm: the baseline
// mitigates nothing, an arm without a share that remains answers neither way, and only an
// arm with an expectation can break one.
func canHave(j result.NightRun, arm string, kind result.FindingKind) bool {
	switch kind {
	case result.RemainingRose:
		share := findShare(j.Result, arm)
		return !isBaseline(j, arm) && share != nil && share.DecisiveHigh != nil
	case result.ExpectationBroken:
		return j.Result != nil && slices.ContainsFunc(j.Result.Expected, func(e result.Expectation) bool { return e.Arm == arm })
	default:
		return true
	}
}

// judgedArms returns the arms of the result, and the other arms of the findings.
func judgedArms(j result.NightRun) (names []string) {
	if j.Result != nil {
		for _, a := range j.Result.Arms {
			names = append(names, a.Name)
		}
	}
	for _, f := range j.Findings {
		if !slices.Contains(names, f.Arm) {
			names = append(names, f.Arm)
		}
	}
	return names
}

func hasFinding(j result.NightRun, arm string, kind result.FindingKind, known bool) bool {
	return slices.ContainsFunc(j.Findings, func(f result.Finding) bool {
		return f.Arm == arm && f.Kind == kind && (f.Known != "") == known
	})
}

// findShare returns the share of the failures that remains under an arm, and that of the
// instrument for the baseline; nil where there is none.
func findShare(r *result.Result, arm string) *result.Remaining {
	if r == nil || len(r.Arms) == 0 {
		return nil
	}
	if r.Arms[0].Name == arm {
		return r.Instrument
	}
	for _, c := range r.Comparisons {
		if c.Arm == arm {
			return c.Remaining
		}
	}
	return nil
}

func boolValue(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
