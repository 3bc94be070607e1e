package scenario

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"snatlab/harness/result"
	"snatlab/harness/scenario/strictyaml"
)

// NATPorts is the number of source ports from which NAT chooses if a rule has no
// range, for connections from port 1024 on: 1024 to 65535.
const NATPorts = 65536 - 1024

// checker checks the rules between fields. It adds its faults at the nodes of the
// file.
type checker struct{ *strictyaml.Decoder }

// checkAll checks all rules between fields, and sets the defaults that depend on
// another field. A rule is skipped if one of its fields has a fault already.
func (c checker) checkAll(s *Scenario, root *yaml.Node) {
	c.checkDriver(s, root)
	c.checkServer(root)
	c.checkFamily(s, root)
	c.checkAccepted(s, root)
	c.checkNetwork(s, root)
	c.checkPattern(&s.Load, root)
	c.checkLookups(s, root)
	c.setIdleRules(s, root)
	c.checkUntil(s, root)
	c.checkServerPorts(s, root)
	c.checkTrial(s, root)
	c.checkPorts(s, root)

	arms := strictyaml.ChildOf(root, "arms")
	c.checkArms(s.Arms, arms)
	c.checkRemoves(s, root)
	c.checkBlocks(s, root)
	c.checkManyRanges(s, root)
	c.checkExpect(s, strictyaml.ChildOf(root, "expect"), arms)
}

func (c checker) checkDriver(s *Scenario, root *yaml.Node) {
	s.natWritten = strictyaml.ChildOf(root, "nat") != nil
	if !c.IsSound(strictyaml.ChildOf(root, "driver")) {
		return
	}
	if !s.natWritten {
		s.NAT = DefaultNAT(s.Driver)
	}
	c.checkLimits(s, root)
}

// checkServer refuses a server of which nothing is said, and settings that are impossible
// with a server on another machine.
func (c checker) checkServer(root *yaml.Node) {
	server := strictyaml.ChildOf(root, "server")
	if server == nil || !c.IsSound(server) {
		return
	}
	address, accept := strictyaml.ChildOf(server, "address"), strictyaml.Path{"accept_source_ports"}.FindPairs(server)
	switch {
	case address == nil && len(server.Content) == 0:
		c.AddFault(server, "server: nothing is set; allowed: one of "+strings.Join(serverKeys, ", "))
	case address != nil && len(accept) > 0:
		c.AddFault(accept[0].Key, "accept_source_ports: the server is on another machine, where snatlab adds no rule; allowed with a server of the lab's own")
	}
	if address == nil {
		return
	}
	for _, p := range (strictyaml.Path{"arms", "snat"}).FindPairs(root) {
		c.AddFault(p.Key, "snat: its addresses go onto the lab's own interface, and the server is on another machine; allowed with a server of the lab's own")
	}
	for _, p := range (strictyaml.Path{"dnat"}).FindPairs(root) {
		c.AddFault(p.Key, "dnat: its backends are addresses of the lab's own server, and the server is on another machine; allowed with a server of the lab's own")
	}
	for _, p := range (strictyaml.Path{"arms", "sysctls", "server"}).FindPairs(root) {
		c.AddFault(p.Key, "sysctls.server: the server is on another machine; allowed with a server of the lab's own")
	}
}

// checkNetwork refuses settings that would cut off or slow down the other containers
// of a shared network.
func (c checker) checkNetwork(s *Scenario, root *yaml.Node) {
	network := strictyaml.ChildOf(root, "network")
	if network == nil || !c.IsSound(network) {
		return
	}
	refuse := func(why string, at ...string) {
		for _, p := range strictyaml.Path(at).FindPairs(root) {
			c.AddFault(p.Key, fmt.Sprintf("%s: %s; allowed without network", p.Key.Value, why))
		}
	}
	if s.Lab.PostroutingRules > 0 {
		refuse("the rules would slow down the other containers of the network", "lab", "postrouting_rules")
	}
	refuse("the other containers of the network would leave from these addresses, which lead nowhere, as well", "arms", "snat")
	refuse("the rule would be for TCP alone, and leave the other containers of the network without UDP", "arms", "masquerade", "to_ports")
}

func (c checker) checkPattern(l *LoadSettings, root *yaml.Node) {
	load := strictyaml.ChildOf(root, "load")
	if !c.IsSound(load, strictyaml.ChildOf(load, "pattern")) {
		return
	}
	stray := func(at strictyaml.Path, pattern string) {
		for _, p := range at.FindPairs(root) {
			c.AddFault(p.Key, fmt.Sprintf("%s: belongs to pattern %s; the pattern here is %s", p.Key.Value, pattern, l.Pattern))
		}
	}
	c.checkClose(l, load)
	switch l.Pattern {
	case result.Lockstep, result.DNS:
		stray(strictyaml.Path{"load", "concurrency"}, result.Ephemeral)
		stray(strictyaml.Path{"arms", "client_port_range"}, result.Ephemeral)
		if l.Sync == "" {
			l.Sync = DefaultSync
		}
	case result.Ephemeral:
		stray(strictyaml.Path{"load", "sync"}, result.Lockstep)
		if l.Concurrency == 0 {
			l.Concurrency = DefaultConcurrency
		}
	}
}

