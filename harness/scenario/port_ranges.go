package scenario

import (
	"fmt"

	"gopkg.in/yaml.v3"

	"snatlab/harness/scenario/strictyaml"
)

// maxPortRanges bounds the ranges of an arm. Each is a rule.
const maxPortRanges = 8

// natPorts is a range of ports that a rule translates to.
func natPorts(into *PortRange) portRangeValue {
	return portRangeValue{into, strictyaml.SpanOf(1024, 65535), " (NAT keeps lower ports apart)"}
}

// portRangesValue is one such range, or a list of several.
type portRangesValue struct{ into *[]PortRange }

// list returns the value of a list.
func (v portRangesValue) list(into *[]PortRange) strictyaml.Sequence[PortRange] {
	return strictyaml.Sequence[PortRange]{Into: into, Length: strictyaml.SpanOf(2, maxPortRanges), Entry: func(r *PortRange) strictyaml.Value { return natPorts(r) }}
}

func (v portRangesValue) DescribeAllowed() string {
	return fmt.Sprintf("%s, or a list of 2 to %d such ranges", natPorts(nil).DescribeAllowed(), maxPortRanges)
}

func (v portRangesValue) ReadNode(d *strictyaml.Decoder, name string, n *yaml.Node) string {
	if n.Kind == yaml.SequenceNode {
		return v.list(v.into).ReadNode(d, name, n)
	}
	var one PortRange
	if problem := natPorts(&one).ReadNode(d, name, n); problem != "" {
		return problem
	}
	*v.into = []PortRange{one}
	return ""
}

func (v portRangesValue) Schema() *strictyaml.Schema {
	one, several := natPorts(nil).Schema(), v.list(nil).Schema()
	return &strictyaml.Schema{Kind: "range of ports, or a list of them", AnyOf: []*strictyaml.Schema{one, several}}
}

func (v portRangesValue) MakeNode() *yaml.Node {
	if len(*v.into) == 1 {
		return natPorts(&(*v.into)[0]).MakeNode()
	}
	n := v.list(v.into).MakeNode()
	if n != nil {
		n.Style = yaml.FlowStyle
	}
	return n
}

// checkManyRanges refuses ranges that overlap, and several where blocks are cut from one.
func (c checker) checkManyRanges(s *Scenario, root *yaml.Node) {
	for i, arm := range s.Arms {
		to := strictyaml.ChildOf(strictyaml.ChildOf(root, "arms").Content[i], "snat")
		list := strictyaml.ChildOf(to, "to_ports")
		if len(arm.SNAT.ToPorts) < 2 || !c.IsSound(to, list) || !c.IsSound(list.Content...) {
			continue
		}
		if blocks := strictyaml.ChildOf(to, "ports_per_client"); blocks != nil {
			c.AddFault(blocks, "ports_per_client: the blocks are cut from one range of ports; allowed with one range in to_ports")
		}
		all := arm.SNAT.ToPorts
		for j, r := range all[1:] {
			if r.First <= all[j].Last {
				c.AddFault(list.Content[j+1], fmt.Sprintf("to_ports: %v comes after %v; allowed: ranges in ascending order that do not overlap", r, all[j]))
			}
		}
	}
}
