package nat

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/nftables"
	"snatlab/harness/nat/snat"
	"snatlab/harness/netnstest"
)

// blocks are the rules that give two clients of a network ten ports each.
func blocks(n nattest.Network) (all []snat.Part) {
	one, _, _ := n.Ranges()
	client, ports := n.ClientAddress, nattest.TenPorts
	for range 2 {
		all = append(all, snat.Part{Source: netip.PrefixFrom(client, client.BitLen()), Options: snat.Options{ToSource: one, ToPorts: ports}})
		client, ports = client.Next(), snat.PortRange{First: ports.First + 10, Last: ports.Last + 10}
	}
	return all
}

// shares are the rules that translate a quarter and half of the connections of a network to
// ten ports each.
func shares(n nattest.Network) (all []snat.Part) {
	for i, p := range blocks(n) {
		p.Source, p.Options.PerMillion, p.Options.RandomFully = netip.Prefix{}, uint32(250_000*(i+1)), true
		all = append(all, p)
	}
	return all
}

func (f byIptables) part(p snat.Part) string {
	draw, flags := "", ""
	if !p.Source.IsValid() {
		p.Source = f.network().Subnet
	}
	if n := p.Options.PerMillion; n > 0 {
		draw, flags = fmt.Sprintf(" -m statistic --mode random --probability %.11f", float64(n)/1e6), " --random-fully"
	}
	return fmt.Sprintf("-A POSTROUTING -s %v ! -o snat-c -p tcp%s -j SNAT --to-source %s%s", p.Source, draw, p.Options.Target(), flags)
}

func (f byNFT) part(p snat.Part) string {
	to := p.Options.ToSource.String()
	if f.of == nattest.IPv6 {
		to = "[" + to + "]"
	}
	source, draw, flags := p.Source.Addr().String(), "", ""
	if n := p.Options.PerMillion; n > 0 {
		source, draw, flags = f.of.Subnet.String(), fmt.Sprintf("numgen random mod 1000000 < %d ", n), " fully-random"
	}
	return fmt.Sprintf(`%s saddr %v oifname != "snat-c" meta l4proto tcp %scounter snat to %s:%v%s`, f.of.Family(), source, draw, to, p.Options.ToPorts, flags)
}

