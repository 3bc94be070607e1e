package lab

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/machine"
)

// addressTime bounds the wait for an address. The check for duplicates lasts one to two
// seconds.
const addressTime = 20 * time.Second

// AwaitAddresses waits until the kernel answers to all IPv6 addresses of an interface, in
// the namespace of in. Unless an address has IFA_F_NODAD, the kernel first checks that no
// other machine has it, for a second or two after the link is up (RFC 4862). In any case it joins
// the multicast group of the address, by which neighbours find it, and makes the local route
// some time after it was added: addrconf_dad_work in net/ipv6/addrconf.c. A packet that comes
// before that is lost.
func AwaitAddresses(ctx context.Context, in machine.NamespaceFunc, name string) error {
	for begun := time.Now(); ; {
		var left []netlink.Addr
		err := in(func() (err error) {
			left, err = listUnready(name)
			return err
		})
		switch {
		case err != nil:
			return fmt.Errorf("list the addresses of %s: %w", name, err)
		case len(left) == 0:
			return nil
		case left[0].Flags&unix.IFA_F_DADFAILED != 0:
			return fmt.Errorf("address %v of %s: another machine has it (duplicate address detection failed)", left[0].IPNet, name)
		case time.Since(begun) > addressTime:
			return fmt.Errorf("address %v of %s: the kernel does not answer to it after %v (is the link up? ip -6 address show dev %[2]s)", left[0].IPNet, name, addressTime)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond): // the event comes only to sockets that were open before
		}
	}
}

// listUnready lists the addresses of an interface that it does not answer to yet.
func listUnready(name string) (left []netlink.Addr, err error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, err
	}
	all, err := machine.ListByNetlink(func() ([]netlink.Addr, error) { return netlink.AddrList(link, netlink.FAMILY_V6) })
	for _, a := range all {
		if a.Flags&unix.IFA_F_TENTATIVE != 0 || !a.IP.IsLinkLocalUnicast() && !hasLocalRoute(a.IP) {
			left = append(left, a)
		}
	}
	return left, err
}

// hasLocalRoute reports whether packets to an address go to this namespace itself.
func hasLocalRoute(to net.IP) bool {
	routes, err := netlink.RouteGet(to)
	return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
}

// here calls do in the namespace of the calling thread.
func here(do func() error) error { return do() }
