package lab

import (
	"context"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/machine"
)

// addressTime bounds how long the kernel may take to check an address. It takes one to two
// seconds.
const addressTime = 20 * time.Second

// AwaitAddresses waits until the kernel has checked that no other machine has the IPv6
// addresses of an interface, in a namespace (RFC 4862, duplicate address detection). It
// begins when the interface finds a neighbour, and answers nobody meanwhile.
func AwaitAddresses(ctx context.Context, in machine.NamespaceFunc, name string) error {
	for begun := time.Now(); ; {
		var left []netlink.Addr
		err := in(func() (err error) {
			left, err = listTentative(name)
			return err
		})
		switch {
		case err != nil:
			return fmt.Errorf("list the addresses of %s: %w", name, err)
		case len(left) == 0:
			return nil
		case time.Since(begun) > addressTime:
			return fmt.Errorf("address %v of %s is still unchecked after %v", left[0].IPNet, name, addressTime)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond): // the event comes only to sockets that were open before
		}
	}
}

// listTentative lists the addresses of an interface that are being checked.
func listTentative(name string) (left []netlink.Addr, err error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, err
	}
	all, err := machine.ListByNetlink(func() ([]netlink.Addr, error) { return netlink.AddrList(link, netlink.FAMILY_V6) })
	for _, a := range all {
		if a.Flags&unix.IFA_F_TENTATIVE != 0 {
			left = append(left, a)
		}
	}
	return left, err
}
