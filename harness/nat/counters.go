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
// chains of nftables at that hook.
func (f *InForce) Counters(ctx context.Context) Counters {
	var all Counters
	listed := map[string]bool{} // chains of iptables-nft, which are chains of nftables as well
	variants, err := Installed()
	if err != nil && f.tables() != nil {
		all.Unread = append(all.Unread, err.Error())
	}
	for _, t := range variants {
		rules, err := t.read(ctx)
		if err != nil {
			all.Unread = append(all.Unread, err.Error())
			continue
		}
		listed[t.Variant] = true
		for i, r := range rules {
			if mine := f.tables(); mine != nil && mine.Variant == t.Variant && r.is(f.rule) {
				continue
			}
			all.Rules = append(all.Rules, Counter{fmt.Sprintf("%s (%s)", chain, t.Variant), strconv.Quote(r.text), i + 1, r.packets})
		}
	}
	nft{}.counters(ctx, &all, func(c *nftables.Chain) bool {
		isOurs := c.Table.Family == nftTable.Family && c.Table.Name == nftTable.Name
		isIptables := c.Table.Family == nftables.TableFamilyIPv4 && c.Table.Name == table && c.Name == chain
		return !isOurs && (!isIptables || !listed["nft"])
	})
	return all
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

// add adds the rules of a chain. Those without a counter cannot be told to have
// seen anything.
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
		all.Unread = append(all.Unread, fmt.Sprintf("%s: %d of %d rules have no counter", where, silent, len(rules)))
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
