package effect

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"snatlab/harness/nat"
	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/nftables"
	"snatlab/harness/nat/snat"
)

// Rule is a rule of any program that translates source addresses of IPv4.
type Rule struct {
	Program string       // "iptables (nft)", "iptables (legacy)", "nftables"
	Place   string       // "POSTROUTING", "table inet shop, chain nat"
	Text    string       // as its program prints it, as far as snatlab can read it
	Options snat.Options // of its target
	Known   bool         // Options are all that its target has
	Packets *uint64      // first packets of connections; nil without a counter

	at place
}

// place is where a rule stands, and what identifies it there.
type place struct {
	legacy *iptables.Program // nil: the rule is in a table of nftables
	table  nftables.Table
	chain  string
	handle uint64 // in a table of nftables; in iptables-legacy the text identifies the rule
	compat bool   // iptables-nft wrote the rule
}

// Chain returns the table and the chain in which the rule stands: "nat", "POSTROUTING".
func (r Rule) Chain() (table, chain string) {
	if r.at.legacy != nil {
		return iptables.NATTable, r.at.chain
	}
	return r.at.table.Name, r.at.chain
}

// DrawsPorts reports whether the rule has --random-fully or --random already. The arm
// without options is such a rule as it is, then; an arm with [snat.Options.Plain] takes
// the option away.
func (r Rule) DrawsPorts() bool { return r.Options.Random || r.Options.RandomFully }

func (r Rule) String() string {
	return fmt.Sprintf("%q of %s, %s", r.Text, r.Program, r.Place)
}

// explainRefusal returns why no rule of snatlab's can stand in for this one, or an empty
// text.
func (r Rule) explainRefusal() string {
	if !r.Known {
		return "its target has options that snatlab cannot write"
	}
	return ""
}

// maxLegacyChains bounds how often the program of iptables-legacy runs for one listing.
const maxLegacyChains = 256

// List lists the rules that translate source addresses in the namespace of the calling
// thread, and changes nothing. Rules that snatlab has written are not among them. Unread
// names places that may hold more, with the reason.
func List(ctx context.Context) (rules []Rule, unread []string, err error) {
	listed, unread, err := nftables.ListTranslating(ctx)
	if err != nil && !iptables.HasLegacyTable(iptables.IPv4, iptables.NATTable) {
		return nil, nil, err
	}
	if err != nil {
		unread = append(unread, err.Error())
	}
	for _, l := range listed {
		if l.Table.Family != unix.NFPROTO_IPV6 && !isOwnComment(l.Comment) {
			rules = append(rules, fromKernel(l))
		}
	}
	if iptables.HasLegacyTable(iptables.IPv4, iptables.NATTable) {
		legacy, more := listLegacy(ctx)
		rules, unread = append(rules, legacy...), append(unread, more...)
	}
	return rules, unread, errors.Join(context.Cause(ctx))
}

func fromKernel(l nftables.TranslatingRule) Rule {
	r := Rule{
		Program: "nftables", Place: fmt.Sprintf("%v, chain %s", l.Table, l.Chain), Text: l.Text, Options: l.Options, Known: l.Known,
		at: place{table: l.Table, chain: l.Chain, handle: l.Handle, compat: l.Compat},
	}
	if l.Compat {
		r.Program, r.Place = "iptables (nft)", l.Chain
	}
	if l.Counted {
		r.Packets = new(l.Packets)
	}
	return r
}

// printText replaces the text of a rule of iptables-nft with the one that the program
// prints, if there is a program.
func (r *Rule) printText(ctx context.Context) {
	programs, _ := iptables.FindInstalled(iptables.IPv4)
	at := slices.IndexFunc(programs, func(p *iptables.Program) bool { return p.Variant == "nft" })
	if !r.at.compat || at < 0 {
		return
	}
	lines, err := programs[at].ListRules(ctx, iptables.NATTable, r.at.chain)
	placed, kernelErr := nftables.ListPlaced(ctx, r.at.table)
	placed = slices.DeleteFunc(placed, func(p nftables.PlacedRule) bool { return p.Chain != r.at.chain })
	nth := slices.IndexFunc(placed, func(p nftables.PlacedRule) bool { return p.Handle == r.at.handle })
	if err == nil && kernelErr == nil && nth >= 0 && len(lines) == len(placed) {
		r.Text = lines[nth].Text
	}
}

// readCounters returns the counters of rules, except those of some of them.
func readCounters(ctx context.Context, except func(Rule) bool) nat.RuleCounters {
	rules, unread, err := List(ctx)
	all := nat.RuleCounters{Unread: unread}
	if err != nil {
		all.Unread = append(all.Unread, err.Error())
	}
	silent := 0
	for i, r := range rules {
		switch {
		case except(r):
		case r.Packets == nil:
			silent++
		default:
			all.Rules = append(all.Rules, nat.RuleCounter{Place: r.Program + ", " + r.Place, Rule: strconv.Quote(r.Text), At: i + 1, Packets: *r.Packets})
		}
	}
	if silent > 0 {
		all.Unread = append(all.Unread, fmt.Sprintf("rules without a counter: %d of %d", silent, len(rules)))
	}
	return all
}

// commonPrefix returns the smallest network that has all addresses.
func commonPrefix(addresses []netip.Addr) netip.Prefix {
	for bits := 32; bits > 0; bits-- {
		p := netip.PrefixFrom(addresses[0], bits).Masked()
		if !slices.ContainsFunc(addresses, func(a netip.Addr) bool { return !p.Contains(a) }) {
			return p
		}
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

// Writer returns "iptables" or "nftables".
func (r Rule) Writer() string {
	if r.Program == "nftables" {
		return r.Program
	}
	return "iptables"
}

// LookCommand returns the command that shows the rule.
func (r Rule) LookCommand() string {
	switch {
	case r.at.legacy != nil:
		return r.at.legacy.Path + " -t nat -v -S " + r.at.chain
	case r.at.compat:
		return "iptables-nft -t nat -v -S " + r.at.chain
	}
	return fmt.Sprintf("nft list chain %s %s %s", r.at.table.FamilyName(), r.at.table.Name, r.at.chain)
}
