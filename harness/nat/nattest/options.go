package nattest

import (
	"net/netip"
	"slices"

	"snatlab/harness/nat/snat"
)

// Ranges of ports and of addresses. FourAddresses make a network, and nft prints
// them as one.
var (
	TenPorts      = snat.PortRange{First: 20_000, Last: 20_009}
	OnePort       = snat.PortRange{First: 20_000, Last: 20_000}
	OneAddress    = snat.AddressRange{First: netip.MustParseAddr("192.0.2.11"), Last: netip.MustParseAddr("192.0.2.11")}
	FourAddresses = snat.AddressRange{First: netip.MustParseAddr("192.0.2.16"), Last: netip.MustParseAddr("192.0.2.19")}
	SomeAddresses = snat.AddressRange{First: netip.MustParseAddr("192.0.2.11"), Last: netip.MustParseAddr("192.0.2.15")}

	OneAddress6    = snat.AddressRange{First: netip.MustParseAddr("2001:2:0:1::11"), Last: netip.MustParseAddr("2001:2:0:1::11")}
	FourAddresses6 = snat.AddressRange{First: netip.MustParseAddr("2001:2:0:1::20"), Last: netip.MustParseAddr("2001:2:0:1::23")}
	SomeAddresses6 = snat.AddressRange{First: netip.MustParseAddr("2001:2:0:1::11"), Last: netip.MustParseAddr("2001:2:0:1::15")}
)

// Ranges returns one address, four that make a network and some that make none, in the
// family of the network.
func (n Network) Ranges() (one, four, some snat.AddressRange) {
	if n == IPv6 {
		return OneAddress6, FourAddresses6, SomeAddresses6
	}
	return OneAddress, FourAddresses, SomeAddresses
}

// RuleEnds holds the end of a rule with each set of options, as each program
// prints it. Options with addresses are for rules of the same family.
var RuleEnds = map[snat.Options]struct{ IPTables, NFTables string }{
	{}:                  {"-j MASQUERADE", "counter masquerade"},
	{Random: true}:      {"-j MASQUERADE --random", "counter masquerade random"},
	{RandomFully: true}: {"-j MASQUERADE --random-fully", "counter masquerade fully-random"},
	{ToPorts: TenPorts}: {"-p tcp -j MASQUERADE --to-ports 20000-20009", "meta l4proto tcp counter masquerade to :20000-20009"},
	{ToPorts: OnePort}:  {"-p tcp -j MASQUERADE --to-ports 20000", "meta l4proto tcp counter masquerade to :20000"},
	{ToPorts: TenPorts, UDP: true, RandomFully: true}: {
		"-p udp -j MASQUERADE --to-ports 20000-20009 --random-fully", "meta l4proto udp counter masquerade to :20000-20009 fully-random"},
	{ToPorts: TenPorts, Random: true}: {
		"-p tcp -j MASQUERADE --to-ports 20000-20009 --random", "meta l4proto tcp counter masquerade to :20000-20009 random"},
	{ToPorts: TenPorts, RandomFully: true}: {
		"-p tcp -j MASQUERADE --to-ports 20000-20009 --random-fully", "meta l4proto tcp counter masquerade to :20000-20009 fully-random"},
	{ToPorts: OnePort, RandomFully: true}: {
		"-p tcp -j MASQUERADE --to-ports 20000 --random-fully", "meta l4proto tcp counter masquerade to :20000 fully-random"},
	{ToSource: OneAddress}:    {"-j SNAT --to-source 192.0.2.11", "counter snat to 192.0.2.11"},
	{ToSource: SomeAddresses}: {"-j SNAT --to-source 192.0.2.11-192.0.2.15", "counter snat to 192.0.2.11-192.0.2.15"},
	{ToSource: FourAddresses}: {"-j SNAT --to-source 192.0.2.16-192.0.2.19", "counter snat to 192.0.2.16/30"},
	{ToSource: OneAddress, Random: true}: {
		"-j SNAT --to-source 192.0.2.11 --random", "counter snat to 192.0.2.11 random"},
	{ToSource: OneAddress, RandomFully: true}: {
		"-j SNAT --to-source 192.0.2.11 --random-fully", "counter snat to 192.0.2.11 fully-random"},
	{ToSource: SomeAddresses, RandomFully: true}: {
		"-j SNAT --to-source 192.0.2.11-192.0.2.15 --random-fully", "counter snat to 192.0.2.11-192.0.2.15 fully-random"},
	{ToSource: OneAddress, ToPorts: TenPorts}: {
		"-p tcp -j SNAT --to-source 192.0.2.11:20000-20009", "meta l4proto tcp counter snat to 192.0.2.11:20000-20009"},
	{ToSource: SomeAddresses, ToPorts: TenPorts, UDP: true, RandomFully: true, Persistent: true}: {
		"-p udp -j SNAT --to-source 192.0.2.11-192.0.2.15:20000-20009 --random-fully --persistent",
		"meta l4proto udp counter snat to 192.0.2.11-192.0.2.15:20000-20009 fully-random,persistent"},
	{ToSource: OneAddress, ToPorts: OnePort, Random: true}: {
		"-p tcp -j SNAT --to-source 192.0.2.11:20000 --random", "meta l4proto tcp counter snat to 192.0.2.11:20000 random"},
	{ToSource: SomeAddresses, Persistent: true}: {
		"-j SNAT --to-source 192.0.2.11-192.0.2.15 --persistent", "counter snat to 192.0.2.11-192.0.2.15 persistent"},
	{ToSource: FourAddresses, RandomFully: true}: {
		"-j SNAT --to-source 192.0.2.16-192.0.2.19 --random-fully", "counter snat to 192.0.2.16/30 fully-random"},
	{ToSource: OneAddress6}: {"-j SNAT --to-source 2001:2:0:1::11", "counter snat to 2001:2:0:1::11"},
	{ToSource: SomeAddresses6}: {
		"-j SNAT --to-source 2001:2:0:1::11-2001:2:0:1::15", "counter snat to 2001:2:0:1::11-2001:2:0:1::15"},
	{ToSource: FourAddresses6}: {
		"-j SNAT --to-source 2001:2:0:1::20-2001:2:0:1::23", "counter snat to 2001:2:0:1::20/126"},
	{ToSource: OneAddress6, Random: true}: {
		"-j SNAT --to-source 2001:2:0:1::11 --random", "counter snat to 2001:2:0:1::11 random"},
	{ToSource: SomeAddresses6, RandomFully: true}: {
		"-j SNAT --to-source 2001:2:0:1::11-2001:2:0:1::15 --random-fully", "counter snat to 2001:2:0:1::11-2001:2:0:1::15 fully-random"},
	{ToSource: OneAddress6, ToPorts: TenPorts}: {
		"-p tcp -j SNAT --to-source [2001:2:0:1::11]:20000-20009", "meta l4proto tcp counter snat to [2001:2:0:1::11]:20000-20009"},
	{ToSource: SomeAddresses6, ToPorts: TenPorts, UDP: true, RandomFully: true, Persistent: true}: {
		"-p udp -j SNAT --to-source [2001:2:0:1::11-2001:2:0:1::15]:20000-20009 --random-fully --persistent",
		"meta l4proto udp counter snat to [2001:2:0:1::11]-[2001:2:0:1::15]:20000-20009 fully-random,persistent"},
	{ToSource: OneAddress6, ToPorts: OnePort, Random: true}: {
		"-p tcp -j SNAT --to-source [2001:2:0:1::11]:20000 --random", "meta l4proto tcp counter snat to [2001:2:0:1::11]:20000 random"},
	{ToSource: SomeAddresses6, Persistent: true}: {
		"-j SNAT --to-source 2001:2:0:1::11-2001:2:0:1::15 --persistent", "counter snat to 2001:2:0:1::11-2001:2:0:1::15 persistent"},
}

