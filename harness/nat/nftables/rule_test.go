package nftables

import (
	"net/netip"
	"slices"
	"testing"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/netnstest"
)

// The text is the same whether nft or snatlab wrote the rule.
func TestRuleText(t *testing.T) {
	nattest.EnterNamespace(t)
	nattest.RequireNFT(t)
	var rules []MasqueradeRule
	for _, o := range nattest.Rewritings {
		rules = append(rules, MasqueradeRule{Subnet: nattest.Subnet, Bridge: nattest.Bridge, Options: o})
	}
	for _, network := range []string{
		"198.18.0.0/24", "198.18.0.0/16", "10.0.0.0/8", "198.18.0.1/32", "0.0.0.0/0", "128.0.0.0/1", "198.16.0.0/13", "198.18.0.0/17",
		"198.18.0.128/25", "198.18.0.4/31", "0.0.0.0/8",
	} {
		rules = append(rules, MasqueradeRule{Subnet: netip.MustParsePrefix(network), Bridge: nattest.Bridge})
	}
	for _, name := range []string{"b", "br-0123456789ab", "veth.1@x"} {
		rules = append(rules, MasqueradeRule{Subnet: nattest.Subnet, Bridge: name})
	}
	for _, ours := range rules {
		if err := writeTable(t.Context(), ours); err != nil {
			t.Fatalf("%s: %v", ours.Text(), err)
		}
		netnstest.Run(t, "nft 'add rule ip snatlab postrouting "+ours.Text()+"'")
		want := []string{ours.Text(), ours.Text()}
		if got := nattest.ListMasqueradeTable(t, "-s"); !slices.Equal(got, want) {
			t.Errorf("nft prints %q, want %q", got, want)
		}
		if got, err := ListRules(t.Context()); err != nil || !slices.Equal(listedTexts(got), want) {
			t.Errorf("read as %v (%v), want %v", got, err, want)
		}
		netnstest.Run(t, "nft delete table ip snatlab")
	}
}
