package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// Enter does something in one of a lab's network namespaces.
type Enter func(do func() error) error

// In does something in a network namespace, on a thread that is there for the
// time of it. A panic is the caller's.
func In(space netns.NsHandle, do func() error) error {
	var err error
	var panicked any
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = enter(space, func() (err error) {
			defer func() { panicked = recover() }()
			return do()
		})
	}()
	<-done
	if panicked != nil {
		panic(panicked)
	}
	return err
}

// enter has the calling thread do something in a namespace. One that does not
// find back ends with its goroutine.
func enter(space netns.NsHandle, do func() error) error {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err == nil {
		defer home.Close()
		err = netns.Set(space)
	}
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter a network namespace: %w", err)
	}
	err = do()
	if back := netns.Set(home); back != nil {
		return errors.Join(err, back)
	}
	runtime.UnlockOSThread()
	return err
}

// Of is the namespace that a process is in.
func Of(pid int) Enter {
	return func(do func() error) error {
		space, err := netns.GetFromPid(pid)
		if err != nil {
			return fmt.Errorf("open the network namespace of process %d: %w", pid, err)
		}
		defer space.Close()
		return In(space, do)
	}
}

// The kinds of steps of this package.
const (
	KindSysctl  = "lab.sysctl"
	KindAddress = "lab.address"
)

// Undoers undo what this package changes.
func Undoers() undo.Undoers {
	return undo.Undoers{
		KindSysctl:  undo.With(func(_ context.Context, s sysctl) error { return restoreSysctl(s) }),
		KindAddress: undo.With(func(_ context.Context, a address) error { return a.remove() }),
	}
}

// sysctl is the journalled step: a setting that was replaced.
type sysctl struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	Set    string `json:"set"`
}

// sysctlStep prepares a change in the calling thread's namespace.
func sysctlStep(s scenario.Sysctl) (undo.Step, func() error, error) {
	before, err := readSysctl(s.Name)
	if err != nil {
		return undo.Step{}, nil, err
	}
	step := undo.NewStep(KindSysctl, fmt.Sprintf("sysctl %s = %s", s.Name, s.Value),
		fmt.Sprintf("sysctl -w %s='%s'", s.Name, before), sysctl{s.Name, before, s.Value})
	return step, func() error { return WriteSysctl(s.Name, s.Value) }, nil
}

func replaceSysctl(name, value string) (before string, err error) {
	if before, err = readSysctl(name); err != nil {
		return "", err
	}
	return before, WriteSysctl(name, value)
}

// restoreSysctl puts the old value back, if the new one still stands: what
// somebody else has set meanwhile is theirs.
func restoreSysctl(s sysctl) error {
	now, err := readSysctl(s.Name)
	if err != nil || now != strings.Join(strings.Fields(s.Set), " ") {
		return err
	}
	return WriteSysctl(s.Name, s.Before)
}

// readSysctl gives a value of the calling thread's namespace, its words one
// space apart.
func readSysctl(name string) (string, error) {
	text, err := os.ReadFile(sysctlPath(name))
	if err != nil {
		return "", fmt.Errorf("read sysctl: %w", err)
	}
	return strings.Join(strings.Fields(string(text)), " "), nil
}

// WriteSysctl sets one of the calling thread's namespace: "net.ipv4.ip_forward".
func WriteSysctl(name, value string) error {
	err := os.WriteFile(sysctlPath(name), []byte(value), 0)
	if errors.Is(err, unix.EROFS) {
		return fmt.Errorf("set sysctl: %w (in a container: --security-opt systempaths=unconfined)", err)
	}
	if err != nil {
		return fmt.Errorf("set sysctl to %q: %w", value, err)
	}
	return nil
}

func sysctlPath(name string) string { return "/proc/sys/" + strings.ReplaceAll(name, ".", "/") }

// address is the journalled step: one that an interface was given.
type address struct {
	Interface string     `json:"interface"`
	Address   netip.Addr `json:"address"`
}

// addressStep prepares to give an interface of the calling thread's namespace
// an address. One that the namespace has already is not for us to take away.
func addressStep(name string, a netip.Addr) (undo.Step, func() error, error) {
	known, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return undo.Step{}, nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, k := range known {
		if k.IP.Equal(a.AsSlice()) {
			return undo.Step{}, nil, fmt.Errorf("address %v is there already", a)
		}
	}
	change := func() error {
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.AddrAdd(link, single(a))
		}
		if err != nil {
			return fmt.Errorf("add address %v to %s: %w", a, name, err)
		}
		return nil
	}
	manual := fmt.Sprintf("ip address delete %v/32 dev %s", a, name)
	return undo.NewStep(KindAddress, fmt.Sprintf("address %v on %s", a, name), manual, address{name, a}), change, nil
}

// remove takes the address away. An interface that is gone took it along.
func (a address) remove() error {
	link, err := netlink.LinkByName(a.Interface)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err == nil {
		err = netlink.AddrDel(link, single(a.Address))
	}
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("remove address %v from %s: %w", a.Address, a.Interface, err)
	}
	return nil
}

func single(a netip.Addr) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(32, 32)}}
}
