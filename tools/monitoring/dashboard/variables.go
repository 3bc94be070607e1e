package main

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// source is the Prometheus that the user chooses above the panels.
var source = common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}

// The filters of a query, by what its metric is about.
const (
	ofNode     = `node=~"$node"`
	ofScenario = ofNode + `,scenario=~"$scenario"`
	ofArm      = ofScenario + `,arm=~"$arm"`
)

// variables are what the user chooses. The values of a choice depend on those before it.
func variables() []cog.Builder[dashboard.VariableModel] {
	return []cog.Builder[dashboard.VariableModel]{
		dashboard.NewDatasourceVariableBuilder("datasource").Label("Prometheus").Type("prometheus"),
		choice("node", "snatlab_build_info"),
		choice("scenario", "snatlab_run_outcome{"+ofNode+"}"),
		choice("arm", "snatlab_baseline{"+ofScenario+"}"),
	}
}

// choice returns a variable with the values that a label has in some metric.
func choice(label, selector string) *dashboard.QueryVariableBuilder {
	query := fmt.Sprintf("label_values(%s, %s)", selector, label)
	return dashboard.NewQueryVariableBuilder(label).
		Label(label).
		Datasource(source).
		Query(dashboard.StringOrMap{String: &query}).
		Definition(query).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Sort(dashboard.VariableSortAlphabeticalAsc).
		Multi(true).
		IncludeAll(true).
		Current(dashboard.VariableOption{
			Text:  dashboard.StringOrArrayOfString{ArrayOfString: []string{"All"}},
			Value: dashboard.StringOrArrayOfString{ArrayOfString: []string{"$__all"}},
		})
}

// newKernels marks the first day of each node on a new kernel.
func newKernels() *dashboard.AnnotationQueryBuilder {
	const kernels = "count by (node, kernel) (snatlab_nightly_kernel_info{" + ofNode + "}"
	return dashboard.NewAnnotationQueryBuilder().
		Name("New kernel").
		Datasource(source).
		Enable(true).
		IconColor("blue").
		Target(prometheus.NewDataqueryBuilder().RefId("Anno").Expr(kernels + ") unless " + kernels + " offset 1d)").Interval("1h").Range()).
		TitleFormat("{{node}} runs {{kernel}}")
}
