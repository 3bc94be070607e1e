package main

import (
	"context"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
)

// night is the metrics of a night as Prometheus stores them, until it is asked.
type night struct {
	series []*promql.StorageSeries
	end    time.Time
}

const (
	kept     = 8 * 24 * time.Hour // how long the metrics had their values
	interval = time.Hour          // between scrapes
)

// readMetrics reads metrics in the text format. All of them are gauges.
func readMetrics(text string, end time.Time) (*night, error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	n := &night{end: end}
	for name, f := range families {
		for _, m := range f.Metric {
			points := n.repeat(m.GetGauge().GetValue())
			n.series = append(n.series, promql.NewStorageSeries(promql.Series{Metric: labelsOf(name, m), Floats: points}))
		}
	}
	return n, nil
}

func labelsOf(name string, m *dto.Metric) labels.Labels {
	of := map[string]string{model.MetricNameLabel: name}
	for _, l := range m.Label {
		of[l.GetName()] = l.GetValue()
	}
	return labels.FromMap(of)
}

// repeat returns a point for each scrape.
func (n *night) repeat(value float64) (points []promql.FPoint) {
	for t := n.end.Add(-kept); !t.After(n.end); t = t.Add(interval) {
		points = append(points, promql.FPoint{T: t.UnixMilli(), F: value})
	}
	return points
}

// evaluate returns the labels of each series that an expression returns.
func (n *night) evaluate(expression string) ([]map[string]string, error) {
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 2 * interval})
	query, err := engine.NewInstantQuery(context.Background(), n, nil, expression, n.end)
	if err != nil {
		return nil, err
	}
	defer query.Close()
	vector, err := query.Exec(context.Background()).Vector()
	if err != nil {
		return nil, err
	}
	series := []map[string]string{}
	for _, s := range vector {
		series = append(series, s.Metric.Map())
	}
	return series, nil
}

// Querier is the part of a storage that the engine asks.
func (n *night) Querier(int64, int64) (storage.Querier, error) {
	return &storage.MockQuerier{SelectMockFunction: n.selectSeries}, nil
}

func (n *night) selectSeries(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	found := &seriesSet{at: -1}
	for _, s := range n.series {
		if matchesAll(s.Labels(), matchers) {
			found.series = append(found.series, s)
		}
	}
	return found
}

func matchesAll(of labels.Labels, matchers []*labels.Matcher) bool {
	for _, m := range matchers {
		if !m.Matches(of.Get(m.Name)) {
			return false
		}
	}
	return true
}
