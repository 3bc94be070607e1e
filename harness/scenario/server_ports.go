package scenario

import (
	"fmt"
	"regexp"
	"strconv"

	"gopkg.in/yaml.v3"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/scenario/strictyaml"
)

// MostTrials returns the number of trials of a run at most, including the path check and
// the warm-up. Each of them uses a port of the server.
func (s *Scenario) MostTrials() int { return 2 + s.MostRounds()*len(s.Arms) }

// HasControl reports whether trials of the scenario have a control.
func (s *Scenario) HasControl() bool { return result.InLockstep(s.Load.Pattern) }

// describePortShortage returns the fault of a server on another machine that has too
// few ports after that of its address; empty if it has enough.
func (s *Scenario) describePortShortage() string {
	if !s.Server.Address.IsValid() {
		return ""
	}
	left, needed, uses := 65535-int(s.Server.Address.Port()), s.MostTrials(), "one for each trial, for the warm-up and for the path check"
	if s.HasControl() {
		needed, uses = needed+1, "one for each trial, for the warm-up, for the path check and for the control"
	}
	if needed <= left {
		return ""
	}
	return fmt.Sprintf("address: %s %d, and %d are needed for %s of %s, %s; allowed: a port up to %d",
		format.Plural(left, "port follows", "ports follow"), s.Server.Address.Port(), needed,
		format.Plural(s.MostRounds(), "round", "rounds"), format.Plural(len(s.Arms), "arm", "arms"), uses, max(0, 65535-needed))
}

// checkServerPorts refuses the address of a server that has no port for each trial.
func (c checker) checkServerPorts(s *Scenario, root *yaml.Node) {
	at := strictyaml.ChildOf(strictyaml.ChildOf(root, "server"), "address")
	load := strictyaml.ChildOf(root, "load")
	if at == nil || !c.IsSound(strictyaml.ChildOf(root, "server"), at, strictyaml.ChildOf(root, "rounds"), strictyaml.ChildOf(root, "until"), strictyaml.ChildOf(root, "arms"), load, strictyaml.ChildOf(load, "pattern")) {
		return
	}
	if problem := s.describePortShortage(); problem != "" {
		c.AddFault(at, problem)
	}
}

// portRangeValue is a range of ports, both ends included.
type portRangeValue struct {
	into   *PortRange
	bounds strictyaml.Span
	why    string // the reason for these bounds; may be empty
}

var portRangeForm = regexp.MustCompile(`^([1-9][0-9]{0,4})-([1-9][0-9]{0,4})$`)

func (v portRangeValue) DescribeAllowed() string {
	return fmt.Sprintf("FIRST-LAST out of %s%s", v.bounds, v.why)
}

func (v portRangeValue) ReadNode(_ *strictyaml.Decoder, _ string, n *yaml.Node) string {
	match := portRangeForm.FindStringSubmatch(n.Value)
	if match == nil {
		return strictyaml.DescribeNode(n) + " is not a range of ports"
	}
	first, _ := strconv.ParseUint(match[1], 10, 64) // five digits are a number
	last, _ := strconv.ParseUint(match[2], 10, 64)
	switch {
	case !v.bounds.Contains(first) || !v.bounds.Contains(last):
		return n.Value + " is out of range"
	case first > last:
		return n.Value + " ends before it begins"
	}
	*v.into = PortRange{uint16(first), uint16(last)}
	return ""
}

func (portRangeValue) Schema() *strictyaml.Schema {
	return &strictyaml.Schema{Kind: "range of ports", Type: "string", Pattern: portRangeForm.String()}
}

func (v portRangeValue) MakeNode() *yaml.Node {
	if *v.into == (PortRange{}) {
		return nil
	}
	return strictyaml.ScalarNode(v.into.String())
}
