package netns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"snatlab/harness/machine"
)

// router is the namespace in the middle, and the thread in it. That thread does all
// the work there: a namespace is a property of a thread, and a netlink socket or a
// program belongs to the namespace in which it was started.
type router struct {
	work    chan func()
	done    chan struct{}
	space   netns.NsHandle
	netlink *netlink.Handle
	closed  bool
}

// newRouter makes the router, with an empty namespace.
func newRouter() (*router, error) {
	r := &router{work: make(chan func()), done: make(chan struct{})}
	started := make(chan error)
	go r.runThread(started)
	if err := <-started; err != nil {
		return nil, explainUnavailable(err)
	}
	err := r.do(func() (err error) {
		r.netlink, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		r.close()
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	return r, nil
}

// runThread runs the router's thread. At the end the thread returns to the namespace
// that it came from: the runtime does not end the process' first thread, and if the
// router had that thread, the namespace would stay as long as the process.
func (r *router) runThread(started chan<- error) {
	defer close(r.done)
	runtime.LockOSThread()
	home, err := netns.Get()
	if err == nil {
		defer home.Close()
		err = unix.Unshare(unix.CLONE_NEWNET)
	}
	if err == nil {
		r.space, err = netns.Get()
	}
	started <- err
	for err == nil {
		do, ok := <-r.work
		if !ok {
			err = netns.Set(home)
			break
		}
		do()
	}
	if err == nil {
		runtime.UnlockOSThread() // else the thread ends with the goroutine
	}
}

// do calls f on the thread, and waits for it. A panic of f becomes a panic of do.
func (r *router) do(f func() error) error {
	if r.closed {
		return errors.New("the router is gone")
	}
	var err error
	var panicked any
	done := make(chan struct{})
	r.work <- func() {
		defer close(done)
		defer func() { panicked = recover() }()
		err = f()
	}
	<-done
	if panicked != nil {
		panic(panicked)
	}
	return err
}

// startInNew makes a network namespace and calls f in it, on the thread. A process that
// f starts is in the new namespace, and is a child of the thread.
func (r *router) startInNew(f func() error) (space netns.NsHandle, err error) {
	space = netns.None()
	err = r.do(func() (err error) {
		here, err := netns.Get()
		if err != nil {
			return err
		}
		defer here.Close()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return explainUnavailable(err)
		}
		if space, err = netns.Get(); err == nil {
			err = f()
		}
		return errors.Join(err, netns.Set(here))
	})
	return space, err
}

// explainUnavailable returns an error with the reason why a network namespace cannot be
// made.
func explainUnavailable(err error) error {
	if errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("make a network namespace: %w: the limit user.max_net_namespaces is reached, in this user namespace or one above it", err)
	}
	if errors.Is(err, unix.EPERM) && IsReexecuted() {
		return explainForbidden("/proc", "make a network namespace in it: "+err.Error(), false)
	}
	return fmt.Errorf("make a network namespace: %w", err)
}

func (r *router) close() {
	if r.closed {
		return
	}
	r.closed = true
	r.space.Close()
	if r.netlink != nil {
		r.netlink.Close()
	}
	close(r.work)
	<-r.done
}

// makeRouter makes the router with the clients' bridge.
func (l *netnsLab) makeRouter(context.Context) (err error) {
	l.Say("making the router")
	if l.router, err = newRouter(); err != nil {
		return err
	}
	l.Router = l.router.do
	if err := l.router.do(func() error { return errors.Join(setIPv6(l.plan.Clients.Addr().Is6()), l.forwardPackets()) }); err != nil {
		return err
	}
	link := &netlink.Bridge{LinkAttrs: linkAttributes(bridge)}
	if err := l.router.netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("make bridge %s: %w", bridge, addModuleHint(err, "bridge", "CONFIG_BRIDGE"))
	}
	return setUp(l.router.netlink, bridge, l.plan.ClientGateway())
}

// addModuleHint adds the missing module to the kernel's error for an unknown kind of
// link.
func addModuleHint(err error, module, option string) error {
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%w (does this kernel have %s? modprobe %s, %s)", err, module, module, option)
	}
	return err
}

// forwardPackets makes the calling thread's namespace forward packets of the lab's family.
func (l *netnsLab) forwardPackets() error {
	if l.plan.Clients.Addr().Is6() {
		return machine.WriteSysctl("net.ipv6.conf.all.forwarding", "1")
	}
	return machine.WriteSysctl("net.ipv4.ip_forward", "1")
}

// setIPv6 prepares the calling thread's namespace for a family, before it has interfaces.
// A lab of IPv4 disables IPv6, which sends packets to its neighbours. A lab of IPv6
// checks no address for duplicates and requests no routes: snatlab sets both.
func setIPv6(use bool) error {
	values := map[string]string{"disable_ipv6": "1"}
	if use {
		values = map[string]string{"disable_ipv6": "0", "accept_dad": "0", "accept_ra": "0", "router_solicitations": "0"}
	}
	for _, which := range []string{"all", "default"} {
		for name, value := range values {
			err := machine.WriteSysctl("net.ipv6.conf."+which+"."+name, value)
			switch {
			case !errors.Is(err, fs.ErrNotExist):
			case use:
				return errNoIPv6
			default:
				err = nil
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// errNoIPv6 is the error of a kernel that has no IPv6 at all.
var errNoIPv6 = errors.New("this kernel has no IPv6 (is ipv6.disable=1 on its command line? modprobe ipv6, CONFIG_IPV6)")
