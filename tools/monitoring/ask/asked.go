package main

import (
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// findAsked returns the labels that an expression asks of each metric: those that it
// selects by, and those by which it groups and matches what it has selected.
func findAsked(expression string) (map[string][]string, error) {
	root, err := parser.NewParser(parser.Options{}).ParseExpr(expression)
	if err != nil {
		return nil, err
	}
	asked := map[string][]string{}
	addAsked(asked, root, nil)
	return asked, nil
}

// addAsked adds what a node asks. The labels around it are those by which an outer node
// groups or matches.
func addAsked(asked map[string][]string, node parser.Node, around []string) {
	switch n := node.(type) {
	case *parser.AggregateExpr:
		around = slices.Concat(around, n.Grouping)
	case *parser.BinaryExpr:
		if n.VectorMatching != nil {
			around = slices.Concat(around, n.VectorMatching.MatchingLabels)
		}
	case *parser.VectorSelector:
		of := slices.Concat(asked[n.Name], around)
		for _, m := range n.LabelMatchers {
			if m.Name != model.MetricNameLabel {
				of = append(of, m.Name)
			}
		}
		slices.Sort(of)
		asked[n.Name] = slices.Compact(of)
	}
	for child := range parser.ChildrenIter(node) {
		addAsked(asked, child, around)
	}
}
