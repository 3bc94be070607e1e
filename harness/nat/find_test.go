package nat

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestFindPicksTheRuleOfTheNetworkAmongOthers(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables *Tables) {
		tables.rules(t, ours+" --random", ours+" --random-fully")
		tables.busy(t)
		before := tables.listing(t)
		r := find(t, tables)
		if r.Text != "-A POSTROUTING "+ours || r.Tables() != tables {
			t.Errorf("%q in %v", r.Text, r.Tables())
		}
		tables.unchanged(t, before)

		for want, n := range map[string]struct{ subnet, bridge string }{
			"-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE": {"172.17.0.0/16", "docker0"},
			"-A POSTROUTING -s 198.18.0.0/24 ! -o snat-s -j MASQUERADE":  {"198.18.0.0/24", "snat-s"},
			"-A POSTROUTING -s 198.18.1.0/24 ! -o snat-c -j MASQUERADE":  {"198.18.1.0/24", "snat-c"},
		} {
			r, err := Find(t.Context(), []*Tables{tables}, netip.MustParsePrefix(n.subnet), n.bridge)
			if err != nil || r.Text != want {
				t.Errorf("%v: %v, %v", n, r, err)
			}
		}
	})
}

func TestFindDoesNotTakeARuleThatIsOnlyLikeIt(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables *Tables) {
		tables.rules(t, others...)
		if r, err := Find(t.Context(), []*Tables{tables}, subnet, bridge); err == nil {
			t.Errorf("found %q", r.Text)
		}
	})
}

func TestFindTellsWhatItFoundInstead(t *testing.T) {
	const expected = "no masquerade rule of 198.18.0.0/24: expected -A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -j MASQUERADE in table nat; found "
	eachVariant(t, func(t *testing.T, tables *Tables) {
		notFound := func(found string) {
			t.Helper()
			if _, err := Find(t.Context(), []*Tables{tables}, subnet, bridge); err == nil || err.Error() != expected+found {
				t.Errorf("error %v\nwant  %s", err, expected+found)
			}
		}
		notFound("no rule at all")
		tables.rules(t, "-c 7 420 -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE", ours+" --random-fully")
		notFound("-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE (" + tables.Variant + "), " +
			"-A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -j MASQUERADE --random-fully (" + tables.Variant + ")")
	})
	if _, err := Find(t.Context(), nil, subnet, bridge); err == nil || err.Error() != expected+"no rule at all" {
		t.Errorf("no variant: error %v", err)
	}
}

func TestFindLooksIntoEachVariant(t *testing.T) {
	for i, name := range []string{"nft", "legacy"} {
		t.Run("the rule is in "+name, func(t *testing.T) {
			namespace(t)
			both := []*Tables{program(t, "nft"), program(t, "legacy")}
			both[i].rules(t, ours)
			both[1-i].rules(t, ours+" --random")
			for _, variants := range [][]*Tables{both, {both[1], both[0]}} {
				if r := find(t, variants...); r.Tables() != both[i] {
					t.Errorf("found in %s", r.Tables().Variant)
				}
			}
			_, err := Find(t.Context(), both, netip.MustParsePrefix("10.0.0.0/8"), bridge)
			for _, t2 := range both {
				if err == nil || !strings.Contains(err.Error(), "("+t2.Variant+")") {
					t.Errorf("error %v does not tell what %s has", err, t2.Variant)
				}
			}
		})
	}
}

func TestFindEndsWithItsContext(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables *Tables) {
		tables.rules(t, ours)
		stop := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(stop)
		if _, err := Find(ctx, []*Tables{tables}, subnet, bridge); !errors.Is(err, stop) {
			t.Errorf("error %v, want %v", err, stop)
		}
	})
}
