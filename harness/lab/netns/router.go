package netns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"snatlab/harness/lab"
)

// router is the namespace in the middle, and the thread that lives in it. Work
// that is to be done there is done by that thread: a namespace is a property of
// a thread, and a netlink socket or a program belongs to the one that it was
// started in.
type router struct {
	work    chan func()
	done    chan struct{}
	tid     int
	netlink *netlink.Handle
	closed  bool
}

// newRouter makes the namespace, which is empty.
func newRouter() (*router, error) {
	r := &router{work: make(chan func()), done: make(chan struct{})}
	started := make(chan error)
	go r.live(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
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

// live is the thread. It goes back to where it came from in the end: the
// runtime does not end the process' first thread, and if that is the one, the
// namespace would stay as long as the process.
func (r *router) live(started chan<- error) {
	defer close(r.done)
	runtime.LockOSThread()
	home, err := netns.Get()
	if err == nil {
		defer home.Close()
		r.tid, err = unix.Gettid(), unix.Unshare(unix.CLONE_NEWNET)
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

// do has the thread do something, and waits for it.
func (r *router) do(f func() error) error {
	if r.closed {
		return errors.New("the router is gone")
	}
	answer := make(chan error)
	r.work <- func() { answer <- f() }
	return <-answer
}

// in has the thread do something in another namespace.
func (r *router) in(space netns.NsHandle, f func() error) error {
	return r.do(func() error {
		here, err := netns.Get()
		if err != nil {
			return err
		}
		defer here.Close()
		if err := netns.Set(space); err != nil {
			return err
		}
		return errors.Join(f(), netns.Set(here))
	})
}

func (r *router) close() {
	if r.closed {
		return
	}
	r.closed = true
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
	if err := l.router.do(func() error { return errors.Join(quiet(), sysctl("net/ipv4/ip_forward", "1")) }); err != nil {
		return err
	}
	link := &netlink.Bridge{LinkAttrs: attributes(bridge)}
	if err := l.router.netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("make bridge %s: %w", bridge, needs(err, "bridge", "CONFIG_BRIDGE"))
	}
	return setUp(l.router.netlink, bridge, clientGateway)
}

// needs says of an error that the kernel gives for a kind of link that it does
// not know what it lacks.
func needs(err error, module, option string) error {
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%w (does this kernel have %s? modprobe %s, %s)", err, module, module, option)
	}
	return err
}

// quiet keeps IPv6 from talking to its neighbours. A kernel without it is quiet.
func quiet() error {
	for _, which := range []string{"all", "default"} {
		err := sysctl("net/ipv6/conf/"+which+"/disable_ipv6", "1")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// sysctl sets one of the calling thread's network namespace.
func sysctl(path, value string) error {
	if err := os.WriteFile("/proc/sys/"+path, []byte(value), 0); err != nil {
		return fmt.Errorf("set sysctl: %w", err)
	}
	return nil
}

var _ lab.Keeper = (*netnsLab)(nil)
