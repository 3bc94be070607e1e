package docker

import (
	"context"
	"fmt"

	"snatlab/harness/lab/docker/firewall"
	"snatlab/harness/machine"
	"snatlab/harness/nat/iptables"
)

// forwarding are the sysctls that Docker sets for the whole host, for good, when it makes
// its first network with IPv6. A host that forwards no longer asks routers for its own
// routes (accept_ra), so a run leaves that to its owner.
var forwarding = []string{"net.ipv6.conf.all.forwarding", "net.ipv6.conf.default.forwarding"}

// CheckIPv6 checks whether labs on a host that has passed Preflight could have IPv6.
func (h *Host) CheckIPv6(ctx context.Context) machine.Precondition {
	p := h.checkIPv6Networks()
	if p.State == machine.Met {
		_, rules := firewall.CheckIPTables(ctx, iptables.IPv6, h.info.ServerVersion)
		p.State, p.Found, p.Remedy = rules.State, rules.Found, rules.Remedy
		if p.State == machine.Met {
			p.Found = "ip6tables " + p.Found
		}
	}
	p.Advisory = true
	return p
}

// checkIPv6Networks checks whether networks with IPv6 can be made, and would change nothing
// else on this host.
func (h *Host) checkIPv6Networks() machine.Precondition {
	p := machine.Precondition{Name: ipv6, State: machine.Unmet}
	switch {
	case h.docker == nil || h.info.ServerVersion == "":
		p.State, p.Found = machine.Unknown, "no engine to look at"
		return p
	case h.isPodman():
		p.Found, p.Remedy = "IPv6 is supported on Docker, and not on Podman", "use driver netns"
		return p
	case h.usesNFTables():
		p.Found, p.Remedy = "IPv6 is supported with Docker's iptables backend, and not with that of nftables", "use driver netns"
		return p
	}
	for _, name := range forwarding {
		value, err := machine.ReadSysctl(name)
		switch {
		case err != nil:
			p.Found, p.Remedy = err.Error(), "the kernel has no IPv6, or it is disabled"
			return p
		case value != "1":
			p.Found = fmt.Sprintf("%s is %s, and Docker would set it to 1 for good with the first network of IPv6", name, value)
			p.Remedy = "if this host may forward IPv6: sysctl -w " + forwarding[0] + "=1 " + forwarding[1] + "=1"
			return p
		}
	}
	p.State, p.Found = machine.Met, "this host forwards it"
	return p
}
