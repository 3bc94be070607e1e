package scenario

import (
	"fmt"
	"regexp"

	"gopkg.in/yaml.v3"
)

// sysctls is a mapping from names of sysctls to what they are set to, in the
// order of the file. Unlike the keys of a [mapping], which names there are is
// for the kernel to say.
type sysctls struct{ into *[]Sysctl }

const maxSysctls = 32

// sysctlNames stay below net/ when their dots become slashes.
var sysctlNames = pattern{
	regexp.MustCompile(`^net(\.[a-zA-Z0-9_-]{1,64}){1,8}$`),
	"names below net., like net.ipv4.tcp_timestamps",
	nil,
}

func (sysctls) allowed() string { return fmt.Sprintf("a mapping of at most %d sysctls", maxSysctls) }

func (v sysctls) read(d *decoder, name string, n *yaml.Node) string {
	switch {
	case n.Kind != yaml.MappingNode:
		return describe(n) + " is not a mapping"
	case len(n.Content) > 2*maxSysctls: // and none of them is looked at
		return fmt.Sprintf("has %d entries", len(n.Content)/2)
	}
	first := map[string]*yaml.Node{} // place of each key
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if !d.key(key, []string{sysctlNames.words}, first) {
			continue
		}
		if !sysctlNames.form.MatchString(key.Value) {
			d.fault(key, fmt.Sprintf("%s in %s is not allowed; allowed: %s", quote(key.Value), name, sysctlNames.words))
			continue
		}
		set := Sysctl{Name: key.Value}
		d.value(field{key: set.Name, value: setting{&set.Value}}, n.Content[i+1])
		*v.into = append(*v.into, set)
	}
	return ""
}

func (v sysctls) node() *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	for _, s := range *v.into {
		n.Content = append(n.Content, scalar(s.Name), setting{&s.Value}.node())
	}
	if len(n.Content) == 0 {
		return nil
	}
	return n
}

// IsSysctl reports whether a scenario may set the sysctl of that name.
func IsSysctl(name string) bool { return sysctlNames.form.MatchString(name) }

// IsSetting reports whether a scenario may set a sysctl to that value.
func IsSetting(value string) bool { return settingForm.MatchString(value) }

// setting is what a sysctl is set to, as it is written to the kernel.
type setting struct{ into *string }

var settingForm = regexp.MustCompile(`^[!-~]([ -~]{0,126}[!-~])?$`)

func (setting) allowed() string {
	return "a whole number, or one line of at most 128 ASCII characters"
}

func (v setting) read(_ *decoder, _ string, n *yaml.Node) string {
	switch {
	case n.Kind != yaml.ScalarNode:
		return describe(n) + " is not a value"
	case n.Tag != "!!str" && !decimal.MatchString(n.Value):
		return cut(n.Value) + " is neither a whole number nor text (put it in quotes)"
	case !settingForm.MatchString(n.Value):
		return describe(n) + " is not allowed"
	}
	*v.into = n.Value
	return ""
}

func (v setting) node() *yaml.Node {
	if decimal.MatchString(*v.into) {
		return scalar(*v.into)
	}
	return text{into: v.into}.node()
}
