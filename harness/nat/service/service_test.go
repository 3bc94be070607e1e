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

// The rules are in a table of their own, and each backend gets one connection in so many.
func TestInsert(t *testing.T) {
	for n, want := range map[int]string{
		1: `ip saddr 198.18.0.0/24 ip daddr 198.18.2.1 counter dnat to 192.0.2.9`,
		3: `ip saddr 198.18.0.0/24 ip daddr 198.18.2.1 numgen random mod 3 0 counter dnat to 192.0.2.9
ip saddr 198.18.0.0/24 ip daddr 198.18.2.1 numgen random mod 2 0 counter dnat to 192.0.2.10
ip saddr 198.18.0.0/24 ip daddr 198.18.2.1 counter dnat to 192.0.2.11`,
	} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			nattest.EnterNamespace(t)
			nattest.RequireNFT(t)
			j, _ := nattest.NewJournal(t, Undoers())
			if err := Insert(t.Context(), j, Rules{Clients: nattest.Subnet, Address: address, Backends: backends(n)}); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, line := range nattest.ListAllRules(t, true) {
				if strings.Contains(line, "dnat to") {
					line, _, _ = strings.Cut(strings.Replace(line, "packets 0 bytes 0 ", "", 1), " # handle")
					got = append(got, strings.TrimSpace(line))
				}
			}
			if strings.Join(got, "\n") != want {
				t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), want)
			}
			err := Insert(t.Context(), j, Rules{Clients: nattest.Subnet, Address: address, Backends: backends(n)})
			if err == nil || !strings.Contains(err.Error(), "table ip snatlab-service-run exists already") {
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
		"translate 198.18.2.1 to 0 backends: there is no backend":            {Clients: nattest.Subnet, Address: address},
		"translate 2001:2::1 to 1 backend: 2001:2::1 is not an IPv4 address": {Clients: nattest.Subnet, Address: netip.MustParseAddr("2001:2::1"), Backends: backends(1)},
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