// checkClose refuses connections that stay open where there are none, or where a trial
// would meet the TIME_WAIT of the trial before: in lockstep one server port is the same in
// all trials.
func (c checker) checkClose(l *LoadSettings, load *yaml.Node) {
	if l.Close == result.CloseReset {
		l.Close = "" // the default
	}
	if !c.IsSound(strictyaml.ChildOf(load, "protocol")) {
		return
	}
	for _, key := range []string{"hold", "close"} {
		for _, p := range (strictyaml.Path{key}).FindPairs(load) {
			switch {
			case !c.IsSound(p.Value):
			case l.Protocol == result.UDP, l.Pattern == result.DNS:
				c.AddFault(p.Key, key+": a datagram opens no connection; allowed with protocol tcp")
			case key == "close" && l.Close != "" && l.Pattern == result.Lockstep:
				c.AddFault(p.Key, fmt.Sprintf("close: %s leaves TIME_WAIT, which the control of the next trial would meet, since its server port is the same; allowed with pattern %s", l.Close, result.Ephemeral))
			}
		}
	}
}

// setIdleRules sets the number of idle rules of a file that does not set it.
func (c checker) setIdleRules(s *Scenario, root *yaml.Node) {
	s.rulesWritten = strictyaml.ChildOf(strictyaml.ChildOf(root, "lab"), "postrouting_rules") != nil
	if !s.rulesWritten {
		s.Lab.PostroutingRules = s.DefaultRules()
	}
}

func (c checker) checkTrial(s *Scenario, root *yaml.Node) {
	load := strictyaml.ChildOf(root, "load")
	requests, clients := strictyaml.ChildOf(load, "requests"), strictyaml.ChildOf(root, "clients")
	total := s.Clients * s.Load.Requests
	if total <= MaxTrial || !c.IsSound(load, requests, clients) {
		return
	}
	c.AddFault(cmp.Or(requests, clients, root), fmt.Sprintf("%d clients x %d requests are %d in one trial; allowed: %d (they share the %d source ports of one address)",
		s.Clients, s.Load.Requests, total, MaxTrial, NATPorts))
}

func (c checker) checkArms(arms []Arm, list *yaml.Node) {
	first := map[string]*yaml.Node{} // place of each name
	for i, arm := range arms {
		n := list.Content[i]
		switch m := strictyaml.ChildOf(n, "masquerade"); {
		case arm.Masquerade.Plain && arm.Masquerade != MasqueradeOptions{Plain: true}:
			c.AddFault(m, "masquerade: plain and other options are given; allowed: plain: true alone, since it is a rule without options")
		case arm.Masquerade.Random && arm.Masquerade.RandomFully:
			c.AddFault(m, "masquerade: random and random_fully are both true; allowed: at most one of them")
		}
		switch to := strictyaml.ChildOf(n, "snat"); {
		case arm.SNAT.Random && arm.SNAT.RandomFully:
			c.AddFault(to, "snat: random and random_fully are both true; allowed: at most one of them")
		case arm.SNAT.Persistent && len(arm.SNAT.ToSource) == 1:
			c.AddFault(to, "snat: persistent is about the choice of one of several addresses; allowed with two addresses or more")
		}
		for _, keys := range apartInArm {
			c.checkOneOf(n, keys[:]...)
		}
		c.checkOneRange(n)
		c.checkConsecutive(arm.SNAT.ToSource, strictyaml.ChildOf(strictyaml.ChildOf(n, "snat"), "to_source"))
		name := strictyaml.ChildOf(n, "name")
		if before := first[arm.Name]; before != nil {
			c.AddFault(name, fmt.Sprintf("name: %s is the arm at line %d already; allowed: a name of its own",
				strictyaml.QuoteText(arm.Name), before.Line))
		} else if arm.Name != "" {
			first[arm.Name] = name
		}
	}
}

// checkRemoves refuses a stated share where another one would be removed: what remains
// depends on how many clients fire in a slot, and on that they leave from equal ports.
func (c checker) checkRemoves(s *Scenario, root *yaml.Node) {
	for i, arm := range s.Arms {
		m := strictyaml.ChildOf(strictyaml.ChildOf(root, "arms").Content[i], "masquerade")
		if removes := strictyaml.ChildOf(m, "removes"); removes == nil || !c.IsSound(m, removes) {
			continue
		}
		refuse := func(why string) { c.AddFault(m, "removes: "+why) }
		switch o := arm.Masquerade; {
		case !o.RandomFully || o.Random || o.ToPorts != PortRange{}:
			refuse("it is the share that a rule with random_fully removes; allowed: with random_fully: true, and nothing else")
		case s.Load.Pattern != result.Lockstep:
			refuse(fmt.Sprintf("belongs to pattern %s; the pattern here is %s", result.Lockstep, s.Load.Pattern))
		case s.Clients != 2:
			refuse(fmt.Sprintf("the share that remains is known for 2 clients, and there are %d; allowed: clients: 2", s.Clients))
		}
	}
}

