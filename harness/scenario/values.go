package scenario

import (
	"strconv"

	"gopkg.in/yaml.v3"

	"snatlab/harness/scenario/strictyaml"
)

// rateValue is a whole number of events per second, or "max", which is 0.
type rateValue struct {
	into   *Rate
	bounds strictyaml.Span
}

const maxRate = "max"

func (v rateValue) DescribeAllowed() string { return maxRate + ", or " + v.bounds.String() }

func (v rateValue) ReadNode(_ *strictyaml.Decoder, _ string, n *yaml.Node) string {
	if n.Value == maxRate {
		*v.into = 0
		return ""
	}
	number, problem := v.bounds.ParseNode(n)
	if problem == "" {
		*v.into = Rate(number)
	}
	return problem
}

func (v rateValue) Schema() *strictyaml.Schema {
	return &strictyaml.Schema{Kind: "whole number or " + maxRate, AnyOf: []*strictyaml.Schema{{Type: "string", Enum: []string{maxRate}}, v.bounds.Schema()}}
}

func (v rateValue) MakeNode() *yaml.Node {
	if *v.into == 0 {
		return strictyaml.ScalarNode(maxRate)
	}
	return strictyaml.ScalarNode(strconv.Itoa(int(*v.into)))
}

// seedValue is a seed; nil if the file sets none.
type seedValue struct{ into **uint64 }

// seedBounds are those of a seed that a file may set.
var seedBounds = strictyaml.SpanOf(0, 1<<63-1)

func (seedValue) DescribeAllowed() string { return seedBounds.String() }

func (v seedValue) ReadNode(_ *strictyaml.Decoder, _ string, n *yaml.Node) string {
	number, problem := seedBounds.ParseNode(n)
	if problem == "" {
		*v.into = &number
	}
	return problem
}

func (seedValue) Schema() *strictyaml.Schema { return seedBounds.Schema() }

func (v seedValue) MakeNode() *yaml.Node {
	if *v.into == nil {
		return nil
	}
	return strictyaml.ScalarNode(strconv.FormatUint(**v.into, 10))
}
