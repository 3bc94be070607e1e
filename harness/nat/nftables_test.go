package nat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/nftables"
	"snatlab/harness/nat/snat"
	"snatlab/harness/netnstest"
	"snatlab/harness/undo"
)

// nft lists the table as its own program would have written it.
func TestNFTablesRuleset(t *testing.T) {
	eachNFT(t, func(t *testing.T, f byNFT) {
		makeRule(t, f)
		want := map[string]string{"ip": `table ip snatlab {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 198.18.0.0/24 oifname != "snat-c" counter packets 0 bytes 0 masquerade
	}
}
`, "ip6": `table ip6 snatlab {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip6 saddr 2001:2::/64 oifname != "snat-c" counter packets 0 bytes 0 masquerade
	}
}
`}
		if d := cmp.Diff(want[f.of.Family()], netnstest.Run(t, "nft list ruleset")); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

// otherShapes are rules that differ from ours in one respect. The last ones have
// expressions that google/nftables drops when it reads a rule.
var otherShapes = []string{
	`ip saddr 198.18.0.0/24 oifname != "snat-c" masquerade`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" counter`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" counter accept`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" counter masquerade persistent`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" counter masquerade random,fully-random`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" counter snat to 192.0.2.1-192.0.2.5 random,fully-random`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" counter snat prefix to 192.0.2.0/24`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" meta l4proto sctp counter snat to 192.0.2.1:1024-65535`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" tcp dport 80 counter snat to 192.0.2.1:1024-65535`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" meta l4proto tcp counter snat to 192.0.2.1`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" meta l4proto tcp counter masquerade`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" meta l4proto sctp counter masquerade to :1024-65535`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" meta l4proto tcp counter masquerade to :1024-65535 persistent`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" tcp dport 80 counter masquerade to :1024-65535`,
	`meta l4proto tcp ip saddr 198.18.0.0/24 oifname != "snat-c" counter masquerade to :1024-65535`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" counter masquerade comment "ours"`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" ip protocol tcp counter masquerade to :1024-65535`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" meta mark != 1 counter masquerade`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" counter log masquerade`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" counter counter masquerade`,
	`ip saddr 198.18.0.0/24 oifname "snat-c" counter masquerade`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c*" counter masquerade`,
	`ip saddr 198.18.0.0/24 oifname != { "snat-c", "snat-s" } counter masquerade`,
	`ip saddr 198.18.0.0/24 oif != "snat-c" counter masquerade`,
	`ip saddr 198.18.0.0/24 iifname != "snat-c" counter masquerade`,
	`ip saddr != 198.18.0.0/24 oifname != "snat-c" counter masquerade`,
	`ip daddr 198.18.0.0/24 oifname != "snat-c" counter masquerade`,
	`ip saddr 198.18.0.0-198.18.0.99 oifname != "snat-c" counter masquerade`,
	`ip saddr & 255.255.0.255 == 198.18.0.0 oifname != "snat-c" counter masquerade`,
	`oifname != "snat-c" ip saddr 198.18.0.0/24 counter masquerade`,
	`oifname != "snat-c" counter masquerade`,
	`counter masquerade`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" rt classid 5 counter masquerade`,
	`ip saddr 198.18.0.0/24 oifname != "snat-c" ipsec out reqid 1 counter masquerade`,
}

// inIPv6 returns the text of a rule with addresses of IPv6 in place of those of IPv4.
func inIPv6(rule string) string {
	return strings.NewReplacer(
		"198.18.0.0-198.18.0.99", "2001:2::-2001:2::99", "& 255.255.0.255 == 198.18.0.0", "& ffff:ffff:ffff::ff == 2001:2::", "198.18.0.0/24", "2001:2::/64",
		"192.0.2.0/24", "2001:2:0:1::/64", "192.0.2.9/32", "2001:2:0:1::9/128", "192.0.2.1:1024", "[2001:2:0:1::1]:1024", "192.0.2.", "2001:2:0:1::",
		"ip saddr", "ip6 saddr", "ip daddr", "ip6 daddr", "ip protocol", "ip6 nexthdr").Replace(rule)
}

// A rule of another shape is never taken for ours.
func TestOtherShapes(t *testing.T) {
	shapes := map[string]byNFT{}
	for _, shape := range otherShapes {
		shapes[shape] = nft4
		if inIPv6(shape) != shape {
			shapes[inIPv6(shape)] = byNFT{nattest.IPv6}
		}
	}
	for shape, f := range shapes {
		t.Run(shape, func(t *testing.T) {
			nattest.EnterNamespace(t)
			openNFT(t)
			r, j, _ := makeRule(t, f)
			inForce := applyOptions(t, r, j, snat.Options{RandomFully: true})
			f.flush(t)
			f.add(t, shape)
			before := nattest.ListAllRules(t, true)
			rules, err := nftablesBackend{f.of.Subnet}.readRules(t.Context())
			if err != nil || len(rules) != 1 || rules[0] != (rule{text: nftables.OtherShape}) {
				t.Fatalf("read as %v (%v)", rules, err)
			}
			checkGone(t, f, inForce, f.ours(snat.Options{RandomFully: true}))
			if _, err := r.Apply(t.Context(), j, snat.Options{Random: true}); err == nil {
				t.Error("rewritten")
			}
			undoRule(t, inForce)
			nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
		})
	}
}

// deafBackend accepts a rule and does not write it.
type deafBackend struct{ nftablesBackend }

func (deafBackend) replaceRule(context.Context, []rule, rule, rule, snat.Options) error { return nil }

// Apply checks after the rewriting that the rule was written.
func TestApplyChecksResult(t *testing.T) {
	nattest.EnterNamespace(t)
	j, _ := nattest.NewJournal(t, Undoers())
	r, err := MasqueradeNFTables(t.Context(), j, nattest.Subnet, nattest.Bridge)
	if err != nil {
		t.Fatal(err)
	}
	r.backend = deafBackend{}
	_, err = r.Apply(t.Context(), j, snat.Options{Random: true})
	const ours = `ip saddr 198.18.0.0/24 oifname != "snat-c" counter masquerade`
	text := "rewrite masquerade rule " + ours + fmt.Sprintf(": nftables accepted the rule, but table ip snatlab now holds %q", []string{ours})
	if err == nil || err.Error() != text {
		t.Errorf("error %v\nwant  %s", err, text)
	}
}

// If another program deleted the table, nothing is left to undo.
func TestUndoTableGone(t *testing.T) {
	nattest.EnterNamespace(t)
	f := openNFT(t)
	r, j, _ := makeRule(t, f)
	inForce := applyOptions(t, r, j, snat.Options{RandomFully: true})
	netnstest.Run(t, "nft delete table ip snatlab")
	checkGone(t, f, inForce, f.ours(snat.Options{RandomFully: true}))
	undoRule(t, inForce)
	nattest.CloseJournal(t, j)
	if left := nattest.ListAllRules(t, true); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

// nftables needs no program.
func TestNFTablesNoProgram(t *testing.T) {
	nattest.EnterNamespace(t)
	t.Setenv("PATH", t.TempDir())
	j, path := nattest.NewJournal(t, Undoers())
	r, err := MasqueradeNFTables(t.Context(), j, nattest.Subnet, nattest.Bridge)
	if err != nil {
		t.Fatal(err)
	}
	inForce := applyOptions(t, r, j, snat.Options{Random: true})
	checkPackets(t, inForce, 0)
	undoRule(t, inForce)
	applyOptions(t, r, j, snat.Options{RandomFully: true})
	replayCopy(t, path)
	nattest.CloseJournal(t, j)
}

// The steps of nftables name what was made and the commands that undo it by
// hand.
func TestNFTablesSteps(t *testing.T) {
	eachNFT(t, func(t *testing.T, f byNFT) {
		r, j, _ := makeRule(t, f)
		applyOptions(t, r, j, snat.Options{RandomFully: true})
		family, ours := f.of.Family(), f.ours(snat.Options{})
		want := []undo.Step{
			undo.NewStep("nat.nftables-rewrite", "masquerade rule "+ours+" fully-random",
				fmt.Sprintf("nft 'flush chain %[1]s snatlab postrouting; add rule %[1]s snatlab postrouting %[2]s'", family, ours),
				nftablesRewrite{Original: ours, Rewritten: ours + " fully-random"}),
			undo.NewStep("nat.nftables", "nftables table "+family+" snatlab", "nft delete table "+family+" snatlab",
				struct{}{}),
		}
		if f.of == nattest.IPv6 {
			want[1].Args = []byte(`{"family":"ip6"}`)
		}
		if d := cmp.Diff(want, j.Steps()); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		netnstest.Run(t, want[0].Manual)
		checkRules(t, f, ours)
		netnstest.Run(t, want[1].Manual)
		nattest.CloseJournal(t, j)
	})
}

// A rule that nftables cannot hold is refused before anything is made.
func TestNFTablesRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ network, name, want string }{
		{"::ffff:198.18.0.0/120", "snat-c", "::ffff:198.18.0.0/120 with nftables: not a network of IPv4 or IPv6"},
		{"2001:db8::/64", "snat*", `2001:db8::/64 with nftables: "snat*" is not the name of a bridge`},
		{"198.18.0.0/24", "", `198.18.0.0/24 with nftables: "" is not the name of a bridge`},
		{"198.18.0.0/24", "a-name-of-16-chr", `198.18.0.0/24 with nftables: "a-name-of-16-chr" is not the name of a bridge`},
		{"198.18.0.0/24", "snat*", `198.18.0.0/24 with nftables: "snat*" is not the name of a bridge`},
	} {
		j, path := nattest.NewJournal(t, Undoers())
		header := nattest.ReadFile(t, path)
		_, err := MasqueradeNFTables(t.Context(), j, netip.MustParsePrefix(c.network), c.name)
		if want := "make masquerade rule of " + c.want; err == nil || err.Error() != want {
			t.Errorf("error %v\nwant  %s", err, want)
		}
		if nattest.ReadFile(t, path) != header {
			t.Errorf("journal reads\n%s", nattest.ReadFile(t, path))
		}
	}
}

// Rules in both families stand side by side, each in its own table.
func TestNFTablesBothFamilies(t *testing.T) {
	nattest.EnterNamespace(t)
	openNFT(t)
	j, path := nattest.NewJournal(t, Undoers())
	for _, n := range []nattest.Network{nattest.IPv4, nattest.IPv6} {
		f := byNFT{n}
		r, err := f.masquerade(t.Context(), j)
		if err != nil {
			t.Fatal(err)
		}
		insertControl(t, r, j)
		applyOptions(t, r, j, someConnections)
	}
	for _, n := range []nattest.Network{nattest.IPv4, nattest.IPv6} {
		f := byNFT{n}
		checkRules(t, f, f.control(), f.drawing(), f.ours(snat.Options{}))
	}
	replayCopy(t, path)
	nattest.CheckNoTables(t)
	nattest.CloseJournal(t, j)
}

// A step whose rules mix the families is refused.
func TestForgedFamily(t *testing.T) {
	eachNFT(t, func(t *testing.T, f byNFT) {
		other := byNFT{f.of.Other()}
		_, _, foreign := f.of.Other().Ranges()
		mixed := strings.Replace(f.ours(snat.Options{}), f.of.Subnet.String(), other.of.Subnet.String(), 1)
		for _, s := range []nftablesRewrite{
			{Original: f.ours(snat.Options{}), Rewritten: other.ours(snat.Options{Random: true})},
			{Original: f.ours(snat.Options{}), Rewritten: strings.Replace(other.ours(snat.Options{ToSource: foreign}), other.start(), f.start(), 1)},
			{Original: mixed, Rewritten: mixed + " random"},
		} {
			args, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			if err := Undoers()[nftablesRewriteKind](t.Context(), args); !errors.Is(err, errForm) {
				t.Errorf("%+v: error %v", s, err)
			}
		}
		control := strings.Replace(f.control(), f.of.ServerAddress.String(), other.of.ServerAddress.String(), 1)
		for kind, text := range map[string]string{"nat.nftables-control": control, "nat.nftables-drawing": strings.Replace(f.drawing(), f.of.Subnet.String(), other.of.Subnet.String(), 1)} {
			args, err := json.Marshal(map[string]string{"rule": text})
			if err != nil {
				t.Fatal(err)
			}
			checkForgedStep(t, kind, string(args), text)
		}
		nattest.CheckNoTables(t)
	})
}
