package nat

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/nftables"
	"snatlab/harness/nat/snat"
)

// TranslatingRule is a rule of any program that translates source addresses.
type TranslatingRule struct {
	Program string // "iptables (nft)", "ip6tables (legacy)", "nftables"
	Place   string // "POSTROUTING", "table ip shop, chain nat"
	Text    string
	Options snat.Options // as far as they concern ports
	Packets *uint64      // first packets of connections; nil without a counter
}

// maxProgramChains bounds how often the iptables program runs for one listing.
const maxProgramChains = 16

// ListTranslating lists the rules that translate source addresses in the namespace of
// the calling thread, of iptables and ip6tables in each variant and of nftables, and
// changes nothing. Without hasNFTables, the kernel is not asked for rules of nftables: it
// would load a module for the answer. Unread names places that may hold more, with the
// reason.
func ListTranslating(ctx context.Context, hasNFTables bool) (rules []TranslatingRule, unread []string, err error) {
	var byKernel []nftables.TranslatingRule
	if hasNFTables {
		byKernel, unread, err = nftables.ListTranslating(ctx)
	}
	if err != nil && !iptables.HasLegacyTable(iptables.IPv4, iptables.NATTable) && !iptables.HasLegacyTable(iptables.IPv6, iptables.NATTable) {
		return nil, nil, err
	}
	if err != nil {
		unread = append(unread, err.Error())
	}
	for _, f := range []iptables.Family{iptables.IPv4, iptables.IPv6} {
		isIptables := func(r nftables.TranslatingRule) bool { return r.Table == iptablesTable(f) }
		byProgram, more, nftListed := listPrograms(ctx, f, slices.ContainsFunc(byKernel, isIptables))
		rules, unread = append(rules, byProgram...), append(unread, more...)
		if nftListed {
			byKernel = slices.DeleteFunc(byKernel, isIptables)
		}
	}
	for _, r := range byKernel {
		rules = append(rules, ofNFTables(r))
	}
	return rules, unread, errors.Join(context.Cause(ctx))
}

// iptablesTable returns the table of nftables in which iptables-nft has its rules of a
// family.
func iptablesTable(f iptables.Family) nftables.Table {
	return nftables.Table{Family: byte(f.TableFamily()), Name: iptables.NATTable}
}

// listPrograms lists the translating rules of the variants of a family that have any.
// HasNFT is whether the variant nft does. NftListed reports whether its rules are among them.
func listPrograms(ctx context.Context, f iptables.Family, hasNFT bool) (rules []TranslatingRule, unread []string, nftListed bool) {
	hasLegacy := iptables.HasLegacyTable(f, iptables.NATTable)
	if !hasNFT && !hasLegacy {
		return nil, nil, false
	}
	programs, err := iptables.FindInstalled(f)
	if err != nil && hasLegacy {
		unread = append(unread, f.ProgramName()+" (legacy): "+err.Error())
	}
	for _, p := range programs {
		if p.Variant == "nft" && !hasNFT {
			continue
		}
		all, more, err := listProgram(ctx, p)
		switch {
		case err == nil:
			rules, unread, nftListed = append(rules, all...), append(unread, more...), nftListed || p.Variant == "nft"
		case p.Variant != "nft": // the rules of the other one are among those of nftables
			unread = append(unread, err.Error())
		}
	}
	return rules, unread, nftListed
}

func ofNFTables(r nftables.TranslatingRule) TranslatingRule {
	t := TranslatingRule{
		Program: "nftables", Place: fmt.Sprintf("%v, chain %s", r.Table, r.Chain), Text: r.Text, Options: r.Options,
	}
	if r.Counted {
		t.Packets = &r.Packets
	}
	return t
}

// listProgram lists the translating rules of one variant of iptables.
func listProgram(ctx context.Context, p *iptables.Program) (rules []TranslatingRule, unread []string, err error) {
	lines, unread, err := p.ListReachable(ctx, iptables.NATTable, iptables.Postrouting, maxProgramChains)
	for _, l := range lines {
		if !translatingTargets[l.Target] {
			continue
		}
		packets := l.Packets
		rules = append(rules, TranslatingRule{
			Program: fmt.Sprintf("%s (%s)", p.Family.ProgramName(), p.Variant), Place: l.Chain, Text: l.Text, Options: iptablesOptions(l.Text), Packets: &packets,
		})
	}
	return rules, unread, err
}

// translatingTargets are the targets that translate source addresses.
var translatingTargets = map[string]bool{"MASQUERADE": true, "SNAT": true, "NETMAP": true}
