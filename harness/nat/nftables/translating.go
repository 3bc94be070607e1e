package nftables

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/google/nftables/xt"

	"snatlab/harness/nat/snat"
)

// TranslatingRule is a rule of any program that translates source addresses.
type TranslatingRule struct {
	Family  string // "ip", "ip6" or "inet"
	Table   string
	Chain   string
	Text    string // as nft prints it, except for parts that this package cannot read
	Options snat.Options
	Counted bool
	Packets uint64 // if it is counted
}

// maxChains bounds the chains that are read. A machine with bridges of CNI plugins may
// have one for each pod.
const maxChains = 128

// chainName names a chain in a table of a family.
type chainName struct {
	family nftables.TableFamily
	table  string
	chain  string
}

func (n chainName) String() string {
	return fmt.Sprintf("nftables, table %s %s, chain %s", allFamilies[n.family], n.table, n.chain)
}

var allFamilies = map[nftables.TableFamily]string{
	nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6", nftables.TableFamilyINet: "inet",
}

// ListTranslating lists the rules that translate source addresses, in the chains at the
// postrouting hook and in those that they jump to. Rules of iptables-nft are among them.
// Unread names places that may hold more, with the reason.
func ListTranslating(ctx context.Context) (rules []TranslatingRule, unread []string, err error) {
	c, err := newConn(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("list rules of nftables: %w", kernelError(err))
	}
	chains, err := listNATChains(c)
	if err != nil {
		return nil, nil, fmt.Errorf("list chains of nftables: %w", kernelError(err))
	}
	for at := 0; at < len(chains); at++ {
		if at == maxChains {
			unread = append(unread, fmt.Sprintf("nftables: chains beyond the first %d", maxChains))
			break
		}
		name := chains[at]
		table := &nftables.Table{Name: name.table, Family: name.family}
		listed, err := c.GetRules(table, &nftables.Chain{Name: name.chain, Table: table})
		if err != nil {
			unread = append(unread, fmt.Sprintf("%v: %v", name, kernelError(err)))
			continue
		}
		for _, r := range listed {
			if next, ok := jumpOf(r); ok {
				next := chainName{name.family, name.table, next}
				if !slices.Contains(chains, next) {
					chains = append(chains, next)
				}
			}
			if t, ok := readTranslating(name, r); ok {
				rules = append(rules, t)
			}
		}
	}
	return rules, unread, nil
}

// listNATChains lists the chains that translate source addresses.
func listNATChains(c *nftables.Conn) (names []chainName, err error) {
	for _, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6, nftables.TableFamilyINet} {
		chains, err := c.ListChainsOfTableFamily(family)
		if err != nil {
			return nil, err
		}
		for _, chain := range chains {
			if chain.Type == nftables.ChainTypeNAT && chain.Hooknum != nil && *chain.Hooknum == *nftables.ChainHookPostrouting {
				names = append(names, chainName{family, chain.Table.Name, chain.Name})
			}
		}
	}
	return names, nil
}

// jumpOf returns the chain that a rule jumps to.
func jumpOf(r *nftables.Rule) (chain string, ok bool) {
	for _, e := range r.Exprs {
		if v, is := e.(*expr.Verdict); is && (v.Kind == expr.VerdictJump || v.Kind == expr.VerdictGoto) {
			return v.Chain, true
		}
	}
	return "", false
}

// readTranslating reads a rule. It returns false for a rule that does not translate.
func readTranslating(name chainName, r *nftables.Rule) (t TranslatingRule, ok bool) {
	t = TranslatingRule{Family: allFamilies[name.family], Table: name.table, Chain: name.chain}
	statement, options, ok := readStatement(r.Exprs)
	if !ok {
		return t, false
	}
	t.Options = options
	counter := ""
	if c := findCounter(r); c != nil {
		t.Counted, t.Packets, counter = true, c.Packets, "counter "
	}
	t.Text = describeMatches(r.Exprs) + counter + statement
	if own, _, ok := parseExpressions(slices.Clone(r.Exprs)); ok {
		t.Text = own.Text()
	}
	if comment, ok := userdata.GetString(r.UserData, userdata.TypeComment); ok {
		t.Text += fmt.Sprintf(" comment %q", comment)
	}
	return t, true
}

// readStatement returns the action of a rule, and its options.
func readStatement(exprs []expr.Any) (text string, o snat.Options, ok bool) {
	var loaded [][]byte // values of expr.Immediate
	for _, e := range exprs {
		switch e := e.(type) {
		case *expr.Immediate:
			loaded = append(loaded, e.Data)
		case *expr.Masq:
			o = snat.Options{Random: e.Random, RandomFully: e.FullyRandom, ToPorts: readPorts(loaded)}
			return "masquerade" + describePorts(o) + describeRandom(o), o, true
		case *expr.NAT:
			if e.Type != expr.NATTypeSourceNAT {
				return "", o, false
			}
			o = snat.Options{Random: e.Random, RandomFully: e.FullyRandom, ToSource: readAddresses(loaded)}
			text := "snat"
			if o.ToSource.First.IsValid() {
				text += " to " + o.ToSource.String()
			}
			return text + describeRandom(o), o, true
		case *expr.Target:
			return readTarget(e)
		}
	}
	return "", o, false
}

// readTarget returns the action of a rule that iptables-nft has written.
func readTarget(e *expr.Target) (text string, o snat.Options, ok bool) {
	if e.Name != "MASQUERADE" && e.Name != "SNAT" {
		return "", o, false
	}
	flags, known := readRangeFlags(e.Info)
	o.Random, o.RandomFully = flags&uint(xt.NatRangeProtoRandom) != 0, flags&uint(xt.NatRangeProtoRandomFully) != 0
	text = e.Name
	switch {
	case !known:
		text += " (its options cannot be read)"
	case o.RandomFully:
		text += " --random-fully"
	case o.Random:
		text += " --random"
	}
	return text, o, true
}

// readRangeFlags returns the flags of a target (include/uapi/linux/netfilter/nf_nat.h).
func readRangeFlags(info xt.InfoAny) (flags uint, ok bool) {
	switch i := info.(type) {
	case *xt.NatIPv4MultiRangeCompat:
		if len(*i) > 0 {
			return (*i)[0].Flags, true
		}
	case *xt.NatRange:
		return i.Flags, true
	case *xt.Unknown: // struct nf_nat_range of IPv6 begins with the flags
		if len(*i) >= 4 {
			return uint(nativeUint32((*i)[:4])), true
		}
	}
	return 0, false
}

func describePorts(o snat.Options) string {
	if o.ToPorts == (snat.PortRange{}) {
		return ""
	}
	return " to :" + o.ToPorts.String()
}

func describeRandom(o snat.Options) string {
	switch {
	case o.RandomFully:
		return " fully-random"
	case o.Random:
		return " random"
	}
	return ""
}
