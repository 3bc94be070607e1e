package nat

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
	"snatlab/harness/netnstest"
	"snatlab/harness/undo"
)

// claims hold for every backend. Each is tried in a namespace of its own that
// holds only the client network.
var claims = []struct {
	name  string
	holds func(t *testing.T, f firewall)
}{
	{"the new rule reads as its program prints it", func(t *testing.T, f firewall) {
		r, _, _ := makeRule(t, f)
		if r.Text != f.ours(snat.Options{}) || r.Program() != f.name() {
			t.Errorf("%q in %s, want %q in %s", r.Text, r.Program(), f.ours(snat.Options{}), f.name())
		}
		checkRules(t, f, r.Text)
	}},
	{"the new rule is undone, also more than once", func(t *testing.T, f firewall) {
		f.network().AddForeignRules(t)
		before := nattest.ListAllRules(t, true)
		_, j, path := makeRule(t, f)
		steps := j.Steps()
		replayCopy(t, path)
		nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
		nattest.CloseJournal(t, j)
		if err := Undoers().UndoAll(t.Context(), steps); err != nil {
			t.Error(err)
		}
		nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
	}},
	{"an existing rule is neither made again nor undone", func(t *testing.T, f firewall) {
		makeRule(t, f)
		before := nattest.ListAllRules(t, true)
		j, path := nattest.NewJournal(t, Undoers())
		header := nattest.ReadFile(t, path)
		_, err := f.masquerade(t.Context(), j)
		begin := fmt.Sprintf("make masquerade rule of %v with %s", f.network().Subnet, strings.Fields(f.name())[0])
		if err == nil || !strings.HasPrefix(err.Error(), begin) || !strings.Contains(err.Error(), " exists already") {
			t.Errorf("error %v", err)
		}
		if nattest.ReadFile(t, path) != header {
			t.Errorf("journal reads\n%s", nattest.ReadFile(t, path))
		}
		nattest.CloseJournal(t, j)
		nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
	}},
	{"options rewrite the one rule in place", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		f.insert(t, f.theirs(1))
		f.add(t, f.theirs(2))
		for _, o := range f.network().Rewritings() {
			f.network().SendUDP(t, 3) // the new rule does not take over the counter
			want := f.listing(t)
			inForce := applyOptions(t, r, j, o)
			if inForce.Text() != f.ours(o) {
				t.Errorf("in force %q, want %q", inForce.Text(), f.ours(o))
			}
			want[1] = f.uncounted(f.ours(o))
			nattest.CheckUnchanged(t, want, f.listing(t)) // but for that line
			f.network().SendUDP(t, 3)
			undoRule(t, inForce)
			want[1] = f.uncounted(f.ours(snat.Options{}))
			nattest.CheckUnchanged(t, want, f.listing(t))
		}
	}},
	{"arms follow each other and leave the rule as it was", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		before := nattest.ListAllRules(t, false)
		for range 2 {
			for _, o := range append([]snat.Options{{}}, f.network().Rewritings()...) {
				inForce := applyOptions(t, r, j, o)
				checkRules(t, f, f.ours(o))
				undoRule(t, inForce)
				undoRule(t, inForce)
			}
		}
		nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, false))
		if n := len(j.Steps()); n != 1 {
			t.Errorf("%d steps to be undone, want that of the rule alone", n)
		}
	}},
	{"without options nothing is changed or journalled", func(t *testing.T, f firewall) {
		r, j, path := makeRule(t, f)
		before, journal := nattest.ListAllRules(t, true), nattest.ReadFile(t, path)
		inForce := applyOptions(t, r, j, snat.Options{})
		if inForce.Text() != r.Text {
			t.Errorf("in force %q", inForce.Text())
		}
		undoRule(t, inForce)
		nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
		if after := nattest.ReadFile(t, path); after != journal {
			t.Errorf("journal reads\n%s", after)
		}
	}},
	{"Packets counts the connections since the rule was written", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		f.insert(t, f.theirs(1))
		original := applyOptions(t, r, j, snat.Options{})
		checkPackets(t, original, 0)
		f.network().SendUDP(t, 5)
		checkPackets(t, original, 5)
		rewritten := applyOptions(t, r, j, snat.Options{RandomFully: true})
		checkPackets(t, rewritten, 0)
		f.network().SendUDP(t, 3)
		f.network().SendUDP(t, 4)
		checkPackets(t, rewritten, 7)
		undoRule(t, rewritten)
		checkPackets(t, original, 0)
	}},
	{"the error says that another program rewrote the rule", func(t *testing.T, f firewall) {
		r, j := makeUnmarked(t, f)
		inForce := applyOptions(t, r, j, snat.Options{RandomFully: true})
		f.replace(t, 1, f.ours(snat.Options{}))
		checkGone(t, f, inForce, f.ours(snat.Options{RandomFully: true}))
		original := applyOptions(t, r, j, snat.Options{})
		f.remove(t, 1)
		checkGone(t, f, original, f.ours(snat.Options{}))
		nattest.CloseJournal(t, j)
	}},
	{"options for a missing rule are an error and change nothing", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		f.replace(t, 1, f.theirs(1))
		before := nattest.ListAllRules(t, true)
		if _, err := r.Apply(t.Context(), j, snat.Options{}); err == nil {
			t.Error("applied nothing to a rule that is gone")
		}
		text := "rewrite masquerade rule " + r.Text + `: no rule "` + strings.ReplaceAll(r.Text, `"`, `\"`) + `" in ` + f.place()
		if _, err := r.Apply(t.Context(), j, snat.Options{RandomFully: true}); err == nil || err.Error() != text {
			t.Errorf("error %v\nwant  %s", err, text)
		}
		nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
	}},
	{"the rules of other programs stay the same, to the byte", func(t *testing.T, f firewall) {
		f.network().AddForeignRules(t)
		r, j, _ := makeRule(t, f)
		f.insert(t, f.theirs(1))
		f.add(t, f.theirs(2))
		notOurs := func() (all []string) {
			return slices.DeleteFunc(nattest.ListAllRules(t, true), func(line string) bool { return strings.Contains(line, f.network().Subnet.String()) })
		}
		before := notOurs()
		for _, o := range f.network().Rewritings() {
			inForce := applyOptions(t, r, j, o)
			nattest.CheckUnchanged(t, before, notOurs())
			undoRule(t, inForce)
			nattest.CheckUnchanged(t, before, notOurs())
		}
	}},
	{"after the context has ended nothing changes", func(t *testing.T, f firewall) {
		stop := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(stop)
		is := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, stop) {
				t.Errorf("%s: error %v, want %v", what, err, stop)
			}
		}
		r, j, path := makeRule(t, f)
		inForce := applyOptions(t, r, j, snat.Options{RandomFully: true})
		before, journal := nattest.ListAllRules(t, true), nattest.ReadFile(t, path)
		_, err := f.masquerade(ctx, j)
		is("make", err)
		for _, o := range []snat.Options{{}, {Random: true}} {
			_, err = r.Apply(ctx, j, o)
			is("apply", err)
		}
		_, err = inForce.Packets(ctx)
		is("packets", err)
		is("undo", inForce.Undo(ctx))
		nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
		if nattest.ReadFile(t, path) != journal {
			t.Errorf("journal reads\n%s", nattest.ReadFile(t, path))
		}
	}},
	{"the plain rule keeps a free port, the rewritten ones draw one", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		const connections = 20
		f.network().SendUDP(t, connections)
		if kept, drawn := f.network().CountKeptPorts(t); kept != connections || drawn != 0 {
			t.Errorf("the plain rule: %d ports kept and %d not, want %d and none", kept, drawn, connections)
		}
		for _, o := range []snat.Options{{Random: true}, {RandomFully: true}} {
			inForce := applyOptions(t, r, j, o)
			_, before := f.network().CountKeptPorts(t)
			f.network().SendUDP(t, connections)
			if _, drawn := f.network().CountKeptPorts(t); drawn == before {
				t.Errorf("%s: all of %d ports kept", inForce.Text(), connections)
			}
			undoRule(t, inForce)
		}
	}},
	{"another process restores the rule to the letter, whatever the options", func(t *testing.T, f firewall) {
		r, _, _ := makeRule(t, f)
		f.insert(t, f.theirs(1))
		f.add(t, f.theirs(2))
		before := f.listing(t)
		for _, o := range f.network().Rewritings() {
			j, path := nattest.NewJournal(t, Undoers())
			applyOptions(t, r, j, o)
			replayCopy(t, path)
			nattest.CheckUnchanged(t, before, f.listing(t))
			nattest.CloseJournal(t, j)
			nattest.CheckUnchanged(t, before, f.listing(t))
		}
	}},
	{"contradictory options are an error and change nothing", func(t *testing.T, f firewall) {
		r, j, path := makeRule(t, f)
		before, journal := nattest.ListAllRules(t, true), nattest.ReadFile(t, path)
		for o, why := range nattest.Contradictions {
			_, err := r.Apply(t.Context(), j, o)
			if text := "rewrite masquerade rule " + r.Text + ": " + why; err == nil || err.Error() != text {
				t.Errorf("error %v\nwant  %s", err, text)
			}
		}
		nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
		if nattest.ReadFile(t, path) != journal {
			t.Errorf("journal reads\n%s", nattest.ReadFile(t, path))
		}
	}},
	{"addresses of the other family are an error and change nothing", func(t *testing.T, f firewall) {
		r, j, path := makeRule(t, f)
		before, journal := nattest.ListAllRules(t, true), nattest.ReadFile(t, path)
		_, _, foreign := f.network().Other().Ranges()
		name := map[string]string{"ip": "IPv4", "ip6": "IPv6"}[f.network().Family()]
		_, err := r.Apply(t.Context(), j, snat.Options{ToSource: foreign})
		if text := fmt.Sprintf("rewrite masquerade rule %s: %v is not a range of %s addresses", r.Text, foreign, name); err == nil || err.Error() != text {
			t.Errorf("error %v\nwant  %s", err, text)
		}
		nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
		if nattest.ReadFile(t, path) != journal {
			t.Errorf("journal reads\n%s", nattest.ReadFile(t, path))
		}
	}},
	{"ten connections get ten different ports of ten, at random or not", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		for i, o := range []snat.Options{{ToPorts: nattest.TenPorts}, {ToPorts: nattest.TenPorts, Random: true}, {ToPorts: nattest.TenPorts, RandomFully: true}} {
			inForce := applyOptions(t, r, j, o)
			server := netip.AddrPortFrom(f.network().ServerAddress, uint16(9000+i))
			nattest.SendSYNs(t, server, 10)
			checkPackets(t, inForce, 10)
			want := map[netip.AddrPort]int{}
			for port := nattest.TenPorts.First; port <= nattest.TenPorts.Last; port++ {
				want[netip.AddrPortFrom(f.network().OutAddress, port)] = 1
			}
			if got := nattest.TranslatedSources(t, server); !maps.Equal(got, want) {
				t.Errorf("%s: left as %v", inForce.Text(), got)
			}
			undoRule(t, inForce)
		}
	}},
	{"ports are for TCP only; other protocols are not translated", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		inForce := applyOptions(t, r, j, snat.Options{ToPorts: nattest.TenPorts})
		f.network().SendUDP(t, 3)
		checkPackets(t, inForce, 0)
		undoRule(t, inForce)
	}},
	{"a client and a server always get the same one of the addresses", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		server := netip.AddrPortFrom(f.network().ServerAddress, 9000)
		one, four, some := f.network().Ranges()
		for _, to := range []snat.AddressRange{one, four, some} {
			for _, fully := range []bool{false, true} {
				inForce := applyOptions(t, r, j, snat.Options{ToSource: to, RandomFully: fully})
				server = netip.AddrPortFrom(f.network().ServerAddress, server.Port()+1)
				nattest.SendSYNs(t, server, 10)
				checkPackets(t, inForce, 10)
				given := map[netip.Addr]int{}
				for from, n := range nattest.TranslatedSources(t, server) {
					given[from.Addr()] += n
				}
				for a, n := range given {
					if n != 10 || a.Less(to.First) || to.Last.Less(a) {
						t.Errorf("%s: left as %v", inForce.Text(), given)
					}
				}
				undoRule(t, inForce)
			}
		}
	}},
	{"the manual commands leave no rule that masquerades the network", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		applyOptions(t, r, j, snat.Options{RandomFully: true})
		steps := j.Steps()
		netnstest.Run(t, steps[0].Manual)
		if slices.Contains(f.rules(t), f.ours(snat.Options{RandomFully: true})) {
			t.Errorf("%s leaves %q", steps[0].Manual, f.rules(t))
		}
		netnstest.Run(t, steps[1].Manual+" || :") // may find nothing to delete
		checkRules(t, f)
		nattest.CloseJournal(t, j)
		checkRules(t, f)
	}},
}

