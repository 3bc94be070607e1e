package nftables

import (
	"os/exec"
	"testing"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"snatlab/harness/nat/compat"
	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
	"snatlab/harness/netnstest"
)

// readTranslating reads a rule as ListPlaced does.
func readTranslating(exprs []expr.Any) (r PlacedRule) {
	r.readExpressions(exprs)
	return r
}

// The rules that snatlab writes are read with their options.
func TestReadTranslating(t *testing.T) {
	t.Parallel()
	for _, o := range []snat.Options{
		{ToSource: snat.ParseAddresses("2001:2::/126")}, {ToSource: snat.ParseAddresses("2001:2::1"), ToPorts: snat.PortRange{First: 1024, Last: 2047}},
		{}, {Random: true}, {RandomFully: true}, {RandomFully: true, PerMillion: 1000},
		{ToPorts: snat.PortRange{First: 1024, Last: 2047}}, {ToSource: snat.ParseAddresses("192.0.2.0/30")},
	} {
		r := MasqueradeRule{Subnet: nattest.NetworkOf(o.ToSource.First).Subnet, Bridge: "clients", Options: o}
		exprs := r.buildExpressions()
		for _, e := range exprs {
			if c, ok := e.(*expr.Counter); ok {
				c.Packets = 7
			}
		}
		got := readTranslating(exprs)
		o.PerMillion = 0
		want := PlacedRule{Translates: true, Known: true, Text: r.Text(), Options: o, Counted: true, Packets: 7}
		if got != want {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
}

// Rules of other programs are described as far as they can be read.
func TestDescribeMatches(t *testing.T) {
	t.Parallel()
	masquerade := &expr.Masq{}
	for want, exprs := range map[string][]expr.Any{
		`masquerade`: {masquerade},
		`ip daddr != 10.0.0.0/12 masquerade`: {
			&expr.Payload{Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4}, &expr.Bitwise{Mask: []byte{255, 240, 0, 0}},
			&expr.Cmp{Op: expr.CmpOpNeq, Data: []byte{10, 0, 0, 0}}, masquerade},
		`ip6 saddr 2001:2::/32 masquerade`: {
			&expr.Payload{Base: expr.PayloadBaseNetworkHeader, Offset: 8, Len: 16}, &expr.Bitwise{Mask: append([]byte{255, 255, 255, 255}, make([]byte, 12)...)},
			&expr.Cmp{Data: append([]byte{0x20, 1, 0, 2}, make([]byte, 12)...)}, masquerade},
		`ip6 saddr 2001:2::/64 counter snat to [2001:2:0:1::11]-[2001:2:0:1::15]:20000-20009`: append(MatchSource(nattest.IPv6.Subnet),
			statementExpressions(snat.Options{ToSource: nattest.SomeAddresses6, ToPorts: nattest.TenPorts})[2:]...),
		`oifname "eth0" masquerade`: {
			&expr.Meta{Key: expr.MetaKeyOIFNAME}, &expr.Cmp{Data: padName("eth0")}, masquerade},
		`iifname "veth*" masquerade`: {
			&expr.Meta{Key: expr.MetaKeyIIFNAME}, &expr.Cmp{Data: []byte("veth")}, masquerade},
		`meta l4proto udp th dport 53 ... counter masquerade fully-random`: {
			&expr.Meta{Key: expr.MetaKeyL4PROTO}, &expr.Cmp{Data: []byte{unix.IPPROTO_UDP}},
			&expr.Payload{Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}, &expr.Cmp{Data: []byte{0, 53}},
			&expr.Lookup{}, &expr.Ct{}, &expr.Counter{}, &expr.Masq{FullyRandom: true}},
		`... -j MASQUERADE --random-fully`: {
			&expr.Match{}, &expr.Counter{}, &foreignAction{Action: compat.NewAction(snat.Options{RandomFully: true})}},
	} {
		if got := readTranslating(exprs); !got.Translates || got.Text != want {
			t.Errorf("got %+v\nwant %q", got, want)
		}
	}
}

// Rules that do not translate sources are no translating rules.
func TestReadOtherRules(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]expr.Any{
		"dnat": &expr.NAT{Type: expr.NATTypeDestNAT}, "accept": &expr.Verdict{Kind: expr.VerdictAccept}, "target": &foreignAction{Action: compat.Action{Name: "DNAT"}},
	} {
		if got := readTranslating([]expr.Any{e}); got.Translates {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// The rules of iptables-nft and of ip6tables-nft are read with their options.
func TestReadForeign(t *testing.T) {
	for _, n := range []nattest.Network{nattest.IPv4, nattest.IPv6} {
		program := map[string]string{"ip": "iptables-nft", "ip6": "ip6tables-nft"}[n.Family()]
		t.Run(program, func(t *testing.T) {
			nattest.EnterNamespace(t)
			if _, err := exec.LookPath(program); err != nil {
				netnstest.SkipWithout(t, err.Error())
			}
			var want []snat.Options
			for _, o := range n.Options() {
				netnstest.Run(t, program+" -t nat -A POSTROUTING "+nattest.RuleEnds[o].IPTables)
				o.UDP = false // it is in the conditions
				want = append(want, o)
			}
			rules, unread, err := ListTranslating(t.Context())
			if err != nil || len(unread) > 0 || len(rules) != len(want) {
				t.Fatalf("%d rules, unread %q (%v), want %d rules", len(rules), unread, err, len(want))
			}
			for i, r := range rules {
				if r.Options != want[i] || !r.Known || r.Table != (Table{TableFor(n.Subnet).Family, "nat"}) {
					t.Errorf("%v: %+v, known: %v; want %+v", r.Table, r.Options, r.Known, want[i])
				}
			}
		})
	}
}