// blockClaims hold for every backend.
var blockClaims = []struct {
	name  string
	holds func(t *testing.T, f firewall)
}{
	{"they stand between the rules of the control and of the network, and leave nothing", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		f.insert(t, f.theirs(1))
		f.add(t, f.theirs(2))
		insertControl(t, r, j)
		for _, o := range []snat.Options{{}, {RandomFully: true}} {
			all := map[bool][]snat.Part{false: blocks(f.network()), true: shares(f.network())}[o.RandomFully]
			inForce, err := r.Apply(t.Context(), j, o, all...)
			if err != nil {
				t.Fatal(err)
			}
			checkRules(t, f, f.theirs(1), f.control(), f.part(all[0]), f.part(all[1]), f.ours(o), f.theirs(2))
			if want := f.part(all[0]) + ", then " + f.part(all[1]) + ", then " + f.ours(o); inForce.Text() != want {
				t.Errorf("in force %q, want %q", inForce.Text(), want)
			}
			undoRule(t, inForce)
			undoRule(t, inForce)
			checkRules(t, f, f.theirs(1), f.control(), f.ours(snat.Options{}), f.theirs(2))
		}
	}},
	{"the run and another process undo them, once and again", func(t *testing.T, f firewall) {
		r, _, _ := makeRule(t, f)
		f.insert(t, f.theirs(1))
		for _, byOther := range []bool{false, true} {
			all := map[bool][]snat.Part{false: blocks(f.network()), true: shares(f.network())}[byOther]
			j, path := nattest.NewJournal(t, Undoers())
			if _, err := r.Apply(t.Context(), j, snat.Options{RandomFully: true}, all...); err != nil {
				t.Fatal(err)
			}
			checkRules(t, f, f.theirs(1), f.part(all[0]), f.part(all[1]), f.ours(snat.Options{RandomFully: true}))
			if byOther {
				replayCopy(t, path)
				replayCopy(t, path)
			}
			nattest.CloseJournal(t, j)
			nattest.CloseJournal(t, j)
			checkRules(t, f, f.theirs(1), f.ours(snat.Options{}))
		}
	}},
	{"each client gets the ports of its block, the others are masqueraded, and all rules count", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		n, all := f.network(), blocks(f.network())
		for _, client := range []netip.Addr{n.ClientAddress.Next(), n.ClientAddress.Next().Next()} {
			netnstest.Run(t, fmt.Sprintf("ip addr add %v/%d dev snat-c %s", client, n.Subnet.Bits(), map[bool]string{true: "nodad"}[client.Is6()]))
		}
		c := insertControl(t, r, j)
		inForce, err := r.Apply(t.Context(), j, snat.Options{}, all...)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range all {
			server := netip.AddrPortFrom(n.ServerAddress, uint16(9100+i))
			nattest.SendSYNsOf(t, p.Source.Addr(), server, 10)
			want := map[netip.AddrPort]int{}
			for port := p.Options.ToPorts.First; port <= p.Options.ToPorts.Last; port++ {
				want[netip.AddrPortFrom(p.Options.ToSource.First, port)] = 1
			}
			if got := nattest.TranslatedSources(t, server); !maps.Equal(got, want) {
				t.Errorf("%v left as %v", p.Source, got)
			}
		}
		server := netip.AddrPortFrom(n.ServerAddress, 9199)
		nattest.SendSYNsOf(t, n.ClientAddress.Next().Next(), server, 3)
		for from := range nattest.TranslatedSources(t, server) {
			if from.Addr() != n.OutAddress {
				t.Errorf("another client left as %v", from)
			}
		}
		checkPackets(t, inForce, 23)
		checkMatched(t, c, 0)
		for _, rule := range inForce.ReadCounters(t.Context()).Rules {
			t.Errorf("%s counts as a rule of another program", rule.Rule)
		}
		undoRule(t, inForce)
	}},
	{"the commands for people remove them", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		if _, err := r.Apply(t.Context(), j, snat.Options{}, blocks(f.network())...); err != nil {
			t.Fatal(err)
		}
		for _, s := range j.Steps()[:2] {
			netnstest.Run(t, s.Manual)
		}
		checkRules(t, f, f.ours(snat.Options{}))
		nattest.CloseJournal(t, j)
		checkRules(t, f)
	}},
	{"the error says that another program removed one", func(t *testing.T, f firewall) {
		r, j := makeUnmarked(t, f)
		all := blocks(f.network())
		inForce, err := r.Apply(t.Context(), j, snat.Options{}, all...)
		if err != nil {
			t.Fatal(err)
		}
		f.remove(t, 2)
		checkGone(t, f, inForce, f.part(all[1]))
		undoRule(t, inForce)
		checkRules(t, f, f.ours(snat.Options{}))
		nattest.CloseJournal(t, j)
	}},
	{"a rule of the same text is another program's, and stays", func(t *testing.T, f firewall) {
		r, j, path := makeRule(t, f)
		all := blocks(f.network())
		f.insert(t, f.part(all[1]))
		journal := nattest.ReadFile(t, path)
		if err := r.CheckParts(t.Context(), all...); err == nil || !strings.Contains(err.Error(), "holds the new text already") {
			t.Errorf("error %v", err)
		}
		if _, err := r.Apply(t.Context(), j, snat.Options{RandomFully: true}, all...); err == nil || nattest.ReadFile(t, path) != journal {
			t.Errorf("error %v; journal reads\n%s", err, nattest.ReadFile(t, path))
		}
		checkRules(t, f, f.part(all[1]), f.ours(snat.Options{}))
	}},
	{"a client of another network is refused, and nothing is changed", func(t *testing.T, f firewall) {
		r, j, path := makeRule(t, f)
		journal := nattest.ReadFile(t, path)
		p := blocks(f.network())[0]
		p.Source = netip.PrefixFrom(f.network().ServerAddress, p.Source.Bits())
		want := fmt.Sprintf("rewrite masquerade rule %s: %v is not a client of %v", r.Text, p.Source, f.network().Subnet)
		if _, err := r.Apply(t.Context(), j, snat.Options{}, p); err == nil || err.Error() != want || nattest.ReadFile(t, path) != journal {
			t.Errorf("error %v\nwant  %s", err, want)
		}
		checkRules(t, f, f.ours(snat.Options{}))
	}},
}

