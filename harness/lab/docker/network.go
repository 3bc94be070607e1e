package docker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/filters"
	dockernet "github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"

	"snatlab/harness/lab/docker/claims"
	"snatlab/harness/lab/docker/halfmade"
	"snatlab/harness/lab/docker/podman"
	"snatlab/harness/nat"
	"snatlab/harness/result"
	"snatlab/harness/scenario/network"
)

// labNetwork is a bridge network of the lab.
type labNetwork struct {
	name   string
	bridge string       // interface
	subnet netip.Prefix // of the lab's family
}

// makeNetworks makes the networks, except one for the clients that exists already,
// and accepts the lab's packets between them.
func (l *dockerLab) makeNetworks(ctx context.Context) error {
	l.Say("making the networks")
	free, err := l.host.freeSubnets(ctx, 2, l.listArmAddresses()...)
	if err != nil {
		return err
	}
	if l.config.Network == "" {
		if l.clientNet, err = l.makeNetwork(ctx, "clients", free[0]...); err != nil {
			return err
		}
		if err := l.findRule(ctx); err != nil {
			return err
		}
	}
	if l.config.Server.IsValid() {
		return nil
	}
	if l.serverNet, err = l.makeNetwork(ctx, "server", free[1]...); err != nil {
		return err
	}
	l.Outgoing = l.serverNet.bridge
	if l.host.usesNFTables() || l.host.isPodman() {
		return nil // their networks accept packets for a server: by nat-unprotected, or without isolation
	}
	tables := l.iptables()
	return errors.Join(
		nat.InsertAccept(ctx, l.Journal, tables, l.clientNet.bridge, l.serverNet.bridge),
		nat.InsertAccept(ctx, l.Journal, tables, l.serverNet.bridge, l.clientNet.bridge))
}

// makeNetwork makes a network with these subnets, the last of which is of the lab's family.
func (l *dockerLab) makeNetwork(ctx context.Context, part string, subnets ...netip.Prefix) (labNetwork, error) {
	subnet := subnets[len(subnets)-1]
	n := labNetwork{
		name:   l.containerName(part),
		bridge: nameBridge(l.config.Run, part),
		subnet: subnet,
	}
	var pools []dockernet.IPAMConfig
	for _, s := range subnets {
		pools = append(pools, dockernet.IPAMConfig{Subnet: s.String()})
	}
	options := dockernet.CreateOptions{
		Driver: "bridge", EnableIPv6: new(subnet.Addr().Is6()),
		IPAM:   &dockernet.IPAM{Config: pools},
		Labels: map[string]string{runLabel: l.config.Run},
		Options: map[string]string{
			bridgeName:   n.bridge,
			ipMasquerade: "true", // whatever the default-network-opts of the daemon are
			// Docker 28 and later drop packets that come from another bridge
			// for a container, unless its network has this option. Older engines
			// do not know the option and ignore it.
			gatewayMode: "nat-unprotected",
		},
	}
	if subnet.Addr().Is6() {
		options.Options[gatewayMode6] = "nat-unprotected"
	}
	_, err := l.Journal.Do(ctx, l.host.networkStep(l.config.Run, n.name), func(ctx context.Context) error {
		if l.host.isPodman() {
			return podman.Create(ctx, l.host.docker, n.name, n.bridge, subnet, options.Labels)
		}
		_, err := l.host.docker.NetworkCreate(ctx, n.name, options)
		return err
	})
	if err != nil {
		return n, fmt.Errorf("create network %s with subnet %v: %w", n.name, subnet, err)
	}
	return n, nil
}

// nameBridge returns the name of the bridge of a network. An interface's name has 15
// characters; the end of the run's id is its random part.
func nameBridge(run, part string) string { return "snat-" + run[max(0, len(run)-6):] + "-" + part[:1] }

// removeNetwork removes a network. If Docker has none of its name, it may have made it
// half-way.
func removeNetwork(ctx context.Context, docker *client.Client, o engineObject) error {
	ours, err := listNetworks(ctx, docker, o)
	if err != nil {
		return err
	}
	for _, n := range ours {
		if err := removeNetworkByID(ctx, docker, n.ID, o.Run); err != nil {
			return err
		}
	}
	if part, named := strings.CutPrefix(o.Name, "snatlab-"+o.Run+"-"); named && len(ours) == 0 {
		return halfmade.Remove(ctx, docker, nameBridge(o.Run, part))
	}
	return nil
}

// listNetworks lists the networks of a step. Networks may share a name; ours have the
// label.
func listNetworks(ctx context.Context, docker *client.Client, o engineObject) ([]dockernet.Summary, error) {
	if err := o.checkName(networkPart); err != nil {
		return nil, err
	}
	labelled, err := docker.NetworkList(ctx, dockernet.ListOptions{Filters: filters.NewArgs(filters.Arg("label", runLabel+"="+o.Run))})
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	return slices.DeleteFunc(labelled, func(n dockernet.Summary) bool {
		return n.Labels[runLabel] != o.Run || n.Name != o.Name && n.ID != o.Name
	}), nil
}

// freeSubnets returns the subnets of n networks, of the lengths of claims.SubnetBits. They
// overlap no route of the host and no network of Docker's, and contain none of the reserved
// addresses. A network of an IPv6 lab has an IPv4 subnet as well: Docker before 28 requires
// one.
func (h *Host) freeSubnets(ctx context.Context, n int, reserved ...netip.Addr) ([][]netip.Prefix, error) {
	all, err := h.listClaims(ctx)
	if err != nil {
		return nil, err
	}
	var taken []netip.Prefix
	for _, c := range all {
		taken = append(taken, c.Prefix)
	}
	for _, a := range reserved {
		taken = append(taken, netip.PrefixFrom(a, a.BitLen()))
	}
	subnets := make([][]netip.Prefix, n)
	for _, pool := range h.pools() {
		free, blocker := claims.PickSubnets(pool, taken, n)
		if len(free) < n {
			return nil, fmt.Errorf("fewer than %d free /%d networks in %v: %v is taken by a route or a Docker network", n, claims.SubnetBits(pool), pool, blocker)
		}
		for i, f := range free {
			subnets[i] = append(subnets[i], f)
		}
	}
	return subnets, nil
}

// pools returns the ranges that a network has a subnet of, that of the lab's family last.
func (h *Host) pools() []netip.Prefix {
	if h.family == result.IPv6 {
		return []netip.Prefix{network.LabsIPv4, network.LabsIPv6}
	}
	return []netip.Prefix{network.LabsIPv4}
}
