package nat

import (
	"context"
	"fmt"
	"net/netip"
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
	nattest.EnterNamespace(t)
	f := openNFT(t)
	makeRule(t, f)
	const want = `table ip snatlab {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 198.18.0.0/24 oifname != "snat-c" counter packets 0 bytes 0 masquerade
	}
}
`
	if d := cmp.Diff(want, netnstest.Run(t, "nft list ruleset")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
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

// A rule of another shape is never taken for ours.
func TestOtherShapes(t *testing.T) {
	for _, shape := range otherShapes {
		t.Run(shape, func(t *testing.T) {
			nattest.EnterNamespace(t)
			f := openNFT(t)
			r, j, _ := makeRule(t, f)
			inForce := applyOptions(t, r, j, snat.Options{RandomFully: true})
			f.flush(t)
			f.add(t, shape)
			before := nattest.ListAllRules(t, true)
			rules, err := nftablesBackend{}.readRules(t.Context())
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
	nattest.EnterNamespace(t)
	f := openNFT(t)
	r, j, _ := makeRule(t, f)
	applyOptions(t, r, j, snat.Options{RandomFully: true})
	const ours = `ip saddr 198.18.0.0/24 oifname != "snat-c" counter masquerade`
	want := []undo.Step{
		undo.NewStep("nat.nftables-rewrite", "masquerade rule "+ours+" fully-random",
			"nft 'flush chain ip snatlab postrouting; add rule ip snatlab postrouting "+ours+"'",
			nftablesRewrite{Original: ours, Rewritten: ours + " fully-random"}),
		undo.NewStep("nat.nftables", "nftables table ip snatlab", "nft delete table ip snatlab", struct{}{}),
	}
	if d := cmp.Diff(want, j.Steps()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	netnstest.Run(t, want[0].Manual)
	checkRules(t, f, ours)
	netnstest.Run(t, want[1].Manual)
	nattest.CloseJournal(t, j)
}

// A rule that nftables cannot hold is refused before anything is made.
func TestNFTablesRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ network, name, want string }{
		{"::ffff:198.18.0.0/120", "snat-c", "::ffff:198.18.0.0/120 with nftables: not an IPv4 network"},
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
