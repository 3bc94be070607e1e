// Package network holds the addresses of labs in each family, and the values by which a
// scenario writes addresses.
package network

import (
	"net/netip"

	"snatlab/harness/result"
)

// The ranges of the addresses of every lab. They are reserved for benchmarks, so no real
// network uses them.
var (
	LabsIPv4 = netip.MustParsePrefix("198.18.0.0/15") // RFC 2544
	LabsIPv6 = netip.MustParsePrefix("2001:2::/48")   // RFC 5180
)

// Labs returns the range of a family, result.IPv4 or result.IPv6. An empty name is that of
// IPv4.
func Labs(family string) netip.Prefix {
	if family == result.IPv6 {
		return LabsIPv6
	}
	return LabsIPv4
}

// Example returns an address of a family that a netns lab does not have.
func Example(family string) netip.Addr {
	if family == result.IPv6 {
		return netip.MustParseAddr("2001:2:0:f::1")
	}
	return netip.MustParseAddr("198.19.0.1")
}

// IsLab reports whether an address is in the range of the labs of its family.
func IsLab(a netip.Addr) bool { return LabsIPv4.Contains(a) || LabsIPv6.Contains(a) }

// Plan holds the two networks of a netns lab. They exist only in its namespaces, so every lab has
// the same ones. In both, the router has the first address, and the clients or the server
// have the next ones.
type Plan struct {
	Clients netip.Prefix
	Server  netip.Prefix
}

// NetnsPlan returns the networks of a netns lab of a family.
func NetnsPlan(family string) Plan {
	if family == result.IPv6 {
		return Plan{netip.MustParsePrefix("2001:2::/64"), netip.MustParsePrefix("2001:2:0:1::/64")}
	}
	return Plan{netip.MustParsePrefix("198.18.0.0/24"), netip.MustParsePrefix("198.18.1.0/24")}
}

// ClientGateway returns the address of the router in the clients' network, with the length
// of the network.
func (p Plan) ClientGateway() netip.Prefix { return at(p.Clients, 1) }

// Client returns the address of a client, from 0 on.
func (p Plan) Client(i int) netip.Prefix { return at(p.Clients, 2+i) }

// ServerGateway returns the address of the router in the server's network.
func (p Plan) ServerGateway() netip.Prefix { return at(p.Server, 1) }

// Backend returns the address of a backend, from 0 on. The first one is the server's own.
func (p Plan) Backend(i int) netip.Prefix { return at(p.Server, 2+i) }

// Service returns the address of the service of a lab whose server's network is this one:
// with IPv4 the last one before that of the broadcasts, with IPv6 that with the same last
// byte.
func Service(server netip.Prefix) netip.Addr { return at(server.Masked(), 254).Addr() }

// at returns the n-th address of a network, from 0 to 255.
func at(network netip.Prefix, n int) netip.Prefix {
	bytes := network.Addr().AsSlice()
	bytes[len(bytes)-1] += byte(n)
	address, _ := netip.AddrFromSlice(bytes) // it has the length of the family
	return netip.PrefixFrom(address, network.Bits())
}

// Describe returns the use of an address in a netns lab with so many clients and backends,
// if connections cannot be translated to it; empty if they can.
func (p Plan) Describe(a netip.Addr, clients, backends int) string {
	if a == p.ClientGateway().Addr() || a == p.ServerGateway().Addr() {
		return "the router's own address"
	}
	for i := range clients {
		if a == p.Client(i).Addr() {
			return "a client's own address"
		}
	}
	for i := range max(1, backends) {
		switch {
		case a != p.Backend(i).Addr():
		case i == 0:
			return "the server's own address"
		default:
			return "the address of a backend"
		}
	}
	switch {
	case backends > 0 && a == Service(p.Server):
		return "the address of the service"
	case a.Is4() && a == at(p.Server, 255).Addr():
		return "the broadcast address of the server's network"
	case a == p.Server.Addr():
		// IPv4: before Linux 5.14 this is a second broadcast address (fib_add_ifaddr in
		// net/ipv4/fib_frontend.c). IPv6: that of any router (RFC 4291, 2.6.1).
		return "the address of the server's network itself"
	}
	return ""
}
