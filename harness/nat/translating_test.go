package nat

import (
	"context"
	"testing"

	"snatlab/harness/netnstest"
)

// Rules of iptables and of nftables are found, also behind a jump, each once.
func TestListTranslating(t *testing.T) {
	netnstest.Enter(t)
	for _, command := range []string{
		"iptables -t nat -N CNI", "iptables -t nat -A POSTROUTING -j CNI",
		"iptables -t nat -A CNI -s 198.18.0.0/24 -j MASQUERADE --random-fully",
		"iptables -t nat -A POSTROUTING -s 198.18.1.0/24 -j MASQUERADE",
		"nft add table inet shop", "nft 'add chain inet shop out { type nat hook postrouting priority 100; }'", "nft add chain inet shop more",
		"nft add rule inet shop out jump more", "nft 'add rule inet shop more ip saddr 198.18.2.0/24 counter masquerade'",
		"nft 'add rule inet shop more ip saddr 198.18.3.0/24 masquerade random'",
	} {
		netnstest.Run(t, command)
	}
	rules, unread, err := ListTranslating(context.Background(), true)
	if err != nil || len(unread) > 0 || len(rules) != 4 {
		t.Fatalf("%+v, unread %v, %v", rules, unread, err)
	}
	for i, want := range []TranslatingRule{
		{Place: "POSTROUTING", Text: "-A POSTROUTING -s 198.18.1.0/24 -j MASQUERADE"},
		{Place: "CNI", Text: "-A CNI -s 198.18.0.0/24 -j MASQUERADE --random-fully"},
		{Place: "table inet shop, chain more", Text: "meta nfproto ipv4 ip saddr 198.18.2.0/24 counter masquerade"},
		{Place: "table inet shop, chain more", Text: "meta nfproto ipv4 ip saddr 198.18.3.0/24 masquerade random"},
	} {
		r := rules[i]
		random := i == 1 || i == 3
		if r.Place != want.Place || r.Text != want.Text || (r.Options.Random || r.Options.RandomFully) != random || (r.Packets == nil) != (i == 3) {
			t.Errorf("rule %d: %+v", i+1, r)
		}
	}
}
