package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// ports is what NAT has to choose from for a client's connection: 1024 to 65535.
const ports = 65536 - 1024

// check holds what one field demands of another, and sets the defaults that
// depend on another field. A rule is passed over where a field that it looks
// at has a fault already.
func (d *decoder) check(s *Scenario, root *yaml.Node) {
	d.checkDriver(s, root)

	load := child(root, "load")
	d.checkPattern(&s.Load, load)
	d.checkTrial(s, root, load)

	arms := child(root, "arms")
	d.checkArms(s.Arms, arms)
	d.checkExpect(s, child(root, "expect"), arms)
}

func (d *decoder) checkDriver(s *Scenario, root *yaml.Node) {
	s.natWritten = child(root, "nat") != nil
	if !d.sound(child(root, "driver")) {
		return
	}
	if !s.natWritten {
		s.NAT = DefaultNAT(s.Driver)
	}
	for _, l := range limits[s.Driver] {
		if key, value := l.place(root); key != nil && d.sound(value) {
			d.fault(key, l.String())
		}
	}
}

// limits is what each driver cannot do.
var limits = map[string][]limit{
	Docker: {
		{"nat", NFTables, `"nftables" is not allowed in a docker lab; allowed: iptables (the rule is the one that Docker wrote, and only its iptables rules are rewritten so far)`},
	},
	Netns: {
		{"server", "", "a netns lab is closed and reaches no other machine; allowed with driver docker"},
	},
}

// limit is a key at the top of a scenario that does not go with a driver: with
// one of its values, or, where value is empty, at all.
type limit struct {
	key, value string
	problem    string // and what is allowed
}

func (l limit) String() string { return l.key + ": " + l.problem }

// place is the key under root that is beyond the limit, and its value; nil,
// nil if there is none.
func (l limit) place(root *yaml.Node) (key, value *yaml.Node) {
	key, value = lookup(root, l.key)
	if key == nil || l.value != "" && l.value != value.Value {
		return nil, nil
	}
	return key, value
}

func (d *decoder) checkPattern(l *Load, load *yaml.Node) {
	if !d.sound(load, child(load, "pattern")) {
		return
	}
	stray := func(key, pattern string) {
		if k, _ := lookup(load, key); k != nil {
			d.fault(k, fmt.Sprintf("%s: belongs to pattern %s; the pattern here is %s", key, pattern, l.Pattern))
		}
	}
	switch l.Pattern {
	case Lockstep:
		stray("concurrency", Ephemeral)
		if l.Sync == "" {
			l.Sync = DefaultSync
		}
	case Ephemeral:
		stray("sync", Lockstep)
		if l.Concurrency == 0 {
			l.Concurrency = DefaultConcurrency
		}
	}
}

func (d *decoder) checkTrial(s *Scenario, root, load *yaml.Node) {
	requests, clients := child(load, "requests"), child(root, "clients")
	total := s.Clients * s.Load.Requests
	if total <= MaxTrial || !d.sound(load, requests, clients) {
		return
	}
	d.fault(cmp.Or(requests, clients, root), fmt.Sprintf("%d clients x %d requests are %d in one trial; allowed: %d (they share the %d source ports of one address)",
		s.Clients, s.Load.Requests, total, MaxTrial, ports))
}

func (d *decoder) checkArms(arms []Arm, list *yaml.Node) {
	first := map[string]*yaml.Node{} // place of each name
	for i, arm := range arms {
		n := list.Content[i]
		if m := child(n, "masquerade"); arm.Masquerade.Random && arm.Masquerade.RandomFully {
			d.fault(m, "masquerade: random and random_fully are both true; allowed: at most one of them")
		}
		name := child(n, "name")
		if before := first[arm.Name]; before != nil {
			d.fault(name, fmt.Sprintf("name: %s is the arm at line %d already; allowed: a name of its own",
				quote(arm.Name), before.Line))
		} else if arm.Name != "" {
			first[arm.Name] = name
		}
	}
}

func (d *decoder) checkExpect(s *Scenario, list, arms *yaml.Node) {
	names := armNames(s.Arms)
	for i, e := range s.Expect {
		n := list.Content[i]
		d.checkClaim(n)
		arm := child(n, "arm")
		if arm == nil || names == nil || !d.sound(arm, arms) {
			continue
		}
		index := slices.Index(names, e.Arm)
		switch _, reduction := lookup(n, "reduction"); {
		case index < 0:
			d.fault(arm, fmt.Sprintf("arm: %s is no arm of this scenario; allowed: %s%s",
				quote(e.Arm), strings.Join(names, ", "), didYouMean(e.Arm, names)))
		case index == 0 && reduction != nil:
			d.fault(arm, fmt.Sprintf("arm: %s is the baseline; a reduction is measured against it", quote(e.Arm)))
		}
	}
}

func (d *decoder) checkClaim(n *yaml.Node) {
	race, _ := lookup(n, "race")
	reduction, _ := lookup(n, "reduction")
	switch {
	case n.Kind != yaml.MappingNode:
	case race == nil && reduction == nil:
		d.fault(n, "expect: claims nothing; allowed: one of race, reduction")
	case race != nil && reduction != nil:
		d.fault(reduction, "reduction: stands beside race; allowed: one of race, reduction")
	}
}

// armNames is nil if an arm has no name: what an expectation means by a name
// is then not known.
func armNames(arms []Arm) []string {
	var names []string
	for _, arm := range arms {
		if arm.Name == "" {
			return nil
		}
		names = append(names, arm.Name)
	}
	return names
}

// sound tells that none of the nodes has a fault; one that is absent has none.
func (d *decoder) sound(nodes ...*yaml.Node) bool {
	return !slices.ContainsFunc(nodes, func(n *yaml.Node) bool { return d.broken[n] })
}

// child is the value under key in n, or nil.
func child(n *yaml.Node, key string) *yaml.Node {
	_, value := lookup(n, key)
	return value
}

// lookup finds a key of the mapping n; nil, nil if n has no such key, or is no
// mapping.
func lookup(n *yaml.Node, key string) (k, value *yaml.Node) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i < len(n.Content); i += 2 {
		if k := n.Content[i]; k.Kind == yaml.ScalarNode && k.Value == key {
			return k, n.Content[i+1]
		}
	}
	return nil, nil
}
