package scenario

import (
	"fmt"
	"regexp"

	"gopkg.in/yaml.v3"

	"snatlab/harness/scenario/strictyaml"
)

// sysctlsValue is a mapping from names of sysctls to their values, in the order of
// the file. Unlike the keys of a [strictyaml.Mapping], the names depend on the kernel.
type sysctlsValue struct{ into *[]Sysctl }

const maxSysctls = 32

// sysctlPattern matches only names that stay below net/ when dots become slashes.
var sysctlPattern = strictyaml.Pattern{
	Form:  regexp.MustCompile(`^net(\.[a-zA-Z0-9_-]{1,64}){1,8}$`),
	Words: "names below net., like net.ipv4.tcp_timestamps",
}

func (sysctlsValue) DescribeAllowed() string {
	return fmt.Sprintf("a mapping of at most %d sysctls", maxSysctls)
}

func (v sysctlsValue) ReadNode(d *strictyaml.Decoder, name string, n *yaml.Node) string {
	switch {
	case n.Kind != yaml.MappingNode:
		return strictyaml.DescribeNode(n) + " is not a mapping"
	case len(n.Content) > 2*maxSysctls: // and none of them is read
		return fmt.Sprintf("has %d entries", len(n.Content)/2)
	}
	first := map[string]*yaml.Node{} // place of each key
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if !d.CheckKey(key, []string{sysctlPattern.Words}, first) {
			continue
		}
		if !sysctlPattern.Form.MatchString(key.Value) {
			d.AddFault(key, fmt.Sprintf("%s in %s is not allowed; allowed: %s", strictyaml.QuoteText(key.Value), name, sysctlPattern.Words))
			continue
		}
		set := Sysctl{Name: key.Value}
		d.ReadField(strictyaml.Field{Key: set.Name, Value: settingValue{&set.Value}}, n.Content[i+1])
		*v.into = append(*v.into, set)
	}
	return ""
}

func (sysctlsValue) Schema() *strictyaml.Schema {
	return &strictyaml.Schema{
		Kind: "mapping of sysctls", Type: "object", MaxProperties: maxSysctls,
		PropertyNames:        &strictyaml.Schema{Pattern: sysctlPattern.Form.String()},
		AdditionalProperties: settingValue{}.Schema(),
	}
}

func (v sysctlsValue) MakeNode() *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	for _, s := range *v.into {
		n.Content = append(n.Content, strictyaml.ScalarNode(s.Name), settingValue{&s.Value}.MakeNode())
	}
	if len(n.Content) == 0 {
		return nil
	}
	return n
}

// IsSysctl reports whether a scenario may set the sysctl of that name.
func IsSysctl(name string) bool { return sysctlPattern.Form.MatchString(name) }

// IsSetting reports whether a scenario may set a sysctl to that value.
func IsSetting(value string) bool { return settingForm.MatchString(value) }

// settingValue is the value of a sysctl, as it is written to the kernel.
type settingValue struct{ into *string }

var settingForm = regexp.MustCompile(`^[!-~]([ -~]{0,126}[!-~])?$`)

func (settingValue) DescribeAllowed() string {
	return "a whole number, or one line of at most 128 ASCII characters"
}

func (v settingValue) ReadNode(_ *strictyaml.Decoder, _ string, n *yaml.Node) string {
	switch {
	case n.Kind != yaml.ScalarNode:
		return strictyaml.DescribeNode(n) + " is not a value"
	case n.Tag != "!!str" && !strictyaml.IsDecimal(n.Value):
		return strictyaml.CutText(n.Value) + " is neither a whole number nor text (put it in quotes)"
	case !settingForm.MatchString(n.Value):
		return strictyaml.DescribeNode(n) + " is not allowed"
	}
	*v.into = n.Value
	return ""
}

func (settingValue) Schema() *strictyaml.Schema {
	return &strictyaml.Schema{Kind: "value of a sysctl", AnyOf: []*strictyaml.Schema{{Type: "integer"}, {Type: "string", Pattern: settingForm.String()}}}
}

func (v settingValue) MakeNode() *yaml.Node {
	if strictyaml.IsDecimal(*v.into) {
		return strictyaml.ScalarNode(*v.into)
	}
	return strictyaml.String{Into: v.into}.MakeNode()
}
