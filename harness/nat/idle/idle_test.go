package idle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/nat/nattest"
	ours "snatlab/harness/nat/nftables"
	"snatlab/harness/netnstest"
	"snatlab/harness/undo"
)

// undoers returns the undoers of the steps of these tests.
func undoers() undo.Undoers {
	all := ours.Undoers()
	maps.Copy(all, Undoers())
	return all
}

// nftablesKind is the kind of the step that makes the masquerade table.
const nftablesKind = "nat.nftables"

// widenWindow widens the window for nattest's network.
func widenWindow(t *testing.T, j *undo.Journal, network nattest.Network, rules int) {
	t.Helper()
	if err := AddRules(t.Context(), j, []netip.Prefix{network.Subnet}, rules); err != nil {
		t.Fatal(err)
	}
}

// eachNetwork runs a test with the network in each family, in a namespace of its own.
func eachNetwork(t *testing.T, test func(t *testing.T, n nattest.Network)) {
	t.Helper()
	for _, n := range []nattest.Network{nattest.IPv4, nattest.IPv6} {
		t.Run(n.Family(), func(t *testing.T) {
			nattest.EnterNamespace(t)
			nattest.RequireNFT(t)
			test(t, n)
		})
	}
}

// nft lists the idle rules as its own program would have written them.
func TestWidenRuleset(t *testing.T) {
	eachNetwork(t, func(t *testing.T, n nattest.Network) {
		j, _ := nattest.NewJournal(t, undoers())
		widenWindow(t, j, n, 3)
		idle, step := "ip saddr 0.0.0.1", widenStep{Table: "snatlab-widen-run"}
		if n == nattest.IPv6 {
			idle, step.Family = "ip6 saddr 0:1::/32", "ip6"
		}
		want := fmt.Sprintf(`table %[1]s snatlab-widen-run {
	chain idle {
		%[2]s
		%[2]s
		%[2]s
	}

	chain postrouting {
		type filter hook postrouting priority 200; policy accept;
		ct state new ct original %[1]s saddr %[3]v jump idle
	}
}
`, n.Family(), idle, n.Subnet)
		if d := cmp.Diff(want, netnstest.Run(t, "nft list ruleset")); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		table := "table " + n.Family() + " snatlab-widen-run"
		steps := []undo.Step{undo.NewStep("nat.widen", "nftables "+table, "nft delete "+table, step)}
		if d := cmp.Diff(steps, j.Steps()); d != "" {
			t.Errorf("steps (-want +got):\n%s", d)
		}
		netnstest.Run(t, j.Steps()[0].Manual)
		nattest.CloseJournal(t, j)
		nattest.CheckNoTables(t)
	})
}

// Widening writes the given number of idle rules.
func TestWidenCount(t *testing.T) {
	for _, n := range []int{1, rulesPerTransaction - 1, rulesPerTransaction, rulesPerTransaction + 1, 5000, 20_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			nattest.EnterNamespace(t)
			nattest.RequireNFT(t)
			j, _ := nattest.NewJournal(t, undoers())
			widenWindow(t, j, nattest.IPv4, n)
			if got := strings.Count(netnstest.Run(t, "nft list chain ip snatlab-widen-run idle"), "\tip saddr 0.0.0.1\n"); got != n {
				t.Errorf("%d idle rules, want %d", got, n)
			}
			nattest.CloseJournal(t, j)
			nattest.CheckNoTables(t)
		})
	}
}