// Options are all options in RuleEnds that a rule of the network can have.
func (n Network) Options() (all []snat.Options) {
	for o := range RuleEnds {
		if o.ToSource == (snat.AddressRange{}) || NetworkOf(o.ToSource.First) == n {
			all = append(all, o)
		}
	}
	return all
}

// Rewritings are those options that change the rule.
func (n Network) Rewritings() []snat.Options {
	return slices.DeleteFunc(n.Options(), func(o snat.Options) bool { return o == snat.Options{} })
}

// Rewritings are those of the network in IPv4.
var Rewritings = IPv4.Rewritings()

// Contradictions are options that no rule can have, with the reasons.
var Contradictions = map[snat.Options]string{
	{UDP: true}:        "without ports to translate to, a rule is for all protocols",
	{Persistent: true}: "without addresses to translate to, a rule is not persistent",
	{PerMillion: 1}:    "a rule for a part of the connections is random-fully and nothing else, or has ports to translate to",
	{RandomFully: true, PerMillion: 1, ToSource: OneAddress}:                "a rule for a part of the connections is random-fully and nothing else, or has ports to translate to",
	{RandomFully: true, PerMillion: snat.Million}:                           "1000000 of 1000000 connections are no part of them",
	{Random: true, RandomFully: true}:                                       "random and random-fully exclude each other",
	{ToPorts: TenPorts, Persistent: true}:                                   "without addresses to translate to, a rule is not persistent",
	{ToPorts: snat.PortRange{First: 0, Last: 1024}}:                         "0-1024 is not a range of ports",
	{ToPorts: snat.PortRange{First: 1024}}:                                  "1024-0 is not a range of ports",
	{ToPorts: snat.PortRange{First: 2000, Last: 1999}}:                      "2000-1999 is not a range of ports",
	{ToSource: snat.AddressRange{First: OutAddress}}:                        "192.0.2.1-invalid IP is not a range of IPv4 addresses",
	{ToSource: snat.AddressRange{Last: OutAddress}}:                         "invalid IP-192.0.2.1 is not a range of IPv4 addresses",
	{ToSource: swapped(SomeAddresses)}:                                      "192.0.2.15-192.0.2.11 is not a range of IPv4 addresses",
	{ToSource: swapped(SomeAddresses6)}:                                     "2001:2:0:1::15-2001:2:0:1::11 is not a range of IPv6 addresses",
	{ToSource: both(netip.MustParseAddr("fe80::1%out"))}:                    "fe80::1%out is not a range of IPv6 addresses",
	{ToSource: snat.AddressRange{First: OutAddress, Last: IPv6.OutAddress}}: "192.0.2.1-2001:2:0:1::1 is not a range of IPv4 addresses",
	{ToSource: both(netip.MustParseAddr("::ffff:192.0.2.1"))}:               "::ffff:192.0.2.1 is not a range of IPv4 addresses",
}

func swapped(a snat.AddressRange) snat.AddressRange {
	return snat.AddressRange{First: a.Last, Last: a.First}
}
func both(a netip.Addr) snat.AddressRange { return snat.AddressRange{First: a, Last: a} }
