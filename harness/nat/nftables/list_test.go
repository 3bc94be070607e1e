package nftables

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
)

// ruleReply returns the message that the kernel sends for a rule.
func ruleReply(t testing.TB, exprs []expr.Any, more ...netlink.Attribute) []byte {
	t.Helper()
	encode := func(attributes []netlink.Attribute) []byte {
		t.Helper()
		data, err := netlink.MarshalAttributes(attributes)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var list []netlink.Attribute
	for _, e := range exprs {
		data, err := marshalExpression(unix.NFPROTO_IPV4, e)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, netlink.Attribute{Type: unix.NLA_F_NESTED | unix.NFTA_LIST_ELEM, Data: data})
	}
	return append(make([]byte, headerLength), encode(append([]netlink.Attribute{
		{Type: unix.NFTA_RULE_HANDLE, Data: []byte{0, 0, 0, 0, 0, 0, 0, 9}},
		{Type: unix.NLA_F_NESTED | unix.NFTA_RULE_EXPRESSIONS, Data: encode(list)},
	}, more...))...)
}

// Whatever the bytes are, a message that is read as a rule of ours has exactly
// the expressions of that rule.
func FuzzParseListed(f *testing.F) {
	comment := netlink.Attribute{Type: unix.NFTA_RULE_USERDATA, Data: []byte("\x00\x02x\x00")}
	for _, network := range []string{"198.18.0.0/24", "128.0.0.0/1", "0.0.0.0/0", "2001:2::/64", "8000::/1", "::/0"} {
		ours := MasqueradeRule{Subnet: netip.MustParsePrefix(network), Bridge: nattest.Bridge, Options: snat.Options{RandomFully: true}}.buildExpressions()
		f.Add(ruleReply(f, ours))
		f.Add(ruleReply(f, ours, comment))
		f.Add(ruleReply(f, ours[1:]))
	}
	for _, n := range []nattest.Network{nattest.IPv4, nattest.IPv6} {
		for _, o := range n.Rewritings() {
			f.Add(ruleReply(f, MasqueradeRule{Subnet: n.Subnet, Bridge: nattest.Bridge, Options: o}.buildExpressions()))
		}
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, n := range []nattest.Network{nattest.IPv4, nattest.IPv6} {
			table := TableFor(n.Subnet)
			l, err := parseListed(table, data)
			if err != nil || l.Text == OtherShape {
				continue
			}
			again, err := parseListed(table, ruleReply(t, l.rule.buildExpressions()))
			if err != nil || again.Text != l.Text || again.rule != l.rule || l.rule.Text() != l.Text || tableOf(l.Text) != table {
				t.Errorf("%q is read as %+v, and that as %+v (%v)", data, l, again, err)
			}
		}
	})
}

// A rule with one more expression has another shape.
func TestParseListedExtra(t *testing.T) {
	t.Parallel()
	for o := range nattest.RuleEnds {
		n := nattest.NetworkOf(o.ToSource.First)
		table, other := TableFor(n.Subnet), TableFor(n.Other().Subnet)
		ours := MasqueradeRule{Subnet: n.Subnet, Bridge: nattest.Bridge, Options: o}.buildExpressions()
		for at := range len(ours) + 1 {
			for _, more := range []expr.Any{&expr.Notrack{}, &expr.Quota{Bytes: 1}, &expr.Counter{}, &expr.Immediate{Register: register, Data: []byte{4, 0}}} {
				if l, err := parseListed(table, ruleReply(t, slices.Insert(slices.Clone(ours), at, more))); err != nil || l.Text != OtherShape || l.handle != 9 {
					t.Errorf("with %T at %d it is read as %+v (%v)", more, at, l, err)
				}
			}
		}
		want := fmt.Sprintf("%s saddr %v oifname != \"snat-c\" %s", n.Family(), n.Subnet, nattest.RuleEnds[o].NFTables)
		if l, err := parseListed(table, ruleReply(t, ours)); err != nil || l.Text != want {
			t.Errorf("read as %+v (%v)", l, err)
		}
		if l, err := parseListed(other, ruleReply(t, ours)); err != nil || l.Text != OtherShape {
			t.Errorf("in %v it is read as %+v (%v)", other, l, err)
		}
	}
}
