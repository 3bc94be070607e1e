package lab

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"slices"

	"snatlab/harness/probe"
	"snatlab/harness/scenario"
)

// Probes are the probes of a lab and the addresses they have. Drivers embed
// them: once they stand, it does not matter where.
type Probes struct {
	clients   []*probe.Client
	addresses []netip.Addr // of the clients
	server    *probe.Server
	address   netip.Addr // of the server
}

// AddClient adds the next client.
func (p *Probes) AddClient(c *probe.Client, at netip.Addr) {
	p.clients, p.addresses = append(p.clients, c), append(p.addresses, at)
}

// SetServer says which the server is.
func (p *Probes) SetServer(s *probe.Server, at netip.Addr) { p.server, p.address = s, at }

// Clients are in the order of their indices.
func (p *Probes) Clients() []*probe.Client { return p.clients }

// ClientAddresses are in the order of the clients.
func (p *Probes) ClientAddresses() []netip.Addr { return p.addresses }

// ServerProbe is the conversation with the server.
func (p *Probes) ServerProbe() *probe.Server { return p.server }

// ServerAddress is where clients reach the server.
func (p *Probes) ServerAddress() netip.Addr { return p.address }

// firstPort is the server port of the first trial, where all are free.
const firstPort = 20_000

// Listen opens the server port of a trial.
func (p *Probes) Listen(ctx context.Context, trial int) (netip.AddrPort, error) {
	port := firstPort + trial
	if ports := p.server.Hello.Ports; ports != nil {
		port = int(ports.First) + trial
	}
	return netip.AddrPortFrom(p.address, uint16(port)), p.server.Listen(ctx, uint16(port))
}

// Finish closes the port that is open.
func (p *Probes) Finish(ctx context.Context) (*probe.Served, error) { return p.server.Finish(ctx) }

// Connections gives the source and the destination of what the clients sent to
// a server; ports are those that each client, by its index, connected from.
func (p *Probes) Connections(server netip.AddrPort, ports [][]scenario.PortRange) iter.Seq2[netip.AddrPort, netip.AddrPort] {
	return func(yield func(source, destination netip.AddrPort) bool) {
		for i, ranges := range ports {
			for _, r := range ranges {
				for port := int(r.First); port <= int(r.Last); port++ {
					if !yield(netip.AddrPortFrom(p.addresses[i], uint16(port)), server) {
						return
					}
				}
			}
		}
	}
}

// ByClient sorts the states of entries by the client whose they are.
func (p *Probes) ByClient(states map[netip.AddrPort]string) []map[uint16]string {
	sorted := make([]map[uint16]string, len(p.addresses))
	for i := range sorted {
		sorted[i] = map[uint16]string{}
	}
	for source, state := range states {
		if i := slices.Index(p.addresses, source.Addr()); i >= 0 {
			sorted[i][source.Port()] = state
		}
	}
	return sorted
}

// HangUp ends the conversations with the probes.
func (p *Probes) HangUp() error {
	var errs []error
	for _, c := range p.clients {
		errs = append(errs, c.Close())
	}
	if p.server != nil {
		errs = append(errs, p.server.Close())
	}
	return errors.Join(errs...)
}