func TestBlocks(t *testing.T) {
	for _, c := range blockClaims {
		t.Run(c.name, func(t *testing.T) { eachFirewall(t, c.holds) })
	}
}

// Where rules stand before the network's for many clients, their number stands for them.
func TestTextOfManyParts(t *testing.T) {
	t.Parallel()
	a := AppliedRule{rule: rule{text: "network"}, parts: []rule{{text: "a"}, {text: "b"}, {text: "c"}}}
	if got := a.Text(); got != "a, then b, then c, then network" {
		t.Error(got)
	}
	a.parts = append(a.parts, rule{text: "d"})
	if got := a.Text(); got != "a, 3 more rules like it, then network" {
		t.Error(got)
	}
}

// Every rule that is written for a client has a form that can be undone, in both families.
func TestBlockText(t *testing.T) {
	t.Parallel()
	for _, n := range []nattest.Network{nattest.IPv4, nattest.IPv6} {
		for _, o := range n.Rewritings() {
			p := snat.Part{Source: netip.PrefixFrom(n.ClientAddress, n.ClientAddress.BitLen()), Options: o}
			fits := o.ToSource != (snat.AddressRange{}) && o.ToPorts != (snat.PortRange{})
			for _, b := range []backend{iptablesBackend{}, nftablesBackend{n.Subnet}} {
				network := masqueradeText(n.Subnet, nattest.Bridge)
				if _, ok := b.(nftablesBackend); ok {
					network = nftables.MasqueradeRule{Subnet: n.Subnet, Bridge: nattest.Bridge}.Text()
				}
				text, err := b.partText(network, p)
				if (err == nil) != fits {
					t.Errorf("%+v is %q, %v", o, text, err)
				}
			}
		}
	}
}

// A user who can write a journal must not decide what root removes.
func TestForgedBlock(t *testing.T) {
	nattest.EnterNamespace(t)
	p := blocks(nattest.IPv4)[0]
	text := byIptables{}.part(p)
	for _, bad := range []string{
		strings.Replace(text, "198.18.0.1/32", "198.18.0.0/24", 1),
		strings.Replace(text, ":20000-20009", "", 1),
		strings.Replace(text, "SNAT --to-source 192.0.2.11:20000-20009", "MASQUERADE --to-ports 20000-20009", 1),
		strings.Replace(text, "SNAT --to-source", "DNAT --to-destination", 1),
		strings.Replace(text, "192.0.2.11", "2001:2::11", 1),
		strings.Replace(text, "snat-c", "snat+", 1),
		text + " --wait", "", "-j",
	} {
		args, _ := json.Marshal(partStep{Path: "iptables-nft", Spec: slices.Clone(strings.Fields(bad))[min(2, len(strings.Fields(bad))):]})
		checkForgedStep(t, partKind, string(args), bad)
	}
	text = nft4.part(p)
	for _, bad := range []string{
		strings.Replace(text, "198.18.0.1", "198.18.0.0/24", 1),
		strings.Replace(text, "meta l4proto tcp counter snat to 192.0.2.11:20000-20009", "counter snat to 192.0.2.11", 1),
		strings.Replace(text, "snat to 192.0.2.11:20000-20009", "masquerade to :20000-20009", 1),
		strings.Replace(text, "192.0.2.11", "[2001:2::11]", 1),
		strings.Replace(text, "tcp", "icmp", 1),
		strings.Replace(text, "counter", "log counter", 1),
		"ip saddr", "",
	} {
		args, _ := json.Marshal(map[string]string{"rule": bad})
		checkForgedStep(t, "nat.nftables-drawing", string(args), bad)
	}
	if names := nftables.NATChains(t.Context(), nattest.Subnet, func(nftables.Chain) bool { return true }); len(names) > 0 {
		t.Errorf("chains were made: %v", names)
	}
}
