// Package sysctl reads the settings of the kernel that a scenario makes: their names and
// their values, and which of them belong to the whole machine.
package sysctl

import (
	"fmt"
	"regexp"

	"gopkg.in/yaml.v3"

	"snatlab/harness/scenario/strictyaml"
)

// Setting is one setting: "net.ipv4.tcp_tw_reuse", "1". Only sysctls below net. have a
// value for each namespace.
type Setting struct{ Name, Value string }

// List is a mapping from names of sysctls to their values, in the order of the file.
// Unlike the keys of a [strictyaml.Mapping], the names depend on the kernel.
type List struct{ Into *[]Setting }

// Max bounds the sysctls of a list.
const Max = 32

// namePattern matches only names that stay below net/ when dots become slashes.
var namePattern = strictyaml.Pattern{
	Form:  regexp.MustCompile(`^net(\.[a-zA-Z0-9_-]{1,64}){1,8}$`),
	Words: "names below net., like net.ipv4.tcp_timestamps",
}

func (List) DescribeAllowed() string {
	return fmt.Sprintf("a mapping of at most %d sysctls", Max)
}

func (v List) ReadNode(d *strictyaml.Decoder, name string, n *yaml.Node) string {
	switch {
	case n.Kind != yaml.MappingNode:
		return strictyaml.DescribeNode(n) + " is not a mapping"
	case len(n.Content) > 2*Max: // and none of them is read
		return fmt.Sprintf("has %d entries", len(n.Content)/2)
	}
	first := map[string]*yaml.Node{} // place of each key
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if !d.CheckKey(key, []string{namePattern.Words}, first) {
			continue
		}
		if !namePattern.Form.MatchString(key.Value) {
			d.AddFault(key, fmt.Sprintf("%s in %s is not allowed; allowed: %s", strictyaml.QuoteText(key.Value), name, namePattern.Words))
			continue
		}
		set := Setting{Name: key.Value}
		d.ReadField(strictyaml.Field{Key: set.Name, Value: text{&set.Value}}, n.Content[i+1])
		*v.Into = append(*v.Into, set)
	}
	return ""
}

func (List) Schema() *strictyaml.Schema {
	return &strictyaml.Schema{
		Kind: "mapping of sysctls", Type: "object", MaxProperties: Max,
		PropertyNames:        &strictyaml.Schema{Pattern: namePattern.Form.String()},
		AdditionalProperties: text{}.Schema(),
	}
}

func (v List) MakeNode() *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	for _, s := range *v.Into {
		n.Content = append(n.Content, strictyaml.ScalarNode(s.Name), text{&s.Value}.MakeNode())
	}
	if len(n.Content) == 0 {
		return nil
	}
	return n
}

// IsName reports whether a scenario may set the sysctl of that name.
func IsName(name string) bool { return namePattern.Form.MatchString(name) }

// IsValue reports whether a scenario may set a sysctl to that value.
func IsValue(value string) bool { return valueForm.MatchString(value) }

// text is the value of a sysctl, as it is written to the kernel.
type text struct{ into *string }

var valueForm = regexp.MustCompile(`^[!-~]([ -~]{0,126}[!-~])?$`)

func (text) DescribeAllowed() string {
	return "a whole number, or one line of at most 128 ASCII characters"
}

func (v text) ReadNode(_ *strictyaml.Decoder, _ string, n *yaml.Node) string {
	switch {
	case n.Kind != yaml.ScalarNode:
		return strictyaml.DescribeNode(n) + " is not a value"
	case n.Tag != "!!str" && !strictyaml.IsDecimal(n.Value):
		return strictyaml.CutText(n.Value) + " is neither a whole number nor text (put it in quotes)"
	case !valueForm.MatchString(n.Value):
		return strictyaml.DescribeNode(n) + " is not allowed"
	}
	*v.into = n.Value
	return ""
}

func (text) Schema() *strictyaml.Schema {
	return &strictyaml.Schema{Kind: "value of a sysctl", AnyOf: []*strictyaml.Schema{{Type: "integer"}, {Type: "string", Pattern: valueForm.String()}}}
}

func (v text) MakeNode() *yaml.Node {
	if strictyaml.IsDecimal(*v.into) {
		return strictyaml.ScalarNode(*v.into)
	}
	return strictyaml.String{Into: v.into}.MakeNode()
}
