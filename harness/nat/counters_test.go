package nat

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/netnstest"

	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
)

// formatCounters returns one line for each counter, without the handles.
func formatCounters(all RuleCounters) (lines []string) {
	for _, c := range all.Rules {
		text := c.Rule
		if _, rest, ok := strings.Cut(text, ", "); ok && strings.HasPrefix(text, "handle ") {
			text = rest
		} else if strings.HasPrefix(text, "handle ") {
			text = "handle N"
		}
		lines = append(lines, fmt.Sprintf("%s %d: %s %d", c.Place, c.At, text, c.Packets))
	}
	slices.Sort(lines) // variants come in an order of their own
	return lines
}

func TestReadCounters(t *testing.T) {
	t.Run("all_rules_but_ours", func(t *testing.T) {
		eachFirewall(t, func(t *testing.T, f firewall) {
			if _, ok := f.(byNFT); !ok {
				openNFT(t)
			}
			r, j := makeUnmarked(t, f)
			addTheirs(t)
			netnstest.Run(t, `nft -f - <<'END'
table inet shop {
	chain nat {
		type nat hook postrouting priority srcnat - 1
		counter packets 5 bytes 300 masquerade comment "theirs"
		masquerade
	}
	chain in {
		type nat hook prerouting priority dstnat
		counter packets 9 bytes 9
	}
	chain plain {
		counter packets 9 bytes 9
	}
}
END`)
			before := nattest.ListAllRules(t, true)
			inForce := applyOptions(t, r, j, snat.Options{RandomFully: true})
			got := formatCounters(inForce.ReadCounters(t.Context()))
			undoRule(t, inForce)
			want := []string{`nftables, table inet shop, chain nat 1: comment "theirs" 5`}
			unread := []string{"nftables, table inet shop, chain nat: rules without a counter: 1 of 2"}
			for _, variant := range listVariants(t, f.network()) {
				at := 1
				if tables := r.IPTables(); tables != nil && tables.Variant == variant {
					at = 2
				}
				switch {
				case r.IPTables() != nil:
					want = append(want, fmt.Sprintf("POSTROUTING (%s) %d: %q %d", variant, at, theirIptables(f.network(), 1), theirPackets(f.network(), variant)))
				case variant == "nft": // as a rule of nftables
					want = append(want, fmt.Sprintf("nftables, table %s nat, chain POSTROUTING 1: handle N %d", f.network().Family(), theirPackets(f.network(), variant)))
				default:
					unread = append([]string{"the table nat of " + f.network().IPTables() + "-legacy"}, unread...)
				}
			}
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if got := inForce.ReadCounters(t.Context()).Unread; !slices.Equal(got, unread) {
				t.Errorf("unread %q, want %q", got, unread)
			}
			if after := nattest.ListAllRules(t, false); len(after) != len(before) {
				t.Errorf("the rules were\n%q\nand are\n%q", before, after)
			}
		})
	})
	t.Run("a_rule_that_takes_connections_moves", func(t *testing.T) {
		eachFirewall(t, func(t *testing.T, f firewall) {
			openNFT(t)
			r, j := makeUnmarked(t, f)
			inForce := applyOptions(t, r, j, snat.Options{Random: true})
			family, subnet := f.network().Family(), f.network().Subnet
			netnstest.Run(t, fmt.Sprintf(`nft 'table %[1]s shop { chain nat { type nat hook postrouting priority srcnat - 1; %[1]s saddr %[2]v counter masquerade; }; }'`, family, subnet))
			f.network().SendUDP(t, 4)
			if got := formatCounters(inForce.ReadCounters(t.Context())); len(got) != 1 || !strings.HasPrefix(got[0], "nftables, table "+family+" shop, chain nat 1: handle ") || !strings.HasSuffix(got[0], " 4") {
				t.Errorf("got %q", got)
			}
			checkPackets(t, inForce, 0)
		})
	})
	t.Run("a_chain_that_iptables_cannot_list", func(t *testing.T) {
		for _, n := range []nattest.Network{nattest.IPv4, nattest.IPv6} {
			t.Run(n.Family(), func(t *testing.T) {
				nattest.EnterNamespace(t)
				openNFT(t)
				program := n.IPTables() + "-nft"
				r, j := makeUnmarked(t, openIptables(t, program))
				inForce := applyOptions(t, r, j, snat.Options{})
				netnstest.Run(t, "nft add rule "+n.Family()+" nat POSTROUTING counter packets 3 bytes 9 masquerade random,persistent")
				all := inForce.ReadCounters(t.Context())
				if got := formatCounters(all); !slices.Contains(got, "nftables, table "+n.Family()+" nat, chain POSTROUTING 2: handle N 3") {
					t.Errorf("got %q", got)
				}
				if len(all.Unread) != 1 || !strings.HasPrefix(all.Unread[0], "list POSTROUTING of table nat with "+program+": ") || strings.HasSuffix(all.Unread[0], "\n") {
					t.Errorf("unread %q", all.Unread)
				}
			})
		}
	})
	t.Run("a_rule_of_nftables_needs_no_program", func(t *testing.T) {
		eachNFT(t, func(t *testing.T, f byNFT) {
			r, j := makeUnmarked(t, f)
			packets := theirPackets(f.of, "nft")
			netnstest.Run(t, fmt.Sprintf("%s-nft -t nat -A POSTROUTING -c %d 420 -j RETURN", f.of.IPTables(), packets))
			t.Setenv("PATH", t.TempDir())
			all := applyOptions(t, r, j, snat.Options{}).ReadCounters(t.Context())
			want := fmt.Sprintf("nftables, table %s nat, chain POSTROUTING 1: handle N %d", f.of.Family(), packets)
			if got := formatCounters(all); !slices.Equal(got, []string{want}) || all.Unread != nil {
				t.Errorf("got %q, unread %q", got, all.Unread)
			}
		})
	})
}

// addTheirs adds a rule of another program to each variant of iptables and of ip6tables.
func addTheirs(t *testing.T) {
	t.Helper()
	for _, n := range []nattest.Network{nattest.IPv4, nattest.IPv6} {
		for _, variant := range []string{"nft", "legacy"} {
			rule := theirIptables(n, 1)
			if theirPackets(n, variant) > 0 {
				rule = strings.Replace(rule, " -s", " -c 7 420 -s", 1)
			}
			netnstest.Run(t, n.IPTables()+"-"+variant+" -t nat "+rule+" || :")
		}
	}
}

// theirPackets returns the counter of that rule. ip6tables-nft does not write any (1.8.9).
func theirPackets(n nattest.Network, variant string) int {
	if n == nattest.IPv6 && variant == "nft" {
		return 0
	}
	return 7
}

func listVariants(t *testing.T, n nattest.Network) (names []string) {
	t.Helper()
	all, err := iptables.FindInstalled(iptables.FamilyOf(n.Subnet.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		names = append(names, v.Variant)
	}
	return names
}
