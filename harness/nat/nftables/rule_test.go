package nftables

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
	"snatlab/harness/netnstest"
)

// The text is the same whether nft or snatlab wrote the rule.
func TestRuleText(t *testing.T) {
	nattest.EnterNamespace(t)
	nattest.RequireNFT(t)
	var rules []MasqueradeRule
	for _, n := range []nattest.Network{nattest.IPv4, nattest.IPv6} {
		for _, o := range append(n.Rewritings(), snat.Options{RandomFully: true, PerMillion: 1000}) {
			rules = append(rules, MasqueradeRule{Subnet: n.Subnet, Bridge: nattest.Bridge, Options: o})
		}
		for _, server := range []netip.Prefix{snat.ServerAt(n.ServerAddress), n.Out} {
			rules = append(rules, MasqueradeRule{Subnet: n.Subnet, Bridge: nattest.Bridge, Server: server, Ports: nattest.TenPorts})
		}
	}
	for _, network := range []string{
		"198.18.0.0/24", "198.18.0.0/16", "10.0.0.0/8", "198.18.0.1/32", "0.0.0.0/0", "128.0.0.0/1", "198.16.0.0/13", "198.18.0.0/17",
		"198.18.0.128/25", "198.18.0.4/31", "0.0.0.0/8",
		"2001:2::/64", "2001:2::/48", "2001:2::/40", "2001::/16", "2001:2::1/128", "::/0", "8000::/1", "2001:2:8000::/33", "2001:2::/61", "2001:2::4/127", "::/8",
		"::1/128", "fe80::/10",
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
		netnstest.Run(t, "nft 'add rule "+ours.table().FamilyName()+" snatlab postrouting "+ours.Text()+"'")
		want := []string{ours.Text(), ours.Text()}
		if got := nattest.NetworkOf(ours.Subnet.Addr()).ListMasqueradeTable(t, "-s"); !slices.Equal(got, want) {
			t.Errorf("nft prints %q, want %q", got, want)
		}
		if got, err := ListRules(t.Context(), ours.Subnet); err != nil || !slices.Equal(listedTexts(got), want) {
			t.Errorf("read as %v (%v), want %v", got, err, want)
		}
		netnstest.Run(t, "nft delete "+ours.table().String())
	}
}

// Every text of a rule is parsed as that rule, and a text that is not to the letter that
// of a rule is refused.
func TestParseRule(t *testing.T) {
	t.Parallel()
	for _, n := range []nattest.Network{nattest.IPv4, nattest.IPv6} {
		plain := MasqueradeRule{Subnet: n.Subnet, Bridge: nattest.Bridge}
		control := MasqueradeRule{Subnet: n.Subnet, Bridge: nattest.Bridge, Server: snat.ServerAt(n.ServerAddress), UDP: true, Ports: nattest.TenPorts}
		for _, r := range []MasqueradeRule{plain, control} {
			if got, ok := ParseRule(r.Text()); !ok || got != r {
				t.Errorf("%s is parsed as %+v, %v", r.Text(), got, ok)
			}
			if got := tableOf(r.Text()); got != r.table() || got != TableFor(n.Subnet) {
				t.Errorf("%s stands in %v", r.Text(), got)
			}
		}
		for _, o := range n.Options() {
			r := plain
			r.Options = o
			if got := ParseStatement(strings.TrimPrefix(r.Text(), r.Match())); got != o {
				t.Errorf("%s is parsed as %+v", r.Text(), got)
			}
		}
		drawing, block := plain, plain
		drawing.Options = snat.Options{RandomFully: true, PerMillion: 1000}
		block.Subnet = snat.ServerAt(n.ClientAddress)
		block.Options.ToSource, _, _ = n.Ranges()
		block.Options.ToPorts = nattest.TenPorts
		for _, r := range []MasqueradeRule{drawing, block} {
			if got, ok := parsePart(r.Text()); !ok || got != r {
				t.Errorf("%s is parsed as %+v, %v", r.Text(), got, ok)
			}
		}
		for _, change := range [][2]string{
			{"saddr", "daddr"}, {"/", "/0"}, {n.Family() + " saddr", n.Other().Family() + " saddr"}, {n.Family() + " saddr", "inet saddr"},
			{n.Subnet.String(), n.Other().Subnet.String()}, {n.Subnet.String(), netip.PrefixFrom(n.ClientAddress, n.Subnet.Bits()).String()},
			{n.Subnet.String(), "::ffff:198.18.0.0/120"}, {n.Subnet.String(), "fe80::%1"}, {n.Subnet.String(), "2001:0002::/64"},
			{n.Family() + " daddr", n.Other().Family() + " daddr"}, {n.ServerAddress.String(), n.Other().ServerAddress.String()},
		} {
			for _, r := range []MasqueradeRule{plain, control} {
				text := strings.Replace(r.Text(), change[0], change[1], 1)
				if got, ok := ParseRule(text); ok && text != r.Text() {
					t.Errorf("%s is parsed as %+v", text, got)
				}
			}
		}
	}
}