// checkConsecutive refuses the first address that does not follow the one before.
func (c checker) checkConsecutive(addresses []netip.Addr, list *yaml.Node) {
	if len(addresses) == 0 || !c.IsSound(list.Content...) {
		return
	}
	for i, a := range addresses[1:] {
		if before := addresses[i]; a != before.Next() {
			c.AddFault(list.Content[i+1], fmt.Sprintf("to_source: %s comes after %s; allowed: consecutive addresses in ascending order, none twice (iptables takes a range only)", a, before))
			return
		}
	}
}

func (c checker) checkExpect(s *Scenario, list, arms *yaml.Node) {
	names := namesOfArms(s.Arms)
	first := map[[2]string]*yaml.Node{} // place of each arm's claims
	for i, e := range s.Expect {
		n := list.Content[i]
		claim := c.checkOneOf(n, claimKeys...)
		if claim == nil && n.Kind == yaml.MappingNode {
			c.AddFault(n, "expect: nothing is expected of the arm; allowed: one of "+strings.Join(claimKeys, ", "))
		}
		c.checkRepeatedClaim(e.Arm, claim, first)
		if claim != nil && claim.Value == "filtered" && s.Server.AcceptSourcePorts == (PortRange{}) {
			c.AddFault(claim, "filtered: nothing drops requests for their source ports; allowed with server: {accept_source_ports: FIRST-LAST}")
		}
		arm := strictyaml.ChildOf(n, "arm")
		if arm == nil || names == nil || !c.IsSound(arm, arms) {
			continue
		}
		switch slices.Index(names, e.Arm) {
		case -1:
			if fit := wellFormedNames(names); fit != nil {
				c.AddFault(arm, fmt.Sprintf("arm: %s is no arm of this scenario; allowed: %s%s",
					strictyaml.QuoteText(e.Arm), strings.Join(fit, ", "), strictyaml.DidYouMean(e.Arm, fit)))
			}
		case 0:
			c.checkBaseline(arm, claim)
		}
	}
}

// checkRepeatedClaim refuses a second claim of the same kind about an arm: it
// contradicts the first one, or adds nothing to it.
func (c checker) checkRepeatedClaim(arm string, claim *yaml.Node, first map[[2]string]*yaml.Node) {
	if claim == nil || arm == "" {
		return
	}
	id := [2]string{arm, claim.Value}
	if before := first[id]; before != nil {
		c.AddFault(claim, fmt.Sprintf("%s: %s has this claim at line %d already; allowed: each claim once for an arm", claim.Value, strictyaml.QuoteText(arm), before.Line))
		return
	}
	first[id] = claim
}

// checkBaseline refuses a claim that would compare the baseline with itself.
func (c checker) checkBaseline(arm, claim *yaml.Node) {
	if claim == nil {
		return
	}
	switch claim.Value {
	case "reduction":
		c.AddFault(arm, fmt.Sprintf("arm: %s is the baseline; a reduction is that of another arm", strictyaml.QuoteText(arm.Value)))
	case "p50", "p99":
		c.AddFault(arm, fmt.Sprintf("arm: %s is the baseline; a rise of %s is measured against it", strictyaml.QuoteText(arm.Value), claim.Value))
	}
}

// checkOneOf refuses every key of n that is given together with another one of keys.
// It returns the first of them; nil if there is none.
func (c checker) checkOneOf(n *yaml.Node, keys ...string) (first *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(n.Content); i += 2 {
		switch key := n.Content[i]; {
		case !slices.Contains(keys, key.Value):
		case first == nil:
			first = key
		case key.Value != first.Value: // a repeated key has a fault already
			c.AddFault(key, fmt.Sprintf("%s: cannot be given together with %s; allowed: one of %s", key.Value, first.Value, strings.Join(keys, ", ")))
		}
	}
	return first
}

// namesOfArms returns the names of the arms; nil if an arm has no name, because an
// expectation may refer to that arm.
func namesOfArms(arms []Arm) []string {
	var names []string
	for _, arm := range arms {
		if arm.Name == "" {
			return nil
		}
		names = append(names, arm.Name)
	}
	return names
}

// wellFormedNames returns the names that an arm may have. The others have a fault of
// their own, and may be of any length.
func wellFormedNames(all []string) (fit []string) {
	for _, name := range all {
		if namePattern.Form.MatchString(name) {
			fit = append(fit, name)
		}
	}
	return fit
}
