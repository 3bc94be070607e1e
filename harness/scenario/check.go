package scenario

import (
	"cmp"
	"fmt"
	"net/netip"
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
	d.checkServer(root)
	d.checkServerPorts(s, root)
	d.checkNetwork(s, root)
	d.checkPattern(&s.Load, root)
	d.checkTrial(s, root)
	d.checkPorts(s, root)

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
	d.checkLimits(s, root)
}

// checkServer holds what cannot be done with a server on another machine.
func (d *decoder) checkServer(root *yaml.Node) {
	server := child(root, "server")
	if server == nil || !d.sound(server) {
		return
	}
	for _, p := range (path{"arms", "snat"}).find(root) {
		d.fault(p.key, "snat: its addresses go onto the lab's own interface, and the server is on another machine; allowed with a server of the lab's own")
	}
	for _, p := range (path{"arms", "sysctls", "server"}).find(root) {
		d.fault(p.key, "sysctls.server: the server is on another machine; allowed with a server of the lab's own")
	}
}

// checkNetwork holds what would cut off or slow down the others on a network that
// is shared.
func (d *decoder) checkNetwork(s *Scenario, root *yaml.Node) {
	network := child(root, "network")
	if network == nil || !d.sound(network) {
		return
	}
	refuse := func(why string, at ...string) {
		for _, p := range path(at).find(root) {
			d.fault(p.key, fmt.Sprintf("%s: %s; allowed without network", p.key.Value, why))
		}
	}
	if s.Lab.PostroutingRules > 0 {
		refuse("the rules would slow down the other containers of the network", "lab", "postrouting_rules")
	}
	refuse("the other containers of the network would leave from these addresses, which lead nowhere, as well", "arms", "snat")
	refuse("the rule would be for TCP alone, and leave the other containers of the network without UDP", "arms", "masquerade", "to_ports")
}

func (d *decoder) checkPattern(l *Load, root *yaml.Node) {
	load := child(root, "load")
	if !d.sound(load, child(load, "pattern")) {
		return
	}
	stray := func(at path, pattern string) {
		for _, p := range at.find(root) {
			d.fault(p.key, fmt.Sprintf("%s: belongs to pattern %s; the pattern here is %s", p.key.Value, pattern, l.Pattern))
		}
	}
	switch l.Pattern {
	case Lockstep:
		stray(path{"load", "concurrency"}, Ephemeral)
		stray(path{"arms", "client_port_range"}, Ephemeral)
		if l.Sync == "" {
			l.Sync = DefaultSync
		}
	case Ephemeral:
		stray(path{"load", "sync"}, Lockstep)
		if l.Concurrency == 0 {
			l.Concurrency = DefaultConcurrency
		}
	}
}

func (d *decoder) checkTrial(s *Scenario, root *yaml.Node) {
	load := child(root, "load")
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
		d.oneOf(n, "masquerade", "snat")
		d.oneOf(n, "client_ports", "client_port_range")
		d.checkOneRange(n)
		d.checkConsecutive(arm.SNAT.ToSource, child(child(n, "snat"), "to_source"))
		name := child(n, "name")
		if before := first[arm.Name]; before != nil {
			d.fault(name, fmt.Sprintf("name: %s is the arm at line %d already; allowed: a name of its own",
				quote(arm.Name), before.Line))
		} else if arm.Name != "" {
			first[arm.Name] = name
		}
	}
}

// checkConsecutive tells the first address that does not follow the one before.
func (d *decoder) checkConsecutive(addresses []netip.Addr, list *yaml.Node) {
	if len(addresses) == 0 || !d.sound(list.Content...) {
		return
	}
	for i, a := range addresses[1:] {
		if before := addresses[i]; a != before.Next() {
			d.fault(list.Content[i+1], fmt.Sprintf("to_source: %s comes after %s; allowed: consecutive addresses in ascending order, none twice (iptables takes a range only)", a, before))
			return
		}
	}
}

// claims is what an expectation may say of its arm.
var claims = []string{"race", "reduction", "p50", "p99", "unexplained"}

func (d *decoder) checkExpect(s *Scenario, list, arms *yaml.Node) {
	names := armNames(s.Arms)
	first := map[[2]string]*yaml.Node{} // place of each arm's claims
	for i, e := range s.Expect {
		n := list.Content[i]
		claim := d.oneOf(n, claims...)
		if claim == nil && n.Kind == yaml.MappingNode {
			d.fault(n, "expect: nothing is expected of the arm; allowed: one of "+strings.Join(claims, ", "))
		}
		d.checkTwice(e.Arm, claim, first)
		arm := child(n, "arm")
		if arm == nil || names == nil || !d.sound(arm, arms) {
			continue
		}
		switch slices.Index(names, e.Arm) {
		case -1:
			if fit := wellFormed(names); fit != nil {
				d.fault(arm, fmt.Sprintf("arm: %s is no arm of this scenario; allowed: %s%s",
					quote(e.Arm), strings.Join(fit, ", "), didYouMean(e.Arm, fit)))
			}
		case 0:
			d.checkBaseline(arm, claim)
		}
	}
}

// checkTwice refuses a second claim of the same kind about an arm: it contradicts
// the first one, or adds nothing to it.
func (d *decoder) checkTwice(arm string, claim *yaml.Node, first map[[2]string]*yaml.Node) {
	if claim == nil || arm == "" {
		return
	}
	id := [2]string{arm, claim.Value} // whatever is claimed
	if before := first[id]; before != nil {
		d.fault(claim, fmt.Sprintf("%s: %s has this claim at line %d already; allowed: each claim once for an arm", claim.Value, quote(arm), before.Line))
		return
	}
	first[id] = claim
}

// checkBaseline refuses a claim that would measure the baseline against itself.
func (d *decoder) checkBaseline(arm, claim *yaml.Node) {
	if claim == nil {
		return
	}
	switch claim.Value {
	case "reduction":
		d.fault(arm, fmt.Sprintf("arm: %s is the baseline; a reduction is measured against it", quote(arm.Value)))
	case "p50", "p99":
		d.fault(arm, fmt.Sprintf("arm: %s is the baseline; a rise of %s is measured against it", quote(arm.Value), claim.Value))
	}
}

// oneOf reports every key of n that is given together with another one of keys, and returns
// the first of them; nil if there is none.
func (d *decoder) oneOf(n *yaml.Node, keys ...string) (first *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(n.Content); i += 2 {
		switch key := n.Content[i]; {
		case !slices.Contains(keys, key.Value):
		case first == nil:
			first = key
		case key.Value != first.Value: // a key twice is a fault already
			d.fault(key, fmt.Sprintf("%s: cannot be given together with %s; allowed: one of %s", key.Value, first.Value, strings.Join(keys, ", ")))
		}
	}
	return first
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

// wellFormed are the names that an arm may have. The others have a fault of their
// own, and may be of any length.
func wellFormed(all []string) (fit []string) {
	for _, name := range all {
		if names.form.MatchString(name) {
			fit = append(fit, name)
		}
	}
	return fit
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
// mapping. A key with a tag was not read as one, but for its fault.
func lookup(n *yaml.Node, key string) (k, value *yaml.Node) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i < len(n.Content); i += 2 {
		if k := n.Content[i]; k.Kind == yaml.ScalarNode && k.Value == key && k.Style&yaml.TaggedStyle == 0 {
			return k, n.Content[i+1]
		}
	}
	return nil, nil
}