// Only packets that open a connection from the subnet meet the idle rules. A
// rule behind them counts the packets.
func TestWidenOpeningOnly(t *testing.T) {
	eachNetwork(t, func(t *testing.T, n nattest.Network) {
		j, _ := nattest.NewJournal(t, undoers())
		if _, err := ours.MakeMasquerade(t.Context(), j, n.Subnet, nattest.Bridge); err != nil {
			t.Fatal(err)
		}
		widenWindow(t, j, n, 1000)
		idle := n.Family() + " snatlab-widen-run idle"
		netnstest.Run(t, "nft add rule "+idle+" counter")
		passed := func(when string, want int) {
			t.Helper()
			if counter := fmt.Sprintf("counter packets %d ", want); !strings.Contains(netnstest.Run(t, "nft list chain "+idle), counter) {
				t.Errorf("%s: not %s\n%s", when, counter, netnstest.Run(t, "nft list chain "+idle+" | tail -3"))
			}
		}
		echo := startEcho(t, n)
		passed("before anything is sent", 0)
		n.SendUDP(t, 5) // two packets each, and no answer: both are the first of their connection
		passed("connections from the subnet", 10)
		if kept, drawn := n.CountKeptPorts(t); kept != 5 || drawn != 0 {
			t.Errorf("%d ports kept and %d not, want 5 and none", kept, drawn)
		}
		exchange(t, n.OutAddress, echo)
		passed("connections from elsewhere", 10)
		exchange(t, n.ClientAddress, echo)
		passed("the rest of a connection from the subnet, and its answers", 11)
		n.Other().SendUDP(t, 5)
		passed("connections of the other family", 11)
		netnstest.Run(t, "nft 'table "+n.Family()+" t { chain o { type filter hook output priority raw; notrack; }; }'")
		n.SendUDP(t, 5)
		passed("packets that are not tracked", 11)
	})
}

// startEcho returns the address of a server in the namespace that sends every
// packet back.
func startEcho(t *testing.T, n nattest.Network) netip.AddrPort {
	t.Helper()
	netnstest.Run(t, "ip link set lo up")
	server, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(n.OutAddress, 0)))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { server.Close(); <-done })
	go func() {
		defer close(done)
		for data := make([]byte, 1); ; {
			_, from, err := server.ReadFromUDPAddrPort(data)
			if err != nil {
				return
			}
			_, _ = server.WriteToUDPAddrPort(data, from)
		}
	}()
	return server.LocalAddr().(*net.UDPAddr).AddrPort()
}

// exchange sends three packets and waits for the answer to each.
func exchange(t *testing.T, from netip.Addr, to netip.AddrPort) {
	t.Helper()
	c, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

// Widening that is not possible is refused before anything is made.
func TestWidenRefuses(t *testing.T) {
	stop := errors.New("interrupted")
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	for _, c := range []struct {
		name, before string
		ctx          context.Context
		subnet, want string
	}{
		{"an IPv4 network in IPv6", ":", t.Context(), "::ffff:198.18.0.0/120", "not a network of IPv4 or IPv6"},
		{"a table of that name in IPv6", "nft add table ip6 snatlab-widen-run", t.Context(), "2001:2::/64",
			"table ip6 snatlab-widen-run exists already (if no program uses it: nft delete table ip6 snatlab-widen-run)"},
		{"a context that has ended", ":", ended, "198.18.0.0/24", "interrupted"},
		{"a table of that name", "nft add table ip snatlab-widen-run", t.Context(), "198.18.0.0/24",
			"table ip snatlab-widen-run exists already (if no program uses it: nft delete table ip snatlab-widen-run)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			nattest.EnterNamespace(t)
			nattest.RequireNFT(t)
			netnstest.Run(t, c.before)
			before := nattest.ListAllRules(t, true)
			j, path := nattest.NewJournal(t, undoers())
			header := nattest.ReadFile(t, path)
			err := AddRules(c.ctx, j, []netip.Prefix{netip.MustParsePrefix(c.subnet)}, 7)
			if want := "widen the window of the race by 7 rules: " + c.want; err == nil || err.Error() != want {
				t.Errorf("error %v\nwant  %s", err, want)
			}
			if nattest.ReadFile(t, path) != header {
				t.Errorf("journal reads\n%s", nattest.ReadFile(t, path))
			}
			nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
		})
	}
}

// With 0 idle rules no table is made.
func TestWidenZero(t *testing.T) {
	nattest.EnterNamespace(t)
	j, path := nattest.NewJournal(t, undoers())
	header := nattest.ReadFile(t, path)
	widenWindow(t, j, nattest.IPv4, 0)
	if nattest.ReadFile(t, path) != header {
		t.Errorf("journal reads\n%s", nattest.ReadFile(t, path))
	}
	nattest.CheckNoTables(t)
}

