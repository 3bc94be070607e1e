package scenario

import (
	"fmt"
	"math"
	"regexp"
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

// shareValue is a bound of a share. It is written in percent and stored as a number
// from 0 on.
type shareValue struct {
	into **float64
	sign string  // ">=" or "<="
	most float64 // the highest bound
}

var shareForm = regexp.MustCompile(`^([<>]=) *((?:0|[1-9][0-9]{0,3})(?:\.[0-9]{1,3})?) *%$`)

// Schema returns a pattern with the same bounds: most is a power of ten, so that every
// number with fewer digits is below it.
func (v shareValue) Schema() *strictyaml.Schema {
	most := strconv.Itoa(int(100 * v.most))
	return &strictyaml.Schema{Kind: "bound in percent", Type: "string",
		Pattern: fmt.Sprintf(`^%s *(%s(\.0{1,3})?|(0|[1-9][0-9]{0,%d})(\.[0-9]{1,3})?) *%%$`, v.sign, most, len(most)-2)}
}

func (v shareValue) DescribeAllowed() string {
	return fmt.Sprintf("%q to %q, with at most three decimals", v.formatPercent(0), v.formatPercent(v.most))
}

func (v shareValue) ReadNode(_ *strictyaml.Decoder, _ string, n *yaml.Node) string {
	match := shareForm.FindStringSubmatch(n.Value)
	if match == nil || match[1] != v.sign {
		return strictyaml.DescribeNode(n) + " is not allowed"
	}
	// Through the exponent, since 99.9/100 is not the float nearest to 0.999.
	f, err := strconv.ParseFloat(match[2]+"e-2", 64)
	if err != nil || f > v.most {
		return strictyaml.DescribeNode(n) + " is out of range"
	}
	*v.into = &f
	return ""
}

func (v shareValue) MakeNode() *yaml.Node {
	if *v.into == nil {
		return nil
	}
	n := strictyaml.ScalarNode(v.formatPercent(**v.into))
	n.Style = yaml.DoubleQuotedStyle
	return n
}

func (v shareValue) formatPercent(share float64) string {
	return v.sign + strconv.FormatFloat(math.Round(share*1e5)/1e3, 'f', -1, 64) + "%"
}

// removedValue is a share above 0 and below 1, written in percent.
type removedValue struct{ into *Share }

var removedForm = regexp.MustCompile(`^((?:0|[1-9][0-9]?)(?:\.[0-9]{1,3})?) *%$`)

func (removedValue) DescribeAllowed() string {
	return `"0.001%" to "99.999%", with at most three decimals`
}

func (v removedValue) ReadNode(_ *strictyaml.Decoder, _ string, n *yaml.Node) string {
	match := removedForm.FindStringSubmatch(n.Value)
	if match == nil {
		return strictyaml.DescribeNode(n) + " is not allowed"
	}
	f, err := strconv.ParseFloat(match[1]+"e-2", 64)
	if err != nil || f == 0 {
		return strictyaml.DescribeNode(n) + " is out of range"
	}
	*v.into = Share(f)
	return ""
}

func (removedValue) Schema() *strictyaml.Schema {
	return &strictyaml.Schema{Kind: "percentage", Type: "string", Pattern: removedForm.String()}
}

func (v removedValue) MakeNode() *yaml.Node {
	if *v.into == 0 {
		return nil
	}
	n := strictyaml.ScalarNode(strconv.FormatFloat(math.Round(float64(*v.into)*1e5)/1e3, 'f', -1, 64) + "%")
	n.Style = yaml.DoubleQuotedStyle
	return n
}
