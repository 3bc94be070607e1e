package docker

import (
	"context"
	"fmt"
	"net/netip"

	dockernet "github.com/docker/docker/api/types/network"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/machine"
)

// Addresses are taken if this host has them or a route to them, or if a network of
// Docker's has them. A lab uses no taken address, neither for its networks nor for
// arms that translate to addresses.

// addressClaim is a range of addresses that is taken.
type addressClaim struct {
	prefix netip.Prefix
	by     func() string // describes its owner: `Docker network "shop" has 198.18.0.0/24`
}

// listClaims lists the taken ranges, the closest description of an address first.
func (h *Host) listClaims(ctx context.Context) ([]addressClaim, error) {
	networks, err := h.listNetworkClaims(ctx)
	if err != nil {
		return nil, err
	}
	addresses, err := listAddressClaims()
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	routes, err := listRouteClaims()
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	return append(append(networks, addresses...), routes...), nil
}

// listNetworkClaims lists the subnets of Docker's networks, in use or not.
func (h *Host) listNetworkClaims(ctx context.Context) (all []addressClaim, err error) {
	networks, err := h.docker.NetworkList(ctx, dockernet.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	for _, n := range networks {
		for _, c := range n.IPAM.Config {
			if p, err := netip.ParsePrefix(c.Subnet); err == nil {
				all = append(all, addressClaim{p.Masked(), func() string { return fmt.Sprintf("Docker network %q has %v", n.Name, p.Masked()) }})
			}
		}
	}
	return all, nil
}

// listAddressClaims lists the addresses of this host's interfaces.
func listAddressClaims() (all []addressClaim, err error) {
	addresses, err := machine.ListByNetlink(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_V4) })
	for _, a := range addresses {
		if ip, ok := netip.AddrFromSlice(a.IP.To4()); ok {
			all = append(all, addressClaim{netip.PrefixFrom(ip, 32), func() string { return "this host has it, on " + linkName(a.LinkIndex) }})
		}
	}
	return all, err
}

// listRouteClaims lists the destinations of this host's routes, in all tables: a VPN
// may have a table of its own. The default route claims nothing, nor do the halves or
// smaller parts of the default route that a VPN replaces it by.
func listRouteClaims() (all []addressClaim, err error) {
	every := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
	routes, err := machine.ListByNetlink(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_V4, every, netlink.RT_FILTER_TABLE)
	})
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		if p, err := netip.ParsePrefix(r.Dst.String()); err == nil && p.Bits() >= 8 {
			all = append(all, addressClaim{p, func() string { return describeRoute(p, r) }})
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

// checkAddresses returns an error if one of the addresses is taken. If this host got
// the address of a running container, that container would be cut off.
func (h *Host) checkAddresses(ctx context.Context, wanted []netip.Addr) error {
	if len(wanted) == 0 {
		return nil
	}
	taken, err := h.listClaims(ctx)
	if err != nil {
		return fmt.Errorf("check the addresses that an arm translates to: %w", err)
	}
	for _, a := range wanted {
		for _, t := range taken {
			if t.prefix.Contains(a) {
				return fmt.Errorf("translate to %v: %s (choose addresses that are free, see `docker network ls`, `ip address` and `ip route show table all`)", a, t.by())
			}
		}
	}
	return nil
}
