package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"

	"snatlab/harness/machine"
	"snatlab/harness/nat/service"
	"snatlab/harness/nat/snat"
	"snatlab/harness/result"
	"snatlab/harness/scenario/network"
)

// MakeService gives the lab's own server an address for each of n backends, those that
// follow its own, and has the router translate connections from the clients' network to the
// address of the service to one of them. That is [network.Service]; nothing has it. The clients connect to the service from then
// on. Without backends nothing is made.
func (b *Base) MakeService(ctx context.Context, clients netip.Prefix, n int) error {
	if n == 0 {
		return nil
	}
	if b.inServer == nil {
		return errors.New("a service of a server that is not the lab's own")
	}
	address, backends := network.Service(netip.PrefixFrom(b.address, backendBits(b.address))), []netip.Addr{b.address}
	for len(backends) < n {
		backends = append(backends, backends[len(backends)-1].Next())
	}
	// The namespace of the server ends with the lab, and the addresses with it.
	if err := b.inServer(func() error { return addBackends(ctx, backends) }); err != nil {
		return fmt.Errorf("add the addresses of the backends: %w", err)
	}
	rules := service.Rules{Clients: clients, Address: address, Backends: backends}
	if err := b.Router(func() error { return service.Insert(ctx, b.Journal, rules) }); err != nil {
		return err
	}
	b.address, b.backends = address, backends
	return nil
}

// addBackends adds the addresses after the first one to the interface that has the first
// one.
func addBackends(ctx context.Context, backends []netip.Addr) error {
	known, err := machine.ListByNetlink(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return err
	}
	for _, k := range known {
		if !k.IP.Equal(backends[0].AsSlice()) {
			continue
		}
		link, err := netlink.LinkByIndex(k.LinkIndex)
		length, _ := k.Mask.Size()
		for _, a := range backends[1:] {
			if err == nil {
				err = netlink.AddrAdd(link, InterfaceAddress(netip.PrefixFrom(a, length)))
			}
		}
		if err == nil && backends[0].Is6() {
			err = AwaitAddresses(ctx, here, link.Attrs().Name)
		}
		return err
	}
	return fmt.Errorf("no interface has %v", backends[0])
}

// serverNetwork returns the destination of the clients' connections when their source is
// translated: the server's address, or the network of the backends.
func (b *Base) serverNetwork() netip.Prefix {
	switch len(b.backends) {
	case 0:
		return snat.ServerAt(b.address)
	case 1:
		return snat.ServerAt(b.backends[0])
	}
	return netip.PrefixFrom(b.backends[0], backendBits(b.backends[0])).Masked()
}

// backendBits returns the length of the network that the backends of a lab are in. Those of
// IPv6 differ in the last byte alone.
func backendBits(a netip.Addr) int {
	if a.Is4() {
		return 24
	}
	return 120
}

// describeService returns the service for the result; nil if there is none.
func (b *Base) describeService() *result.Service {
	if len(b.backends) == 0 {
		return nil
	}
	s := &result.Service{Address: b.address.String()}
	for _, a := range b.backends {
		s.Backends = append(s.Backends, a.String())
	}
	return s
}