// Every backend fulfils the same claims.
func TestBackends(t *testing.T) {
	for _, c := range claims {
		t.Run(c.name, func(t *testing.T) { eachFirewall(t, c.holds) })
	}
}

// makeRule makes the rule of nattest's network, and a journal.
func makeRule(t *testing.T, f firewall) (r *Rule, j *undo.Journal, path string) {
	t.Helper()
	j, path = nattest.NewJournal(t, Undoers())
	r, err := f.masquerade(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	return r, j, path
}

// checkRules compares the rules of the chain, without their counters.
func checkRules(t *testing.T, f firewall, want ...string) {
	t.Helper()
	if got := f.rules(t); !slices.Equal(got, want) {
		t.Errorf("the chain reads %q, want %q", got, want)
	}
}

func checkPackets(t *testing.T, f *AppliedRule, want uint64) {
	t.Helper()
	if got, err := f.Packets(t.Context()); got != want || err != nil {
		t.Errorf("%d packets (%v), want %d", got, err, want)
	}
}

// checkGone checks the error for a rule that another program removed.
func checkGone(t *testing.T, f firewall, inForce *AppliedRule, rule string) {
	t.Helper()
	text := fmt.Sprintf("the masquerade rule %q is gone from %s: something else rewrote the rules (a restart of Docker, a reload of the firewall?)", rule, f.place())
	if _, err := inForce.Packets(t.Context()); err == nil || err.Error() != text {
		t.Errorf("error %v\nwant  %s", err, text)
	}
}
