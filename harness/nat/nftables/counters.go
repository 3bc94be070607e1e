package nftables

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"

	"snatlab/harness/nat/transaction"
)

// Chain is a chain that translates source addresses, of any program.
type Chain struct {
	Family string // "ip", "ip6" or "inet"
	Table  string
	Name   string
	// Counted are the rules that have a counter. The others do not show how many
	// packets they matched.
	Counted []CountedRule
	Rules   int   // in all
	Err     error // the rules could not be read
}

// CountedRule is a rule with a counter.
type CountedRule struct {
	At      int    // position, from 1
	Name    string // its handle, and its comment if it has one
	Packets uint64
}

// NATChains returns the wanted chains of type nat at the postrouting hook that see the
// packets of a network. A kernel without nftables has none.
func NATChains(ctx context.Context, subnet netip.Prefix, wanted func(Chain) bool) []Chain {
	c, err := transaction.Open(ctx)
	if err != nil {
		return nil
	}
	var all []Chain
	for _, family := range []nftables.TableFamily{transaction.FamilyOf(subnet.Addr()), nftables.TableFamilyINet} {
		chains, err := c.ListChainsOfTableFamily(family)
		if err != nil {
			return all
		}
		for _, listed := range chains {
			if listed.Type != nftables.ChainTypeNAT || listed.Hooknum == nil || *listed.Hooknum != *nftables.ChainHookPostrouting {
				continue
			}
			chain := Chain{Family: transaction.FamilyName(family), Table: listed.Table.Name, Name: listed.Name}
			if !wanted(chain) {
				continue
			}
			rules, err := c.GetRules(listed.Table, listed)
			chain.Rules, chain.Counted, chain.Err = len(rules), countedRules(rules), transaction.KernelError(err)
			all = append(all, chain)
		}
	}
	return all
}

func countedRules(rules []*nftables.Rule) []CountedRule {
	var all []CountedRule
	for i, r := range rules {
		counter := findCounter(r)
		if counter == nil {
			continue
		}
		name := fmt.Sprintf("handle %d", r.Handle)
		if comment, ok := userdata.GetString(r.UserData, userdata.TypeComment); ok {
			name += fmt.Sprintf(", comment %q", comment)
		}
		all = append(all, CountedRule{At: i + 1, Name: name, Packets: counter.Packets})
	}
	return all
}

func findCounter(r *nftables.Rule) *expr.Counter {
	for _, e := range r.Exprs {
		if c, ok := e.(*expr.Counter); ok {
			return c
		}
	}
	return nil
}
