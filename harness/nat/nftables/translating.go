package nftables

import (
	"context"
	"fmt"

	"github.com/google/nftables"

	"snatlab/harness/nat/snat"
	"snatlab/harness/nat/transaction"
)

// Table names a table.
type Table struct {
	Family byte // unix.NFPROTO_IPV4, _IPV6 or _INET
	Name   string
}

// FamilyName returns "ip", "ip6" or "inet".
func (t Table) FamilyName() string { return transaction.FamilyName(nftables.TableFamily(t.Family)) }

// known returns the table as google/nftables knows it.
func (t Table) known() *nftables.Table {
	return &nftables.Table{Name: t.Name, Family: nftables.TableFamily(t.Family)}
}

func (t Table) String() string { return "table " + t.FamilyName() + " " + t.Name }

// TranslatingRule is a rule of any program that translates source addresses.
type TranslatingRule struct {
	Table Table
	PlacedRule
}

// ListTranslating lists the rules that translate source addresses, in the tables that
// have a chain of type nat at the postrouting hook. Rules of iptables-nft are among them.
// Unread names tables that may hold more, with the reason.
func ListTranslating(ctx context.Context) (rules []TranslatingRule, unread []string, err error) {
	tables, err := listNATTables(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("list chains of nftables: %w", transaction.KernelError(err))
	}
	for _, t := range tables {
		placed, err := ListPlaced(ctx, t)
		if err != nil {
			unread = append(unread, "nftables: "+err.Error())
		}
		for _, r := range placed {
			if r.Translates {
				rules = append(rules, TranslatingRule{t, r})
			}
		}
	}
	return rules, unread, nil
}

func listNATTables(ctx context.Context) (tables []Table, err error) {
	c, err := transaction.Open(ctx)
	if err != nil {
		return nil, err
	}
	seen := map[Table]bool{}
	for _, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6, nftables.TableFamilyINet} {
		chains, err := c.ListChainsOfTableFamily(family)
		if err != nil {
			return nil, err
		}
		for _, chain := range chains {
			t := Table{byte(family), chain.Table.Name}
			if !seen[t] && chain.Type == nftables.ChainTypeNAT && chain.Hooknum != nil && *chain.Hooknum == *nftables.ChainHookPostrouting {
				seen[t] = true
				tables = append(tables, t)
			}
		}
	}
	return tables, nil
}

func describePorts(o snat.Options) string {
	if o.ToPorts == (snat.PortRange{}) {
		return ""
	}
	return " to :" + o.ToPorts.String()
}
