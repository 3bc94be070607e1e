package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/table"
)

// legend names an arm of a scenario on a node.
const legend = "{{arm}}, {{scenario}} ({{driver}}) on {{node}}"

// rows are all that is shown, from the answer down to the figures behind it.
func rows() []row {
	return []row{
		{"Last night", lastNight()},
		{"What the mitigations leave", mitigations()},
		{"What the baseline loses", baseline()},
		{"What the mitigations cost", costs()},
		{"Machines and nights", machines()},
	}
}

func lastNight() []cog.Builder[dashboard.Panel] {
	const day = 86400
	return []cog.Builder[dashboard.Panel]{
		newStat("Regressions", "Arms that are worse than in their history, known failures excepted.",
			"sum(snatlab_regression{"+ofArm+"})", "none", "red", 1),
		newStat("Known failures", "Arms that are worse than in their history, as the file of known failures expects.",
			"sum(snatlab_known_failure{"+ofArm+"})", "none", "yellow", 1),
		newStat("Scenarios without a verdict", "They could not be run, or were inconclusive. A regression may go unseen.",
			"sum(snatlab_run_outcome{"+ofScenario+`,outcome=~"error|inconclusive"})`, "none", "orange", 1),
		newStat("Oldest night", "How long ago the last night of a node ended; of the node with the oldest one.",
			"max(time() - snatlab_nightly_timestamp_seconds{"+ofNode+"})", seconds, "red", 2*day),
		outcomes(),
	}
}

func outcomes() *table.PanelBuilder {
	p := newTable("Scenarios", "The outcome of each scenario, in comparison with its history.", "node, scenario, driver",
		column{expr: "snatlab_run_outcome{" + ofScenario + "} == 1", label: "outcome"},
		column{"snatlab_run_attempts{" + ofScenario + "}", "", "attempts", "none"},
		column{"snatlab_run_compared{" + ofScenario + "}", "", "compared with", "none"},
		column{"snatlab_slow_nights{" + ofScenario + "}", "", "slow nights", "none"},
		column{"snatlab_run_duration_seconds{" + ofScenario + "}", "", "duration", seconds})
	return colourColumn(p, "outcome", map[string]dashboard.ValueMappingResult{
		"ok": cell("ok", "green"), "xfail": cell("xfail", "yellow"), "inconclusive": cell("inconclusive", "orange"),
		"error": cell("error", "orange"), "fail": cell("fail", "red"), "regression": cell("regression", "red"),
	})
}

func mitigations() []cog.Builder[dashboard.Panel] {
	remains := withEnds("snatlab_remaining_ratio", ofArm, legend)
	remains.bound = "snatlab_remaining_ratio_allowed{" + ofArm + "}"
	return []cog.Builder[dashboard.Panel]{
		arms(),
		newGraph("Share of the failures that remains", "Of each arm; thin: its 99.9 % interval, which decides; dashed: the most that its history allows. The baseline is measured against its own control, and should be near 100 %.", share, remains).Min(0),
		newGraph("Lost requests of the control", "The share that the control of each arm lost to the race. If nearly none were lost, the nights prove nothing.", share, line{
			expr:   "sum by (node, scenario, driver, arm) (snatlab_control_failed_requests{" + ofArm + `,cause="snat_race"}) / sum by (node, scenario, driver, arm) (snatlab_control_requests{` + ofArm + "})",
			legend: legend,
		}).Min(0),
	}
}

