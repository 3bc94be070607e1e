package nat

import (
	"context"
	"fmt"
	"strconv"

	"snatlab/harness/nat/nftables"
)

// Counter is the packet counter of a rule at the hook where source addresses are
// translated. A connection is translated by one rule there, and its first packet
// is counted by it.
type Counter struct {
	Place   string // "POSTROUTING (nft)", "nftables, table ip shop, chain nat"
	Rule    string // its text, or its handle
	At      int    // position, from 1
	Packets uint64
}

// Counters are those of all rules at that hook but one.
type Counters struct {
	Rules []Counter
	// Unread names, with the reason, what may hold rules that are not among
	// these: a chain that cannot be listed, rules that do not count.
	Unread []string
}

// Counters reads the counters of all other rules that may translate what the
// rule is meant to: of POSTROUTING in each variant of iptables, and of the nat
// chains of nftables at that hook. For a rule of nftables no program is run:
// rules of iptables-nft are read as those of nftables that they are.
func (f *InForce) Counters(ctx context.Context) Counters {
	var all Counters
	listed := false // the chain of iptables-nft, which is one of nftables as well
	if mine := f.tables(); mine != nil {
		listed = mine.counters(ctx, &all, f.rule)
	} else if legacyTableExists(table) {
		all.Unread = append(all.Unread, "the table nat of iptables-legacy")
	}
	chains := nftables.NATChains(ctx, func(c nftables.Chain) bool {
		isOurs := c.Family == "ip" && c.Table == nftables.TableName
		isIptables := c.Family == "ip" && c.Table == table && c.Name == chain
		return !isOurs && (!isIptables || !listed)
	})
	for _, c := range chains {
		all.add(c)
	}
	return all
}

// counters adds the rules of POSTROUTING but ours, and reports whether those of
// iptables-nft are among them.
func (t *Tables) counters(ctx context.Context, all *Counters, ours rule) (nftListed bool) {
	variants, err := Installed()
	if err != nil {
		all.Unread = append(all.Unread, err.Error())
	}
	for _, v := range variants {
		rules, err := v.read(ctx)
		if err != nil {
			all.Unread = append(all.Unread, err.Error())
			continue
		}
		nftListed = nftListed || v.Variant == "nft"
		for i, r := range rules {
			if v.Variant != t.Variant || !r.is(ours) {
				all.Rules = append(all.Rules, Counter{fmt.Sprintf("%s (%s)", chain, v.Variant), strconv.Quote(r.text), i + 1, r.packets})
			}
		}
	}
	return nftListed
}

func (f *InForce) tables() *Tables {
	t, _ := f.backend.(*Tables)
	return t
}

// add adds the rules of a chain of nftables that have a counter.
func (all *Counters) add(c nftables.Chain) {
	where := fmt.Sprintf("nftables, table %s %s, chain %s", c.Family, c.Table, c.Name)
	if c.Err != nil {
		all.Unread = append(all.Unread, fmt.Sprintf("%s: %v", where, c.Err))
		return
	}
	for _, r := range c.Counted {
		all.Rules = append(all.Rules, Counter{where, r.Name, r.At, r.Packets})
	}
	if silent := c.Rules - len(c.Counted); silent > 0 {
		all.Unread = append(all.Unread, fmt.Sprintf("%s: rules without a counter: %d of %d", where, silent, c.Rules))
	}
}
