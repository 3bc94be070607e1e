package snat_test

import (
	"net/netip"
	"strings"
	"testing"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
)

// Check accepts the options of every rule that can be written, and names what is
// wrong with the others.
func TestCheck(t *testing.T) {
	t.Parallel()
	for o := range nattest.RuleEnds {
		if err := o.Check(); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for o, want := range nattest.Contradictions {
		if err := o.Check(); err == nil || err.Error() != want {
			t.Errorf("%+v: error %v, want %s", o, err, want)
		}
	}
}

// A range is parsed from its own text, and from a network.
func TestParseRanges(t *testing.T) {
	t.Parallel()
	for _, r := range []snat.PortRange{nattest.TenPorts, nattest.OnePort} {
		if got := snat.ParsePorts(r.String()); got != r {
			t.Errorf("%v is parsed as %v", r, got)
		}
	}
	for _, r := range []snat.AddressRange{
		nattest.OneAddress, nattest.FourAddresses, nattest.SomeAddresses, nattest.OneAddress6, nattest.FourAddresses6, nattest.SomeAddresses6,
	} {
		if got := snat.ParseAddresses(r.String()); got != r {
			t.Errorf("%v is parsed as %v", r, got)
		}
	}
	for text, want := range map[string]snat.AddressRange{"192.0.2.16/30": nattest.FourAddresses, "2001:2:0:1::20/126": nattest.FourAddresses6} {
		if got := snat.ParseAddresses(text); got != want {
			t.Errorf("the network %s is parsed as %v", text, got)
		}
	}
	for _, text := range []string{"", "-", "1-2-3", "65536", "-1", "a-b", "192.0.2.1-", "2001:db8::1-", "2001:db8::/129", "192.0.2.0/33", "[2001:db8::1]"} {
		if got := snat.ParsePorts(text); got != (snat.PortRange{}) {
			t.Errorf("%q is parsed as the ports %v", text, got)
		}
		if got := snat.ParseAddresses(text); got != (snat.AddressRange{}) {
			t.Errorf("%q is parsed as the addresses %v", text, got)
		}
	}
}

// The target of a rule is parsed from its own text, and from nft's.
func TestParseTarget(t *testing.T) {
	t.Parallel()
	for o := range nattest.RuleEnds {
		if o.ToSource == (snat.AddressRange{}) {
			continue
		}
		if addresses, ports := snat.ParseTarget(o.Target()); addresses != o.ToSource || ports != o.ToPorts {
			t.Errorf("%s is parsed as %v and %v", o.Target(), addresses, ports)
		}
	}
	for text, want := range map[string]snat.Options{
		"[2001:2:0:1::11]-[2001:2:0:1::15]:20000-20009": {ToSource: nattest.SomeAddresses6, ToPorts: nattest.TenPorts},
		"2001:2:0:1::20/126:20000":                      {ToSource: nattest.FourAddresses6, ToPorts: nattest.OnePort},
		"192.0.2.16/30:20000":                           {ToSource: nattest.FourAddresses, ToPorts: nattest.OnePort},
		"":                                              {}, ":": {}, "[]:": {}, "a:b": {},
		"192.0.2.11:": {ToSource: nattest.OneAddress},
		":20000":      {ToPorts: nattest.OnePort},
	} {
		if addresses, ports := snat.ParseTarget(text); addresses != want.ToSource || ports != want.ToPorts {
			t.Errorf("%q is parsed as %v and %v", text, addresses, ports)
		}
	}
}

// A rule has addresses of the family of its clients only, and such a server.
func TestFamilies(t *testing.T) {
	t.Parallel()
	for _, n := range []nattest.Network{nattest.IPv4, nattest.IPv6} {
		for _, o := range n.Options() {
			if err := o.CheckFor(n.Subnet); err != nil {
				t.Errorf("%+v: %v", o, err)
			}
			if err := o.CheckFor(n.Other().Subnet); (err == nil) != (o.ToSource == snat.AddressRange{}) {
				t.Errorf("%+v for %v: %v", o, n.Other().Subnet, err)
			}
		}
		for server, want := range map[netip.Prefix]bool{
			snat.ServerAt(n.ServerAddress): true, n.Out: true, snat.ServerAt(n.Other().ServerAddress): false, n.Other().Out: false,
			netip.PrefixFrom(n.ServerAddress, n.Out.Bits()): false, netip.PrefixFrom(n.Out.Addr(), n.Out.Bits()+1): false,
			netip.PrefixFrom(n.Out.Addr(), 0): false, netip.MustParsePrefix("::ffff:192.0.2.0/120"): false, {}: false,
		} {
			if got := snat.IsServer(server, n.Subnet); got != want {
				t.Errorf("%v is a server for %v: %v", server, n.Subnet, got)
			}
		}
	}
}

// A part of the connections is a share of them, or one client with ports of its own.
func TestPart(t *testing.T) {
	t.Parallel()
	for _, n := range []nattest.Network{nattest.IPv4, nattest.IPv6} {
		one, _, _ := n.Ranges()
		other, _, _ := n.Other().Ranges()
		client, ports := netip.PrefixFrom(n.ClientAddress, n.ClientAddress.BitLen()), snat.Options{ToSource: one, ToPorts: nattest.TenPorts}
		const noClient, noTarget = " is not a client of ", "a rule for one client requires addresses and ports to translate to"
		for _, c := range []struct {
			part snat.Part
			want string // a part of the error; empty: none
		}{
			{snat.Part{Options: snat.Options{RandomFully: true, PerMillion: 1}}, ""},
			{snat.Part{Source: client, Options: ports}, ""},
			{snat.Part{}, "a rule for a part of the connections requires one client or a share"},
			{snat.Part{Options: ports}, "a rule for a part of the connections requires one client or a share"},
			{snat.Part{Source: n.Subnet, Options: ports}, noClient},
			{snat.Part{Source: snat.ServerAt(n.ServerAddress), Options: ports}, noClient},
			{snat.Part{Source: snat.ServerAt(n.Other().ClientAddress), Options: ports}, noClient},
			{snat.Part{Source: client, Options: snat.Options{ToSource: one}}, noTarget},
			{snat.Part{Source: client, Options: snat.Options{ToPorts: nattest.TenPorts}}, noTarget},
			{snat.Part{Source: client, Options: snat.Options{ToSource: other, ToPorts: nattest.TenPorts}}, " is not a range of "},
			{snat.Part{Source: client, Options: snat.Options{ToSource: one, ToPorts: nattest.TenPorts, PerMillion: 1}}, "a rule for one client is for all of its connections"},
		} {
			if err := c.part.Check(n.Subnet); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v of %v: error %v, want %s", c.part, n.Subnet, err, c.want)
			}
		}
	}
}
