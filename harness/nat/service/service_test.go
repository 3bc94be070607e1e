package service

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/undo"
)

var address = netip.MustParseAddr("198.18.2.1")

func backends(n int) (all []netip.Addr) {
	for a := netip.MustParseAddr("192.0.2.9"); len(all) < n; a = a.Next() {
		all = append(all, a)
	}
	return all
}

// The rules are in a table of their own, and each backend gets one connection in so many, in
// each family.
func TestInsert(t *testing.T) {
	four := Rules{Clients: nattest.Subnet, Address: address, Backends: backends(3)}
	six := Rules{Clients: nattest.IPv6.Subnet, Address: netip.MustParseAddr("2001:2:0:1::fe"), Backends: []netip.Addr{netip.MustParseAddr("2001:2:0:1::2"), netip.MustParseAddr("2001:2:0:1::3")}}
	for _, test := range []struct {
		rules    Rules
		backends int
		want     string
	}{
		{four, 1, `ip saddr 198.18.0.0/24 ip daddr 198.18.2.1 counter dnat to 192.0.2.9`},
		{four, 3, `ip saddr 198.18.0.0/24 ip daddr 198.18.2.1 numgen random mod 3 0 counter dnat to 192.0.2.9
ip saddr 198.18.0.0/24 ip daddr 198.18.2.1 numgen random mod 2 0 counter dnat to 192.0.2.10
ip saddr 198.18.0.0/24 ip daddr 198.18.2.1 counter dnat to 192.0.2.11`},
		{six, 1, `ip6 saddr 2001:2::/64 ip6 daddr 2001:2:0:1::fe counter dnat to 2001:2:0:1::2`},
		{six, 2, `ip6 saddr 2001:2::/64 ip6 daddr 2001:2:0:1::fe numgen random mod 2 0 counter dnat to 2001:2:0:1::2
ip6 saddr 2001:2::/64 ip6 daddr 2001:2:0:1::fe counter dnat to 2001:2:0:1::3`},
	} {
		r := test.rules
		r.Backends = r.Backends[:test.backends]
		t.Run(fmt.Sprintf("%v to %d", r.Address, test.backends), func(t *testing.T) {
			nattest.EnterNamespace(t)
			nattest.RequireNFT(t)
			j, _ := nattest.NewJournal(t, Undoers())
			if err := Insert(t.Context(), j, r); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, line := range nattest.ListAllRules(t, true) {
				if strings.Contains(line, "dnat to") {
					line, _, _ = strings.Cut(strings.Replace(line, "packets 0 bytes 0 ", "", 1), " # handle")
					got = append(got, strings.TrimSpace(line))
				}
			}
			if strings.Join(got, "\n") != test.want {
				t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), test.want)
			}
			family := nattest.NetworkOf(r.Address).Family()
			err := Insert(t.Context(), j, r)
			if err == nil || !strings.Contains(err.Error(), "table "+family+" snatlab-service-run exists already") {
				t.Errorf("a second table: error %v", err)
			}
			nattest.CloseJournal(t, j)
			nattest.CheckNoTables(t)
		})
	}
}

// What cannot be written is refused before anything is journalled.
func TestInsertRefuses(t *testing.T) {
	nattest.EnterNamespace(t)
	j, path := nattest.NewJournal(t, Undoers())
	header := nattest.ReadFile(t, path)
	for want, r := range map[string]Rules{
		"translate 198.18.2.1 to 0 backends: there is no backend":                                   {Clients: nattest.Subnet, Address: address},
		"translate 2001:2::1 to 1 backend: 198.18.0.0 is not an address of the family of 2001:2::1": {Clients: nattest.Subnet, Address: netip.MustParseAddr("2001:2::1"), Backends: backends(1)},
	} {
		if err := Insert(t.Context(), j, r); fmt.Sprint(err) != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	if nattest.ReadFile(t, path) != header {
		t.Errorf("journal reads\n%s", nattest.ReadFile(t, path))
	}
}

// A step that names another table is not undone.
func TestUndoOthers(t *testing.T) {
	nattest.EnterNamespace(t)
	for _, name := range []string{"", "nat", "filter", "snatlab-service-1234567", "snatlab-service x"} {
		err := Undoers().UndoAll(context.Background(), []undo.Step{undo.NewStep(insertedKind, "", "", insertedStep{Table: name})})
		if err == nil || !strings.Contains(err.Error(), "is not the name of a table of snatlab's") {
			t.Errorf("table %q: error %v", name, err)
		}
	}
	gone := []undo.Step{undo.NewStep(insertedKind, "", "", insertedStep{Table: "snatlab-service-abcdef"})}
	nattest.RequireNFT(t)
	if err := Undoers().UndoAll(context.Background(), gone); err != nil {
		t.Errorf("a table that is gone: %v", err)
	}
}
