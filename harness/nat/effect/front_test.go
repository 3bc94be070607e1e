package effect

import (
	"strings"
	"testing"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/netnstest"
)

// The rules of netavark, as Podman 4.3.1 (netavark 1.4, iptables) and 5.4.2 (netavark 1.14,
// nftables) wrote them for two networks with a container on each.
const (
	netavarkIPTables = `iptables -t nat -N NETAVARK-45F0013B83FF8
		iptables -t nat -N NETAVARK-8D2CDB41E5FF0
		iptables -t nat -N NETAVARK-HOSTPORT-DNAT
		iptables -t nat -N NETAVARK-HOSTPORT-MASQ
		iptables -t nat -N NETAVARK-HOSTPORT-SETMARK
		iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT
		iptables -t nat -A OUTPUT -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT
		iptables -t nat -A POSTROUTING -j NETAVARK-HOSTPORT-MASQ
		iptables -t nat -A POSTROUTING -s 198.18.0.0/24 -j NETAVARK-8D2CDB41E5FF0
		iptables -t nat -A POSTROUTING -s 10.89.0.0/24 -j NETAVARK-45F0013B83FF8
		iptables -t nat -A NETAVARK-45F0013B83FF8 -d 10.89.0.0/24 -j ACCEPT
		iptables -t nat -A NETAVARK-45F0013B83FF8 ! -d 224.0.0.0/4 -j MASQUERADE
		iptables -t nat -A NETAVARK-8D2CDB41E5FF0 -d 198.18.0.0/24 -j ACCEPT
		iptables -t nat -A NETAVARK-8D2CDB41E5FF0 ! -d 224.0.0.0/4 -j MASQUERADE
		iptables -t nat -A NETAVARK-HOSTPORT-MASQ -m comment --comment "netavark portfw masq mark" -m mark --mark 0x2000/0x2000 -j MASQUERADE
		iptables -t nat -A NETAVARK-HOSTPORT-SETMARK -j MARK --set-xmark 0x2000/0x2000`
	netavarkNFTables = `nft -f - <<'END'
table inet netavark {
	chain NETAVARK-HOSTPORT-DNAT {
	}
	chain NETAVARK-HOSTPORT-SETMARK {
		meta mark set meta mark | 0x00002000
	}
	chain nv_3ba92660_198_18_0_0_nm24 {
		ip daddr 198.18.0.0/24 accept
		ip daddr != 224.0.0.0/4 masquerade
	}
	chain nv_b1c52de1_10_89_0_0_nm24 {
		ip daddr 10.89.0.0/24 accept
		ip daddr != 224.0.0.0/4 masquerade
	}
	chain nv_b1c52de1_fd00-1--_nm64 {
		ip6 daddr fd00:1::/64 accept
		ip6 daddr != ::/8 masquerade
	}
	chain POSTROUTING {
		type nat hook postrouting priority srcnat; policy accept;
		meta mark & 0x00002000 == 0x00002000 masquerade
		ip saddr 198.18.0.0/24 jump nv_3ba92660_198_18_0_0_nm24
		ip saddr 10.89.0.0/24 jump nv_b1c52de1_10_89_0_0_nm24
		ip6 saddr fd00:1::/64 jump nv_b1c52de1_fd00-1--_nm64
	}
	chain OUTPUT {
		type nat hook output priority -100; policy accept;
		fib daddr type local jump NETAVARK-HOSTPORT-DNAT
	}
}
END`
)

