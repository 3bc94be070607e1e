package nat

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"snatlab/harness/nat/iptables"
)

// NoRuleError reports that a network has no rule that can be rewritten.
type NoRuleError struct {
	Subnet netip.Prefix
	want   string
	found  []foundRule // all rules of the chain, in each variant
}

type foundRule struct {
	rule
	at      int // position
	variant string
}

// HasRule reports whether the chain holds a rule for the subnet that has another
// form than a rule that can be rewritten.
func (e *NoRuleError) HasRule() bool { return len(e.ofSubnet()) > 0 }

func (e *NoRuleError) Error() string {
	var texts []string
	if own := e.ofSubnet(); own != nil {
		for _, r := range own {
			texts = append(texts, fmt.Sprintf("rule %d of %s (%s) is %v: %s", r.at, iptables.Postrouting, r.variant, r.rule, r.explainRemedy()))
		}
		return fmt.Sprintf("the rule of %v cannot be rewritten: expected %q; %s", e.Subnet, e.want, strings.Join(texts, "; "))
	}
	for _, r := range e.found {
		texts = append(texts, fmt.Sprintf("%s (%s)", r.text, r.variant))
	}
	if texts == nil {
		texts = []string{"no rule at all"}
	}
	return fmt.Sprintf("no masquerade rule of %v: expected %s in table %s; found %s", e.Subnet, e.want, iptables.NATTable, strings.Join(texts, ", "))
}

// ofSubnet returns the rules whose source is the subnet, except those that only
// return or have no target, and those of controls, which a crashed run left.
func (e *NoRuleError) ofSubnet() []foundRule {
	var own []foundRule
	for _, r := range e.found {
		spec, _ := iptables.SplitRule(r.text) // it was split before
		at := slices.Index(spec, "-s")
		if at < 0 || at+1 == len(spec) || at > 0 && spec[at-1] == "!" {
			continue
		}
		if source, err := netip.ParsePrefix(spec[at+1]); err == nil && source == e.Subnet && parseControl(r.text) != nil && r.targetName() != "" && r.targetName() != "RETURN" {
			own = append(own, r)
		}
	}
	return own
}

func (r foundRule) targetName() string {
	spec, _ := iptables.SplitRule(r.text)
	at := slices.Index(spec, "-j")
	if at < 0 || at+1 == len(spec) {
		return ""
	}
	return spec[at+1]
}

// explainRemedy returns why a rule cannot be rewritten, and what to do.
func (r foundRule) explainRemedy() string {
	spec, _ := iptables.SplitRule(r.text)
	has := func(word string) bool { return slices.Contains(spec, word) }
	switch {
	case r.mark != "":
		return "run `snatlab cleanup`, and if that leaves it, put the plain rule in its place"
	case r.targetName() == "SNAT":
		option := "com.docker.network.host_ipv4"
		if sourceOf(r.text).Addr().Is6() {
			option = "com.docker.network.host_ipv6"
		}
		return "it translates to a fixed address, as Docker does for the network option " + option
	case r.targetName() != "MASQUERADE":
		return "it does not masquerade"
	case has("--random-fully"), has("--random"), has("--to-ports"):
		return "it has options already"
	case has("-o") && !has("--comment") && !has("-m"):
		return "it is for another interface"
	}
	return "it has other conditions than Docker's"
}
