package netns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"snatlab/harness/lab"
	"snatlab/harness/machine"
	"snatlab/harness/scenario/network"
)

// The names of interfaces. An interface in the router has the name of the node at its
// other end.
const (
	bridge = "clients"
	inNode = "eth0"
)

// nodePlace is the place of a node in the topology.
type nodePlace struct {
	name    string // of the node, and of the interface that leads to it
	address netip.Prefix
	gateway netip.Prefix // the router's address in the same network
	bridged bool         // the router's end is a port of the bridge, and has no address of its own
}

func serverPlace(p network.Plan) nodePlace {
	return nodePlace{name: lab.ServerName, address: p.Backend(0), gateway: p.ServerGateway()}
}

func clientPlace(p network.Plan, i int) nodePlace {
	return nodePlace{name: lab.ClientName(i), address: p.Client(i), gateway: p.ClientGateway(), bridged: true}
}

// connectNode connects the router to a namespace by a veth pair, and configures both
// ends.
func (r *router) connectNode(ctx context.Context, p nodePlace, space netns.NsHandle) error {
	if err := machine.DoInNamespace(space, func() error { return setIPv6(p.address.Addr().Is6()) }); err != nil {
		return err
	}
	cable := &netlink.Veth{LinkAttrs: linkAttributes(p.name), PeerName: inNode, PeerNamespace: netlink.NsFd(space)}
	if p.bridged {
		master, err := r.netlink.LinkByName(bridge)
		if err != nil {
			return fmt.Errorf("look for bridge %s: %w", bridge, err)
		}
		cable.MasterIndex = master.Attrs().Index
	}
	if err := r.netlink.LinkAdd(cable); err != nil {
		return fmt.Errorf("make a veth pair: %w", addModuleHint(err, "veth", "CONFIG_VETH"))
	}
	inside, err := netlink.NewHandleAt(space, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open rtnetlink: %w", err)
	}
	defer inside.Close()
	// The bridge checks its port when the port comes up: the other end comes first.
	if err := errors.Join(setUp(inside, "lo"), setUp(inside, inNode, p.address)); err != nil {
		return err
	}
	outer := []string{p.name}
	if p.bridged {
		outer, err = append(outer, bridge), setUp(r.netlink, p.name)
	} else {
		err = setUp(r.netlink, p.name, p.gateway)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(awaitUp(inside, inNode), awaitUp(r.netlink, outer...)); err != nil {
		return err
	}
	if err := inside.RouteAdd(&netlink.Route{Gw: p.gateway.Addr().AsSlice()}); err != nil {
		return fmt.Errorf("add the route via %v: %w", p.gateway.Addr(), err)
	}
	if p.address.Addr().Is4() {
		return nil
	}
	toNode := func(do func() error) error { return machine.DoInNamespace(space, do) }
	return errors.Join(lab.AwaitAddresses(ctx, toNode, inNode), lab.AwaitAddresses(ctx, r.do, outer[len(outer)-1]))
}

// linkTime bounds how long the kernel may take to see that a veth pair is up.
const linkTime = 10 * time.Second

// awaitUp waits until interfaces accept packets. An interface that is set up drops
// packets until the kernel has noticed, some time later, that the other end is up as
// well (net/core/link_watch.c): a SYN that is lost then is sent again a second later.
func awaitUp(h *netlink.Handle, names ...string) error {
	for _, name := range names {
		for begun := time.Now(); ; time.Sleep(time.Millisecond) { // the event comes only to sockets that were open before
			link, err := h.LinkByName(name)
			if err != nil {
				return fmt.Errorf("read interface %s: %w", name, err)
			}
			if link.Attrs().OperState == netlink.OperUp {
				break
			}
			if time.Since(begun) > linkTime {
				return fmt.Errorf("interface %s is still %v after %v", name, link.Attrs().OperState, linkTime)
			}
		}
	}
	return nil
}

// setUp adds addresses to an interface, and sets it up.
func setUp(h *netlink.Handle, name string, addresses ...netip.Prefix) error {
	link, err := h.LinkByName(name)
	for _, a := range addresses {
		if err == nil {
			err = h.AddrAdd(link, lab.InterfaceAddress(a))
		}
	}
	if err == nil {
		err = h.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("set up interface %s: %w", name, err)
	}
	return nil
}

func linkAttributes(name string) netlink.LinkAttrs {
	a := netlink.NewLinkAttrs()
	a.Name = name
	return a
}
