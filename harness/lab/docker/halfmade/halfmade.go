// Package halfmade removes what a network leaves whose creation failed half-way: Docker does
// not know such a network, so Docker never removes its bridge and its rules. That happens
// where one of Docker's own chains is gone, or after iptables was switched to its other
// variant.
package halfmade

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/docker/docker/api/types/network"
	"github.com/vishvananda/netlink"

	"snatlab/harness/nat/iptables"
)

// tables are those in which Docker writes rules for a network before it has a container.
var tables = []string{iptables.NATTable, iptables.FilterTable}

// bridgeOption is the option of a network with the name of its bridge.
const bridgeOption = "com.docker.network.bridge.name"

// Engine is the part of the client of the Docker API that is used.
type Engine interface {
	NetworkList(context.Context, network.ListOptions) ([]network.Summary, error)
}

// Remove deletes each rule of iptables that names a bridge, and the bridge. A bridge of a
// network that the engine knows is left alone, whoever made it. What is gone already is no
// error.
func Remove(ctx context.Context, engine Engine, bridge string) error {
	known, err := engine.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		return fmt.Errorf("list networks: %w", err)
	}
	if slices.ContainsFunc(known, func(n network.Summary) bool { return n.Options[bridgeOption] == bridge }) {
		return nil
	}
	return errors.Join(removeRules(ctx, bridge), removeLink(bridge))
}

// removeRules looks into both variants of iptables, for both families. A machine without
// the program has none of its rules.
func removeRules(ctx context.Context, bridge string) error {
	four, _ := iptables.FindInstalled(iptables.IPv4)
	six, _ := iptables.FindInstalled(iptables.IPv6)
	var errs []error
	for _, p := range append(four, six...) {
		for _, table := range tables {
			rules, err := p.ListRulesOf(ctx, table, bridge)
			errs = append(errs, err)
			for _, text := range rules {
				if err := p.DeleteRule(table, text); err != nil {
					errs = append(errs, fmt.Errorf("delete %q from table %s with %s: %w", text, table, p.Path, err))
				}
			}
		}
	}
	return errors.Join(errs...)
}

func removeLink(bridge string) error {
	link, err := netlink.LinkByName(bridge)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err == nil && link.Type() != "bridge" {
		return fmt.Errorf("interface %s is a %s and no bridge, so Docker did not make it", bridge, link.Type())
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		return fmt.Errorf("delete bridge %s: %w", bridge, err)
	}
	return nil
}
