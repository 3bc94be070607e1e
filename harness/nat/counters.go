package nat

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/nftables"
)

// RuleCounter is the packet counter of a rule at the hook where source addresses
// are translated. One rule translates a connection there, and counts its first
// packet.
type RuleCounter struct {
	Place   string // "POSTROUTING (nft)", "nftables, table ip shop, chain nat"
	Rule    string // its text, or its handle
	At      int    // position, from 1
	Packets uint64
}

// RuleCounters are the counters of all rules at that hook except those of the run.
type RuleCounters struct {
	Rules []RuleCounter
	// Unread names, with the reason, places that may hold further rules: a chain
	// that cannot be listed, rules without a counter.
	Unread []string
}

// ReadCounters returns the counters of all other rules that may translate the
// packets which this rule and the control's are for: those of POSTROUTING in each variant of
// iptables, and those of the nat chains of nftables at that hook. For a rule of
// nftables no program is run: rules of iptables-nft are listed as the rules of
// nftables that they are.
func (a *AppliedRule) ReadCounters(ctx context.Context) RuleCounters {
	return a.readCounters(ctx, nil)
}

// FirstCounters returns the counters as they were when the rule was applied. The rules
// of its own variant of iptables are not listed again: Apply has listed them.
func (a *AppliedRule) FirstCounters(ctx context.Context) RuleCounters {
	return a.readCounters(ctx, a.listed)
}

// readCounters reads the counters. Own is a listing of the rule's own variant of
// iptables, or nil.
func (a *AppliedRule) readCounters(ctx context.Context, own []rule) RuleCounters {
	var all RuleCounters
	subnet := sourceOf(a.rule.text)
	listed := false // the chain of iptables-nft, which nftables lists as well
	if mine, ok := a.backend.(iptablesBackend); ok {
		list := func(p *iptables.Program) ([]rule, error) {
			if p.Variant == mine.Variant && own != nil {
				return own, nil
			}
			return iptablesBackend{p}.readRules(ctx)
		}
		listed = all.addVariants(list, mine.Program, a.isOurs)
	} else if f := iptables.FamilyOf(subnet.Addr()); iptables.HasLegacyTable(f, iptables.NATTable) {
		all.Unread = append(all.Unread, "the table nat of "+f.ProgramName()+"-legacy")
	}
	family := nftables.TableFor(subnet).FamilyName()
	chains := nftables.NATChains(ctx, subnet, func(c nftables.Chain) bool {
		isOurs := c.Family == family && c.Table == nftables.TableName
		isIptables := c.Family == family && c.Table == iptables.NATTable && c.Name == iptables.Postrouting
		return !isOurs && (!isIptables || !listed)
	})
	for _, c := range chains {
		all.addChain(c)
	}
	return all
}

// sourceOf returns the network whose packets a rule masquerades: "ip saddr 198.18.0.0/24",
// "-A POSTROUTING -s 198.18.0.0/24". A rule without such a network has the zero value.
func sourceOf(text string) netip.Prefix {
	words := strings.Fields(text)
	at := slices.IndexFunc(words, func(word string) bool { return word == "-s" || word == "saddr" })
	if at < 0 || at+1 == len(words) {
		return netip.Prefix{}
	}
	if a, err := netip.ParseAddr(words[at+1]); err == nil { // nft's text for a network of one
		return netip.PrefixFrom(a, a.BitLen())
	}
	p, _ := netip.ParsePrefix(words[at+1])
	return p
}

// addVariants adds the rules of POSTROUTING in each variant of a program's family, except
// our own rules in the program's variant. It reports whether the rules of the variant nft
// are among them.
func (all *RuleCounters) addVariants(list func(*iptables.Program) ([]rule, error), mine *iptables.Program, isOurs func(rule) bool) (nftListed bool) {
	variants, err := iptables.FindInstalled(mine.Family)
	if err != nil {
		all.Unread = append(all.Unread, err.Error())
	}
	for _, p := range variants {
		rules, err := list(p)
		if err != nil {
			all.Unread = append(all.Unread, err.Error())
			continue
		}
		nftListed = nftListed || p.Variant == "nft"
		for i, r := range rules {
			if p.Variant != mine.Variant || !isOurs(r) {
				all.Rules = append(all.Rules, RuleCounter{fmt.Sprintf("%s (%s)", iptables.Postrouting, p.Variant), strconv.Quote(r.text), i + 1, r.packets})
			}
		}
	}
	return nftListed
}

// addChain adds the rules of a chain of nftables that have a counter.
func (all *RuleCounters) addChain(c nftables.Chain) {
	where := fmt.Sprintf("nftables, table %s %s, chain %s", c.Family, c.Table, c.Name)
	if c.Err != nil {
		all.Unread = append(all.Unread, fmt.Sprintf("%s: %v", where, c.Err))
		return
	}
	for _, r := range c.Counted {
		all.Rules = append(all.Rules, RuleCounter{where, r.Name, r.At, r.Packets})
	}
	if silent := c.Rules - len(c.Counted); silent > 0 {
		all.Unread = append(all.Unread, fmt.Sprintf("%s: rules without a counter: %d of %d", where, silent, c.Rules))
	}
}
