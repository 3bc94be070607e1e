package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// The units of Grafana that are used here.
const (
	share   = "percentunit"
	seconds = "s"
	bytes   = "bytes"
)

// fullWidth is the width of the grid.
const fullWidth = 24

// letter returns the name of a panel's query.
func letter(i int) string { return string(rune('A' + i)) }

// newStat returns a panel with one number of now, which is coloured from a value on.
func newStat(title, description, expr, unit, colour string, from float64) *stat.PanelBuilder {
	return stat.NewPanelBuilder().
		Title(title).Description(description).Datasource(source).Span(6).Height(4).
		Unit(unit).
		NoValue("none").
		GraphMode(common.BigValueGraphModeNone).
		Orientation(common.VizOrientationAuto).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
		Thresholds(dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps([]dashboard.Threshold{{Color: "green"}, {Value: &from, Color: colour}})).
		WithTarget(prometheus.NewDataqueryBuilder().RefId("A").Expr(expr).Instant())
}

// column is a query of a table. Its values are a column, if that has a title. Its label,
// if it has one, is a column of its own.
type column struct{ expr, label, title, unit string }

// newTable returns a table of now. Each set of values of the labels is a row, to which each
// column adds one value.
func newTable(title, description, labels string, columns ...column) *table.PanelBuilder {
	p := table.NewPanelBuilder().
		Title(title).Description(description).Datasource(source).Span(fullWidth).Height(8).
		Filterable(true).
		Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{})).
		WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}})
	hidden, titles := map[string]bool{"Time": true}, map[string]string{}
	for i, c := range columns {
		by := labels
		if c.label != "" {
			by += ", " + c.label
		}
		// Rows are merged only if they have the same labels. An aggregation removes the
		// name of the metric and what the scrape added.
		expr := "max by (" + by + ") (" + c.expr + ")"
		p.WithTarget(prometheus.NewDataqueryBuilder().RefId(letter(i)).Expr(expr).Instant().Format(prometheus.PromQueryFormatTable))
		name := "Value #" + letter(i) // by which Grafana names the values of a query
		if c.title == "" {
			hidden[name] = true
			continue
		}
		titles[name] = c.title
		p.OverrideByName(c.title, []dashboard.DynamicConfigValue{{Id: "unit", Value: c.unit}})
	}
	return p.WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{"excludeByName": hidden, "renameByName": titles}})
}

// colourColumn colours the cells of a column by their value, and may show another text.
func colourColumn(p *table.PanelBuilder, title string, cells map[string]dashboard.ValueMappingResult) *table.PanelBuilder {
	return p.OverrideByName(title, []dashboard.DynamicConfigValue{
		{Id: "mappings", Value: []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: cells}}}},
		{Id: "custom.cellOptions", Value: map[string]any{"type": "color-text"}},
	})
}

// cell returns how a value is shown.
func cell(text, colour string) dashboard.ValueMappingResult {
	return dashboard.ValueMappingResult{Text: &text, Color: &colour}
}

// line is a query whose series are lines, with the ends of their intervals and the bound
// that they are held against, as far as it has these.
type line struct{ expr, low, high, bound, legend string }

// newGraph returns a panel with lines over time. A line has the colour of its legend, so
// the ends of its interval have the colour of their line. They are thin, and a bound is
// dashed; none of these has a legend of its own.
func newGraph(title, description, unit string, l line) *timeseries.PanelBuilder {
	p := timeseries.NewPanelBuilder().
		Title(title).Description(description).Datasource(source).Span(fullWidth / 2).Height(9).
		Unit(unit).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdPaletteClassicByName)).
		LineInterpolation(common.LineInterpolationStepAfter).
		LineWidth(2).
		ShowPoints(common.VisibilityModeNever).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	thin := dashboard.DynamicConfigValue{Id: "custom.lineWidth", Value: 1}
	dashed := dashboard.DynamicConfigValue{Id: "custom.lineStyle", Value: map[string]any{"fill": "dash", "dash": []int{10, 10}}}
	noLegend := dashboard.DynamicConfigValue{Id: "custom.hideFrom", Value: map[string]bool{"legend": true, "tooltip": false, "viz": false}}
	for i, expr := range []string{l.expr, l.low, l.high, l.bound} {
		if expr == "" {
			continue
		}
		p.WithTarget(prometheus.NewDataqueryBuilder().RefId(letter(i)).Expr(expr).LegendFormat(l.legend).Range())
		switch {
		case i == 3:
			p.OverrideByQuery(letter(i), []dashboard.DynamicConfigValue{thin, dashed, noLegend})
		case i > 0:
			p.OverrideByQuery(letter(i), []dashboard.DynamicConfigValue{thin, noLegend})
		}
	}
	return p
}

// withEnds returns a line with the ends of its interval, which are metrics of their own.
func withEnds(metric, filter, legend string) line {
	return line{
		expr:   metric + "{" + filter + "}",
		low:    metric + "_low{" + filter + "}",
		high:   metric + "_high{" + filter + "}",
		legend: legend,
	}
}

// and keeps of each query of a line what another query has as well.
func (l line) and(expr string) line {
	l.expr += " and " + expr
	l.low += " and " + expr
	l.high += " and " + expr
	return l
}

// row is a row of panels.
type row struct {
	title  string
	panels []cog.Builder[dashboard.Panel]
}
