package nat

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
)

// FindRule returns the rule of the network among other rules.
func TestFindRule(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables variant) {
		tables.addRules(t, ours+" --random", ours+" --random-fully")
		tables.addBusy(t)
		before := tables.listCounted(t)
		r := findOurs(t, tables)
		if r.Text != "-A POSTROUTING "+ours || r.IPTables() != tables.Program {
			t.Errorf("%q in %v", r.Text, r.IPTables())
		}
		tables.checkUnchanged(t, before)

		for want, n := range map[string]struct{ subnet, bridge string }{
			"-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE": {"172.17.0.0/16", "docker0"},
			"-A POSTROUTING -s 198.18.0.0/24 ! -o snat-s -j MASQUERADE":  {"198.18.0.0/24", "snat-s"},
			"-A POSTROUTING -s 198.18.1.0/24 ! -o snat-c -j MASQUERADE":  {"198.18.1.0/24", "snat-c"},
		} {
			r, err := FindRule(t.Context(), programs(tables), netip.MustParsePrefix(n.subnet), n.bridge)
			if err != nil || r.Text != want {
				t.Errorf("%v: %v, %v", n, r, err)
			}
		}
	})
}

// FindRule returns the rule of the network in the family of the programs.
func TestFindRuleFamily(t *testing.T) {
	eachIptables(t, func(t *testing.T, f byIptables) {
		for _, rule := range []string{f.theirs(1), f.ours(snat.Options{Random: true}), f.ours(snat.Options{})} {
			f.add(t, rule)
		}
		r, err := FindRule(t.Context(), programs(f.variant), f.network().Subnet, nattest.Bridge)
		if err != nil || r.Text != f.ours(snat.Options{}) || r.IPTables() != f.Program {
			t.Errorf("%v, %v", r, err)
		}
		_, err = FindRule(t.Context(), programs(f.variant), f.network().Other().Subnet, nattest.Bridge)
		if missing, ok := errors.AsType[*NoRuleError](err); !ok || missing.HasRule() {
			t.Errorf("of the other family: error %v", err)
		}
	})
}

// The error for a rule with a fixed address names Docker's option of its family.
func TestFixedAddress(t *testing.T) {
	eachIptables(t, func(t *testing.T, f byIptables) {
		one, _, _ := f.network().Ranges()
		f.add(t, f.ours(snat.Options{ToSource: one}))
		_, err := FindRule(t.Context(), programs(f.variant), f.network().Subnet, nattest.Bridge)
		option := map[string]string{"ip": "com.docker.network.host_ipv4", "ip6": "com.docker.network.host_ipv6"}[f.network().Family()]
		want := fmt.Sprintf("the rule of %v cannot be rewritten: expected %q; rule 1 of POSTROUTING (%s) is %q: it translates to a fixed address, as Docker does for the network option %s",
			f.network().Subnet, f.ours(snat.Options{}), f.Variant, f.ours(snat.Options{ToSource: one}), option)
		if err == nil || err.Error() != want {
			t.Errorf("error %v\nwant  %s", err, want)
		}
	})
}

// FindRule does not return a rule that only resembles that of the network.
func TestFindRuleSimilar(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables variant) {
		tables.addRules(t, nattest.ForeignRules...)
		if r, err := FindRule(t.Context(), programs(tables), nattest.Subnet, nattest.Bridge); err == nil {
			t.Errorf("found %q", r.Text)
		}
	})
}

