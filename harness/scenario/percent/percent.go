// Package percent reads and writes shares as a scenario writes them: "90%", ">=99.9%".
package percent

import (
	"fmt"
	"math"
	"regexp"
	"strconv"

	"gopkg.in/yaml.v3"

	"snatlab/harness/scenario/strictyaml"
)

// Bound is a bound of a share. It is written in percent and stored as a number from 0 on.
type Bound struct {
	Into **float64
	Sign string  // ">=" or "<="
	Most float64 // the highest bound
}

var boundForm = regexp.MustCompile(`^([<>]=) *((?:0|[1-9][0-9]{0,3})(?:\.[0-9]{1,3})?) *%$`)

// Schema returns a pattern with the same bounds: Most is a power of ten, so that every
// number with fewer digits is below it.
func (v Bound) Schema() *strictyaml.Schema {
	most := strconv.Itoa(int(100 * v.Most))
	return &strictyaml.Schema{Kind: "bound in percent", Type: "string",
		Pattern: fmt.Sprintf(`^%s *(%s(\.0{1,3})?|(0|[1-9][0-9]{0,%d})(\.[0-9]{1,3})?) *%%$`, v.Sign, most, len(most)-2)}
}

func (v Bound) DescribeAllowed() string {
	return fmt.Sprintf("%q to %q, with at most three decimals", v.formatPercent(0), v.formatPercent(v.Most))
}

func (v Bound) ReadNode(_ *strictyaml.Decoder, _ string, n *yaml.Node) string {
	match := boundForm.FindStringSubmatch(n.Value)
	if match == nil || match[1] != v.Sign {
		return strictyaml.DescribeNode(n) + " is not allowed"
	}
	// Through the exponent, since 99.9/100 is not the float nearest to 0.999.
	f, err := strconv.ParseFloat(match[2]+"e-2", 64)
	if err != nil || f > v.Most {
		return strictyaml.DescribeNode(n) + " is out of range"
	}
	*v.Into = &f
	return ""
}

func (v Bound) MakeNode() *yaml.Node {
	if *v.Into == nil {
		return nil
	}
	n := strictyaml.ScalarNode(v.formatPercent(**v.Into))
	n.Style = yaml.DoubleQuotedStyle
	return n
}

func (v Bound) formatPercent(share float64) string {
	return v.Sign + strconv.FormatFloat(math.Round(share*1e5)/1e3, 'f', -1, 64) + "%"
}

// Share is a share above 0 and below 1. It is written in percent, and 0 if the file sets
// none.
type Share struct{ Into *float64 }

var shareForm = regexp.MustCompile(`^((?:0|[1-9][0-9]?)(?:\.[0-9]{1,3})?) *%$`)

func (Share) DescribeAllowed() string {
	return `"0.001%" to "99.999%", with at most three decimals`
}

func (v Share) ReadNode(_ *strictyaml.Decoder, _ string, n *yaml.Node) string {
	match := shareForm.FindStringSubmatch(n.Value)
	if match == nil {
		return strictyaml.DescribeNode(n) + " is not allowed"
	}
	f, err := strconv.ParseFloat(match[1]+"e-2", 64)
	if err != nil || f == 0 {
		return strictyaml.DescribeNode(n) + " is out of range"
	}
	*v.Into = f
	return ""
}

func (Share) Schema() *strictyaml.Schema {
	return &strictyaml.Schema{Kind: "percentage", Type: "string", Pattern: shareForm.String()}
}

func (v Share) MakeNode() *yaml.Node {
	if *v.Into == 0 {
		return nil
	}
	n := strictyaml.ScalarNode(strconv.FormatFloat(math.Round(*v.Into*1e5)/1e3, 'f', -1, 64) + "%")
	n.Style = yaml.DoubleQuotedStyle
	return n
}
