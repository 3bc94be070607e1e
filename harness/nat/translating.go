package nat

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/nftables"
	"snatlab/harness/nat/snat"
)

// TranslatingRule is a rule of any program that translates source addresses.
type TranslatingRule struct {
	Program string // "iptables (nft)", "iptables (legacy)", "nftables"
	Place   string // "POSTROUTING", "table ip shop, chain nat"
	Text    string
	Options snat.Options // as far as they concern ports
	Packets *uint64      // first packets of connections; nil without a counter
}

// maxProgramChains bounds how often the iptables program runs for one listing.
const maxProgramChains = 16

// ListTranslating lists the rules that translate source addresses in the namespace of
// the calling thread, of iptables in each variant and of nftables, and changes nothing.
// Without hasNFTables, the kernel is not asked for rules of nftables: it would load a
// module for the answer. Unread names places that may hold more, with the reason.
func ListTranslating(ctx context.Context, hasNFTables bool) (rules []TranslatingRule, unread []string, err error) {
	var byKernel []nftables.TranslatingRule
	if hasNFTables {
		byKernel, unread, err = nftables.ListTranslating(ctx)
	}
	if err != nil && !iptables.HasLegacyTable(iptables.IPv4, iptables.NATTable) {
		return nil, nil, err
	}
	if err != nil {
		unread = append(unread, err.Error())
	}
	programs, programErr := iptables.FindInstalled(iptables.IPv4)
	listed := false // by iptables-nft
	for _, p := range programs {
		if p.Variant == "nft" && !slices.ContainsFunc(byKernel, isIptables) {
			continue
		}
		all, more, err := listProgram(ctx, p)
		switch {
		case err == nil:
			rules, unread, listed = append(rules, all...), append(unread, more...), listed || p.Variant == "nft"
		case p.Variant != "nft": // the rules of the other one are among those of nftables
			unread = append(unread, err.Error())
		}
	}
	if programErr != nil && iptables.HasLegacyTable(iptables.IPv4, iptables.NATTable) {
		unread = append(unread, "iptables (legacy): "+programErr.Error())
	}
	for _, r := range byKernel {
		if !listed || !isIptables(r) {
			rules = append(rules, ofNFTables(r))
		}
	}
	return rules, unread, errors.Join(context.Cause(ctx))
}

// isIptables reports whether a rule stands where iptables-nft has its rules.
func isIptables(r nftables.TranslatingRule) bool {
	return r.Table == nftables.Table{Family: unix.NFPROTO_IPV4, Name: iptables.NATTable}
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
			Program: "iptables (" + p.Variant + ")", Place: l.Chain, Text: l.Text, Options: iptablesOptions(l.Text), Packets: &packets,
		})
	}
	return rules, unread, err
}

// translatingTargets are the targets that translate source addresses.
var translatingTargets = map[string]bool{"MASQUERADE": true, "SNAT": true, "NETMAP": true}