// The error lists the rules that FindRule found instead.
func TestNoRuleError(t *testing.T) {
	const none = "no masquerade rule of 198.18.0.0/24: expected -A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -j MASQUERADE in table nat; found "
	const other = `the rule of 198.18.0.0/24 cannot be rewritten: expected "-A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -j MASQUERADE"; rule 3 of POSTROUTING (VARIANT) is "-A POSTROUTING -s 198.18.0.0/24 ! -o snat-c `
	for name, c := range map[string]struct {
		rules   []string
		want    string
		hasRule bool
	}{
		"nothing":         {nil, none + "no rule at all", false},
		"other networks":  {[]string{"-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE"}, none + "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE (VARIANT)", false},
		"not that subnet": {[]string{"! -s 198.18.0.0/24 -j MASQUERADE"}, none + "-A POSTROUTING ! -s 198.18.0.0/24 -j MASQUERADE (VARIANT)", false},
		"no translation":  {[]string{"-s 198.18.0.0/24 -j RETURN"}, none + "-A POSTROUTING -s 198.18.0.0/24 -j RETURN (VARIANT)", false},
		"a fixed address": {addThird("-j SNAT --to-source 192.0.2.1"), other + `-j SNAT --to-source 192.0.2.1": ` +
			"it translates to a fixed address, as Docker does for the network option com.docker.network.host_ipv4", true},
		"options already": {addThird("-j MASQUERADE --random-fully"), other + `-j MASQUERADE --random-fully": ` +
			"it has options already", true},
		"left by a run": {addThird("-m comment --comment snatlab-20260102-030405-abcdef -j MASQUERADE --random"), other + `-j MASQUERADE --random", ` +
			"which run 20260102-030405-abcdef of snatlab left: run `snatlab cleanup`, and if that leaves it, put the plain rule in its place", true},
		"another condition": {addThird("-m mark --mark 0x1 -j MASQUERADE"), other + `-m mark --mark 0x1 -j MASQUERADE": it has other conditions than Docker's`, true},
		"another program's": {addThird("-j LOG"), other + `-j LOG": it does not masquerade`, true},
	} {
		t.Run(name, func(t *testing.T) {
			eachVariant(t, func(t *testing.T, tables variant) {
				tables.addRules(t, c.rules...)
				_, err := FindRule(t.Context(), programs(tables), nattest.Subnet, nattest.Bridge)
				missing, ok := errors.AsType[*NoRuleError](err)
				if want := strings.ReplaceAll(c.want, "VARIANT", tables.Variant); !ok || err.Error() != want || missing.HasRule() != c.hasRule {
					t.Errorf("error %v\nwant  %s", err, want)
				}
			})
		})
	}
	if _, err := FindRule(t.Context(), nil, nattest.Subnet, nattest.Bridge); err == nil || err.Error() != none+"no rule at all" {
		t.Errorf("no variant: error %v", err)
	}
}

// addThird returns a rule of our network after two rules of other networks.
func addThird(end string) []string {
	return []string{"-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE", "-s 172.18.0.0/16 -j RETURN", "-s 198.18.0.0/24 ! -o snat-c " + end}
}

// FindRule looks into each variant.
func TestFindRuleVariants(t *testing.T) {
	for i, name := range []string{"nft", "legacy"} {
		t.Run("the rule is in "+name, func(t *testing.T) {
			nattest.EnterNamespace(t)
			both := []variant{openVariant(t, "nft"), openVariant(t, "legacy")}
			both[i].addRules(t, ours)
			both[1-i].addRules(t, ours+" --random")
			for _, variants := range [][]variant{both, {both[1], both[0]}} {
				if r := findOurs(t, variants...); r.IPTables() != both[i].Program {
					t.Errorf("found in %s", r.IPTables().Variant)
				}
			}
			_, err := FindRule(t.Context(), programs(both...), netip.MustParsePrefix("10.0.0.0/8"), nattest.Bridge)
			for _, t2 := range both {
				if err == nil || !strings.Contains(err.Error(), "("+t2.Variant+")") {
					t.Errorf("error %v does not list the rules of %s", err, t2.Variant)
				}
			}
		})
	}
}

// FindRule ends with its context.
func TestFindRuleCancelled(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables variant) {
		tables.addRules(t, ours)
		stop := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(stop)
		if _, err := FindRule(ctx, programs(tables), nattest.Subnet, nattest.Bridge); !errors.Is(err, stop) {
			t.Errorf("error %v, want %v", err, stop)
		}
	})
}
