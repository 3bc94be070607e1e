package nat

import (
	"context"
	"fmt"
	"strconv"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
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
	nft{}.counters(ctx, &all, func(c *nftables.Chain) bool {
		isOurs := c.Table.Family == nftTable.Family && c.Table.Name == nftTable.Name
		isIptables := c.Table.Family == nftables.TableFamilyIPv4 && c.Table.Name == table && c.Name == chain
		return !isOurs && (!isIptables || !listed)
	})
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

// counters adds the rules of nat chains at postrouting. A kernel without
// nftables has none.
func (n nft) counters(ctx context.Context, all *Counters, wanted func(*nftables.Chain) bool) {
	c, err := n.dial(ctx)
	if err != nil {
		return
	}
	for _, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyINet} {
		chains, err := c.ListChainsOfTableFamily(family)
		if err != nil {
			return
		}
		for _, chain := range chains {
			if chain.Type != nftables.ChainTypeNAT || chain.Hooknum == nil || *chain.Hooknum != *nftables.ChainHookPostrouting || !wanted(chain) {
				continue
			}
			where := fmt.Sprintf("nftables, table %s %s, chain %s", familyNames[family], chain.Table.Name, chain.Name)
			rules, err := c.GetRules(chain.Table, chain)
			if err != nil {
				all.Unread = append(all.Unread, fmt.Sprintf("%s: %v", where, bare(err)))
				continue
			}
			all.add(where, rules)
		}
	}
}

var familyNames = map[nftables.TableFamily]string{nftables.TableFamilyIPv4: "ip", nftables.TableFamilyINet: "inet"}

// add adds the rules of a chain that have a counter. The others show nothing of
// what they matched.
func (all *Counters) add(where string, rules []*nftables.Rule) {
	silent := 0
	for i, r := range rules {
		counter := counterOf(r)
		if counter == nil {
			silent++
			continue
		}
		name := fmt.Sprintf("handle %d", r.Handle)
		if comment, ok := userdata.GetString(r.UserData, userdata.TypeComment); ok {
			name += fmt.Sprintf(", comment %q", comment)
		}
		all.Rules = append(all.Rules, Counter{where, name, i + 1, counter.Packets})
	}
	if silent > 0 {
		all.Unread = append(all.Unread, fmt.Sprintf("%s: rules without a counter: %d of %d", where, silent, len(rules)))
	}
}

func counterOf(r *nftables.Rule) *expr.Counter {
	for _, e := range r.Exprs {
		if c, ok := e.(*expr.Counter); ok {
			return c
		}
	}
	return nil
}