// podmansShapes are the rules of netavark. An arm's rule stands in a table of snatlab's own.
var podmansShapes = []shape{
	{
		name: "netavark_with_iptables", podmans: true,
		script:  strings.ReplaceAll(netavarkIPTables, "iptables ", "iptables-nft "),
		program: "iptables (nft)", place: "NETAVARK-8D2CDB41E5FF0", counted: true,
		text:   "-A NETAVARK-8D2CDB41E5FF0 ! -d 224.0.0.0/4 -j MASQUERADE",
		before: toNFTables, action: nftablesAction,
	},
	{
		name: "netavark_with_iptables-legacy", podmans: true,
		script:  strings.ReplaceAll(netavarkIPTables, "iptables ", "iptables-legacy "),
		program: "iptables (legacy)", place: "NETAVARK-8D2CDB41E5FF0", counted: true,
		text:   "-A NETAVARK-8D2CDB41E5FF0 ! -d 224.0.0.0/4 -j MASQUERADE",
		before: toNFTables, action: nftablesAction,
	},
	{
		name: "netavark_with_nftables", podmans: true,
		script:  netavarkNFTables,
		program: "nftables", place: "table inet netavark, chain nv_3ba92660_198_18_0_0_nm24",
		text:   "meta nfproto ipv4 ip daddr != 224.0.0.0/4 masquerade",
		before: toNFTables, action: nftablesAction,
	},
}

// A rule that another program put in front of Podman's is found instead of it, with a
// counter or without one.
func TestRuleInFrontOfPodmans(t *testing.T) {
	for name, counter := range map[string]string{"with_a_counter": "counter ", "without_a_counter": ""} {
		t.Run(name, func(t *testing.T) {
			nattest.EnterNamespace(t)
			nattest.RequireNFT(t)
			netnstest.Run(t, "set -e\n"+netavarkNFTables)
			netnstest.Run(t, `nft 'add table ip shop; add chain ip shop post { type nat hook postrouting priority 90; }; add rule ip shop post ip saddr 198.18.0.0/16 `+counter+`masquerade'`)
			before, j := listRules(t), newJournal(t)
			r := findRules(t, j)
			if got := r.Found[0].Rule.Place; got != "table ip shop, chain post" {
				t.Errorf("found a rule in %s", got)
			}
			nattest.CheckUnchanged(t, before, listRules(t))
		})
	}
}

// An existing table of the name belongs to another program, and stays.
func TestFrontTableTaken(t *testing.T) {
	nattest.EnterNamespace(t)
	nattest.RequireNFT(t)
	netnstest.Run(t, "set -e\n"+netavarkNFTables)
	j := newJournal(t)
	name := j.RunID()
	if name != "" {
		name = "-" + name[max(0, len(name)-6):]
	}
	name = frontName + name
	netnstest.Run(t, "nft add table ip "+name)
	before := listRules(t)
	_, err := Find(t.Context(), j, client(t))
	if want := "table ip " + name + " exists already (if no program uses it: nft delete table ip " + name + ")"; err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	nattest.CloseJournal(t, j)
	nattest.CheckUnchanged(t, before, listRules(t))
}

// A journal that snatlab did not write deletes no table of another program.
func TestForgedFrontStep(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "netavark", "snatlab-frontier", "snatlab-front-1234567", "snatlab-front-a b"} {
		want := `"` + name + `" is not the name of a table of snatlab's; its step is not undone`
		if err := (frontStep{name}).deleteTable(t.Context()); err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

// Chains of netavark for other networks are known by their names.
func TestIsForOthers(t *testing.T) {
	t.Parallel()
	for chain, want := range map[string]bool{
		"nv_3ba92660_198_18_0_0_nm24": false, "nv_3ba92660_198_18_0_0_nm15": false, "nv_3ba92660_198_18_1_0_nm24": true,
		"nv_b1c52de1_fd00-1--_nm64": true, "nv_3ba92660_198_18_0_999_nm24": true, "POSTROUTING": true,
	} {
		if got := (Rule{at: podmansPlace(chain)}).isForOthers(nattest.ClientAddress); got != want {
			t.Errorf("%s: %v", chain, got)
		}
	}
	if (Rule{at: place{chain: "NETAVARK-8D2CDB41E5FF0"}}).isForOthers(nattest.ClientAddress) {
		t.Error("a rule of iptables, which has a counter")
	}
}

func podmansPlace(chain string) (p place) {
	p.table.Name, p.chain = podmansTable, chain
	return p
}
