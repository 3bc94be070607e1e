package docker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	dockernet "github.com/docker/docker/api/types/network"
)

// A shared network exists already, and other containers use it. The clients join it,
// and its rule is rewritten during trials. It is never made, and never removed.

// The options of bridge networks that are checked.
const (
	bridgeName   = "com.docker.network.bridge.name"
	ipMasquerade = "com.docker.network.bridge.enable_ip_masquerade"
	gatewayMode  = "com.docker.network.bridge.gateway_mode_ipv4" // Docker 27
	gatewayMode6 = "com.docker.network.bridge.gateway_mode_ipv6"
)

// findNetwork finds the shared network, if the scenario names one, and its rule.
func (l *dockerLab) findNetwork(ctx context.Context) error {
	if l.config.Network == "" {
		return nil
	}
	l.Say("looking for network " + l.config.Network)
	if l.host.isPodman() {
		return l.findPodmanNetwork(ctx)
	}
	info, err := l.host.docker.NetworkInspect(ctx, l.config.Network, dockernet.InspectOptions{})
	if err != nil {
		return fmt.Errorf("find network %s: %w (see `docker network ls`)", l.config.Network, err)
	}
	if l.clientNet, err = readBridge(info); err != nil {
		return fmt.Errorf("network %s: %w; a bridge network that masquerades is required", info.Name, err)
	}
	if err := l.findRule(ctx); err != nil {
		return fmt.Errorf("network %s: %w", info.Name, err)
	}
	if l.Rule != nil {
		l.Rule.OutlivesRun = true
	}
	return nil
}

// readBridge returns the interface and the subnet of a bridge network. If the
// network's connections are not masqueraded, it returns an error with the reason.
func readBridge(info dockernet.Inspect) (labNetwork, error) {
	n := labNetwork{name: info.Name, bridge: info.Options[bridgeName]}
	masquerade, err := strconv.ParseBool(info.Options[ipMasquerade])
	switch mode := info.Options[gatewayMode]; {
	case info.Driver != "bridge":
		return n, fmt.Errorf("its driver is %s", info.Driver)
	case info.Internal:
		return n, errors.New("it is internal, so nothing leaves it")
	case err == nil && !masquerade:
		return n, fmt.Errorf("it does not masquerade (%s is false)", ipMasquerade)
	case mode == "routed", mode == "isolated":
		return n, fmt.Errorf("it does not masquerade (%s is %s)", gatewayMode, mode)
	}
	if n.bridge == "" {
		n.bridge = "br-" + info.ID[:min(12, len(info.ID))]
	}
	for _, c := range info.IPAM.Config {
		if subnet, err := netip.ParsePrefix(c.Subnet); err == nil && subnet.Addr().Is4() {
			n.subnet = subnet.Masked()
			return n, nil
		}
	}
	return n, errors.New("it has no IPv4 subnet")
}