// A crash can come before the table is made, or between two transactions.
// Undoing covers each case.
func TestUndoHalfWiden(t *testing.T) {
	nattest.EnterNamespace(t)
	nattest.RequireNFT(t)
	steps := []undo.Step{undo.NewStep(widenKind, "", "", widenStep{})}
	for _, half := range []string{":", "nft add table ip snatlab-widen", "nft 'table ip snatlab-widen { chain idle { ip saddr 0.0.0.1; }; }'"} {
		netnstest.Run(t, half)
		if err := undoers().UndoAll(t.Context(), steps); err != nil {
			t.Error(err)
		}
		nattest.CheckNoTables(t)
	}
}

// Networks of two families are refused before anything is made.
func TestWidenFamilies(t *testing.T) {
	nattest.EnterNamespace(t)
	j, _ := nattest.NewJournal(t, undoers())
	err := AddRules(t.Context(), j, []netip.Prefix{nattest.IPv4.Subnet, nattest.IPv6.Subnet}, 7)
	if want := "widen the window of the race by 7 rules: 198.18.0.0/24 and 2001:2::/64 are of two families"; err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
	if len(j.Steps()) > 0 {
		t.Errorf("steps %v", j.Steps())
	}
	nattest.CheckNoTables(t)
}

// A step deletes the table of its own family, and none in a family that it cannot have.
func TestUndoTableFamily(t *testing.T) {
	for _, c := range []struct{ kind, args, deleted string }{
		{nftablesKind, `{}`, "ip snatlab"},
		{nftablesKind, `{"family":"ip6"}`, "ip6 snatlab"},
		{nftablesKind, `{"family":"inet"}`, ""},
		{nftablesKind, `{"family":"ip"}`, ""},
		{widenKind, `{"table":"snatlab-widen-run"}`, "ip snatlab-widen-run"},
		{widenKind, `{"table":"snatlab-widen-run","family":"ip6"}`, "ip6 snatlab-widen-run"},
		{widenKind, `{"table":"snatlab-widen-run","family":"inet"}`, ""},
		{widenKind, `{"table":"snatlab","family":"ip6"}`, ""},
	} {
		t.Run(c.kind+c.args, func(t *testing.T) {
			nattest.EnterNamespace(t)
			nattest.RequireNFT(t)
			var want []string
			for _, family := range []string{"ip", "ip6", "inet"} {
				for _, name := range []string{"snatlab", "snatlab-widen-run"} {
					netnstest.Run(t, "nft add table "+family+" "+name)
					if family+" "+name != c.deleted {
						want = append(want, "table "+family+" "+name)
					}
				}
			}
			for range 2 {
				err := undoers()[c.kind](t.Context(), json.RawMessage(c.args))
				if refused := c.deleted == ""; (err != nil) != refused || refused && !strings.HasSuffix(err.Error(), "; its step is not undone") {
					t.Errorf("error %v", err)
				}
			}
			got := nattest.SplitLines(netnstest.Run(t, "nft list tables"))
			slices.Sort(got)
			slices.Sort(want)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("tables (-want +got):\n%s", d)
			}
		})
	}
}

// A table with the plain name belongs to an operator, unless a journal of an
// older version names it.
func TestUndoWidenOthers(t *testing.T) {
	nattest.EnterNamespace(t)
	nattest.RequireNFT(t)
	for _, table := range []string{"snatlab-widen", "snatlab-widen-other", "snatlab"} {
		netnstest.Run(t, "nft add table ip "+table)
	}
	before := nattest.ListAllRules(t, true)
	steps := []undo.Step{undo.NewStep(widenKind, "", "", widenStep{Table: "snatlab-widen-abcdef"})}
	if err := undoers().UndoAll(t.Context(), steps); err != nil {
		t.Error(err)
	}
	nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
}
