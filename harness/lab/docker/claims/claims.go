// Package claims finds out which addresses are taken, by this host or by a network of its
// engine, and picks networks that are free.
package claims

import (
	"context"
	"fmt"
	"net/netip"

	dockernet "github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/machine"
)

// Claim is a range of addresses that is taken.
type Claim struct {
	Prefix netip.Prefix
	By     func() string // describes its owner: `Docker network "shop" has 198.18.0.0/24`
}

// List lists the taken ranges, those of the engine's networks first: they describe an
// address best. Engine is the name of the engine in a sentence.
func List(ctx context.Context, docker *client.Client, engine string) ([]Claim, error) {
	networks, err := listNetworks(ctx, docker, engine)
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	addresses, err := listAddresses()
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	routes, err := listRoutes()
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	return append(append(networks, addresses...), routes...), nil
}

// listNetworks lists the subnets of the engine's networks, in use or not.
func listNetworks(ctx context.Context, docker *client.Client, engine string) (all []Claim, err error) {
	networks, err := docker.NetworkList(ctx, dockernet.ListOptions{})
	for _, n := range networks {
		for _, c := range n.IPAM.Config {
			if p, err := netip.ParsePrefix(c.Subnet); err == nil {
				all = append(all, Claim{p.Masked(), func() string { return fmt.Sprintf("%s network %q has %v", engine, n.Name, p.Masked()) }})
			}
		}
	}
	return all, err
}

// listAddresses lists the addresses of this host's interfaces.
func listAddresses() (all []Claim, err error) {
	addresses, err := machine.ListByNetlink(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	for _, a := range addresses {
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			ip = ip.Unmap()
			all = append(all, Claim{netip.PrefixFrom(ip, ip.BitLen()), func() string { return "this host has it, on " + linkName(a.LinkIndex) }})
		}
	}
	return all, err
}

// listRoutes lists the destinations of this host's routes, in all tables: a VPN
// may have a table of its own. The default route claims nothing, nor do the halves or
// smaller parts of the default route that a VPN replaces it by.
func listRoutes() (all []Claim, err error) {
	every := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
	routes, err := machine.ListByNetlink(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_ALL, every, netlink.RT_FILTER_TABLE)
	})
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		if p, err := netip.ParsePrefix(r.Dst.String()); err == nil && p.Bits() >= 8 {
			all = append(all, Claim{p, func() string { return describeRoute(p, r) }})
		}
	}
	return all, err
}

func describeRoute(to netip.Prefix, r netlink.Route) string {
	text := fmt.Sprintf("this host has a route to %v, in table %d", to, r.Table)
	if r.LinkIndex != 0 { // a blackhole has none
		text += ", by " + linkName(r.LinkIndex)
	}
	return text
}

// linkName returns the name of an interface, or its number if the interface is gone.
func linkName(index int) string {
	link, err := netlink.LinkByIndex(index)
	if err != nil {
		return fmt.Sprintf("interface %d", index)
	}
	return link.Attrs().Name
}

// SubnetBits returns the length of the networks that a lab has in a pool: /24 with IPv4, /64
// with IPv6.
func SubnetBits(pool netip.Prefix) int {
	if pool.Addr().Is4() {
		return 24
	}
	return 64
}

// PickSubnets returns up to n of the pool's networks that overlap no taken one, and one of
// the taken networks that overlaps some of them.
func PickSubnets(pool netip.Prefix, taken []netip.Prefix, n int) (free []netip.Prefix, blocker netip.Prefix) {
	bits := SubnetBits(pool)
	for a := pool.Addr(); pool.Contains(a) && len(free) < n; a = nextSubnet(a, bits) {
		candidate := netip.PrefixFrom(a, bits)
		blocked := false
		for _, t := range taken {
			if t.Overlaps(candidate) {
				blocked, blocker = true, t
			}
		}
		if !blocked {
			free = append(free, candidate)
		}
	}
	return free, blocker
}

// nextSubnet returns the address of the network that follows the network of a. Bits is a
// multiple of 8.
func nextSubnet(a netip.Addr, bits int) netip.Addr {
	b := a.AsSlice()
	for i := bits/8 - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			break
		}
	}
	next, _ := netip.AddrFromSlice(b) // it has the length of the family
	return next
}
