package nat

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/nattest"
	"snatlab/harness/netnstest"
)

// Rules of each program and of nftables are found, also behind a jump, each once.
func TestListTranslating(t *testing.T) {
	eachIptables(t, func(t *testing.T, f byIptables) {
		for _, command := range []string{
			f.Path + " -t nat -N CNI", f.Path + " -t nat -A POSTROUTING -j CNI",
			f.Path + f.inFamily(" -t nat -A CNI -s 198.18.0.0/24 -j MASQUERADE --random-fully"),
			f.Path + " -t nat " + f.theirs(1),
			"nft add table inet shop", "nft 'add chain inet shop out { type nat hook postrouting priority 100; }'", "nft add chain inet shop more",
			"nft add rule inet shop out jump more", "nft 'add rule inet shop more ip saddr 198.18.2.0/24 counter masquerade'",
			"nft 'add rule inet shop more ip saddr 198.18.3.0/24 masquerade random'",
		} {
			netnstest.Run(t, command)
		}
		program := fmt.Sprintf("%s (%s)", f.network().IPTables(), f.Variant)
		checkTranslating(t, []TranslatingRule{
			{Program: program, Place: "POSTROUTING", Text: f.theirs(1)},
			{Program: program, Place: "CNI", Text: f.inFamily("-A CNI -s 198.18.0.0/24 -j MASQUERADE --random-fully")},
			{Program: "nftables", Place: "table inet shop, chain more", Text: "meta nfproto ipv4 ip saddr 198.18.2.0/24 counter masquerade"},
			{Program: "nftables", Place: "table inet shop, chain more", Text: "meta nfproto ipv4 ip saddr 198.18.3.0/24 masquerade random"},
		})
	})
}

// checkTranslating compares the rules that ListTranslating returns, and what they say of
// random ports and counters by their texts.
func checkTranslating(t *testing.T, want []TranslatingRule) {
	t.Helper()
	rules, unread, err := ListTranslating(context.Background(), true)
	if err != nil || len(unread) > 0 || len(rules) != len(want) {
		t.Fatalf("%+v, unread %v, %v", rules, unread, err)
	}
	for i, r := range rules {
		random := strings.Contains(r.Text, "random")
		counted := r.Program != "nftables" || strings.Contains(r.Text, " counter ")
		if w := want[i]; r.Program != w.Program || r.Place != w.Place || r.Text != w.Text || (r.Options.Random || r.Options.RandomFully) != random || (r.Packets != nil) != counted {
			t.Errorf("rule %d: %+v, want %+v", i+1, r, want[i])
		}
	}
}

// Rules of all programs are found side by side, IPv4 first.
func TestListTranslatingAll(t *testing.T) {
	nattest.EnterNamespace(t)
	var want []TranslatingRule
	for _, n := range []nattest.Network{nattest.IPv4, nattest.IPv6} {
		for _, variant := range []string{"nft", "legacy"} {
			f := openIptables(t, n.IPTables()+"-"+variant)
			f.add(t, "-A POSTROUTING -j MASQUERADE")
			want = append(want, TranslatingRule{Program: fmt.Sprintf("%s (%s)", n.IPTables(), variant), Place: iptables.Postrouting, Text: "-A POSTROUTING -j MASQUERADE"})
		}
	}
	checkTranslating(t, want)
}

// Rules of a family whose program is not installed are listed as those of nftables. The
// table of the legacy variant is named as one that is not read.
func TestListTranslatingNoProgram(t *testing.T) {
	for _, n := range []nattest.Network{nattest.IPv4, nattest.IPv6} {
		t.Run(n.IPTables(), func(t *testing.T) {
			nattest.EnterNamespace(t)
			for _, variant := range []string{"nft", "legacy"} {
				openIptables(t, n.IPTables()+"-"+variant).add(t, "-A POSTROUTING -j MASQUERADE")
			}
			t.Setenv("PATH", t.TempDir())
			rules, unread, err := ListTranslating(t.Context(), true)
			if place := "table " + n.Family() + " nat, chain POSTROUTING"; err != nil || len(rules) != 1 || rules[0].Program != "nftables" || rules[0].Place != place {
				t.Errorf("%+v, %v, want one in %s", rules, err, place)
			}
			if begin := n.IPTables() + " (legacy): no " + n.IPTables() + " program: "; len(unread) != 1 || !strings.HasPrefix(unread[0], begin) {
				t.Errorf("unread %q", unread)
			}
		})
	}
}