func arms() *table.PanelBuilder {
	p := newTable("Arms", "The figures of the last night. The baseline has no verdict: the others are compared with it.", "node, scenario, driver, kernel, arm",
		column{"snatlab_baseline{" + ofArm + "}", "", "role", "none"},
		column{expr: "snatlab_verdict{" + ofArm + "}", label: "verdict"},
		column{"snatlab_remaining_ratio{" + ofArm + "}", "", "remains", share},
		column{"snatlab_remaining_ratio_low{" + ofArm + "}", "", "at least", share},
		column{"snatlab_remaining_ratio_high{" + ofArm + "}", "", "at most", share},
		column{"snatlab_failure_ratio{" + ofArm + "}", "", "failed", share},
		column{"snatlab_requests{" + ofArm + "}", "", "requests", "none"},
		column{"snatlab_insert_failed{" + ofArm + "}", "", "insert_failed", "none"},
		column{"snatlab_latency_p50_seconds{" + ofArm + "}", "", "p50", seconds},
		column{"snatlab_latency_p99_seconds{" + ofArm + "}", "", "p99", seconds})
	p = colourColumn(p, "role", map[string]dashboard.ValueMappingResult{"0": cell("arm", "text"), "1": cell("baseline", "blue")})
	return colourColumn(p, "verdict", map[string]dashboard.ValueMappingResult{
		"mitigated": cell("mitigated", "green"), "reduced": cell("reduced", "yellow"), "equal": cell("equal", "red"),
		"worse": cell("worse", "red"), "undecided": cell("undecided", "orange"),
	})
}

func baseline() []cog.Builder[dashboard.Panel] {
	const causes = "sum by (node, scenario, driver, arm, cause) (snatlab_failed_requests{" + ofArm + "})"
	return []cog.Builder[dashboard.Panel]{
		newGraph("Failure rate of the baseline", "The share of the requests that failed under plain masquerade; thin: its 95 % interval. It moves with the timing of the machine.", share,
			withEnds("snatlab_failure_ratio", ofArm, legend).and("snatlab_baseline{"+ofArm+"} == 1")).Min(0),
		newGraph("Failed requests by cause", "The share of an arm's requests that failed, by cause. Whatever is not snat_race is not the race.", share, line{
			expr:   causes + " / on (node, scenario, driver, arm) group_left () sum by (node, scenario, driver, arm) (snatlab_requests{" + ofArm + "})",
			legend: "{{cause}}: " + legend,
		}).Min(0).Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal)).FillOpacity(30).LineWidth(1),
	}
}

func costs() []cog.Builder[dashboard.Panel] {
	return []cog.Builder[dashboard.Panel]{
		newGraph("Time to connect, p50", "The median of the trials; thin: its 95 % interval.", seconds,
			withEnds("snatlab_latency_p50_seconds", ofArm, legend)).Min(0),
		newGraph("Time to connect, p99", "The median of the trials; thin: its 95 % interval.", seconds,
			withEnds("snatlab_latency_p99_seconds", ofArm, legend)).Min(0),
		newGraph("What an arm adds to the time to connect", "By how much a percentile is above that of the baseline; thin: its 95 % interval. An interval that holds 0 proves no cost.", share,
			withEnds("snatlab_latency_change_ratio", ofArm, "{{percentile}}: "+legend)).Span(fullWidth),
	}
}

func machines() []cog.Builder[dashboard.Panel] {
	return []cog.Builder[dashboard.Panel]{
		nodes(),
		newGraph("Slow nights", "Of the last 7 nights, those in which the baseline lost less than a tenth of what it lost in the night with the most losses.", "none",
			line{expr: "snatlab_slow_nights{" + ofScenario + "}", legend: "{{scenario}} ({{driver}}) on {{node}}"}).Min(0),
		newGraph("Duration of the night", "", seconds,
			line{expr: "snatlab_nightly_duration_seconds{" + ofNode + "}", legend: "{{node}}"}).Min(0),
	}
}

func nodes() *table.PanelBuilder {
	p := newTable("Nodes", "What each node ran last night, and the kernel before it.", "node",
		column{expr: "snatlab_nightly_kernel_info{" + ofNode + "}", label: "kernel, before"},
		column{expr: "snatlab_build_info{" + ofNode + "}", label: "version"},
		column{"snatlab_nightly_complete{" + ofNode + "}", "", "complete", "none"},
		column{"snatlab_store_writable{" + ofNode + "}", "", "stored", "none"},
		column{"snatlab_store_runs{" + ofNode + "}", "", "stored runs", "none"},
		column{"snatlab_store_size_bytes{" + ofNode + "}", "", "size of the store", bytes})
	yes := map[string]dashboard.ValueMappingResult{"0": cell("no", "red"), "1": cell("yes", "green")}
	return colourColumn(colourColumn(p, "complete", yes), "stored", yes)
}
