package lab

import (
	"context"
	"iter"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"snatlab/harness/conntrack"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// LookUpEntries returns the states of the conntrack entries of clients' connections to a
// server, for each client by source port, in the namespace of the calling thread. Ports
// are those that each client connected from.
func LookUpEntries(ctx context.Context, protocol string, clients []netip.Addr, server netip.AddrPort, ports [][]scenario.PortRange) ([]map[uint16]string, error) {
	states, err := conntrack.LookUpStates(ctx, protocolNumber(protocol), listConnections(clients, server, ports))
	sorted := make([]map[uint16]string, len(clients))
	for i := range sorted {
		sorted[i] = map[uint16]string{}
	}
	for source, state := range states {
		if i := slices.Index(clients, source.Addr()); i >= 0 {
			sorted[i][source.Port()] = state
		}
	}
	return sorted, err
}

// ForgetEntries deletes these entries, and no others.
func ForgetEntries(ctx context.Context, protocol string, clients []netip.Addr, server netip.AddrPort, ports [][]scenario.PortRange) error {
	return conntrack.DeleteEntries(ctx, protocolNumber(protocol), listConnections(clients, server, ports))
}

// protocolNumber returns the number of a load's protocol in IP headers.
func protocolNumber(protocol string) uint8 {
	if protocol == result.UDP {
		return unix.IPPROTO_UDP
	}
	return unix.IPPROTO_TCP
}

// listConnections yields the source and the destination of each connection.
func listConnections(clients []netip.Addr, server netip.AddrPort, ports [][]scenario.PortRange) iter.Seq2[netip.AddrPort, netip.AddrPort] {
	return func(yield func(source, destination netip.AddrPort) bool) {
		for i, ranges := range ports {
			for _, r := range ranges {
				for port := int(r.First); port <= int(r.Last); port++ {
					if !yield(netip.AddrPortFrom(clients[i], uint16(port)), server) {
						return
					}
				}
			}
		}
	}
}
