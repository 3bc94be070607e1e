package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"regexp"
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

// Namespace is that of a process, which may end meanwhile.
type Namespace struct {
	handle netns.NsHandle
	err    error // why it could not be opened
}

// Of opens the namespace of a process. That it cannot be had is told when it is
// needed.
func Of(pid int) *Namespace {
	handle, err := netns.GetFromPid(pid)
	if err != nil {
		err = fmt.Errorf("open the network namespace of process %d: %w", pid, err)
	}
	return &Namespace{handle, err}
}

// Enter does something in it.
func (n *Namespace) Enter(do func() error) error {
	if n.err != nil {
		return n.err
	}
	return In(n.handle, do)
}

// Close lets it go.
func (n *Namespace) Close() error {
	if n.err != nil || !n.handle.IsOpen() {
		return nil
	}
	return n.handle.Close()
}

// The kinds of steps of this package.
const (
	KindSysctl  = "lab.sysctl"
	KindAddress = "lab.address"
)

// Undoers undo what this package changes.
func Undoers() undo.Undoers {
	return undo.Undoers{
		KindSysctl: undo.With(func(_ context.Context, s sysctl) error {
			if err := s.check(); err != nil {
				return err
			}
			return restoreSysctl(s)
		}),
		KindAddress: undo.With(func(_ context.Context, a address) error {
			if err := a.check(); err != nil {
				return err
			}
			return a.remove()
		}),
	}
}

// sysctl is the journalled step: a setting that was replaced.
type sysctl struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	Set    string `json:"set"`
}

// check reports a step that no arm makes.
func (s sysctl) check() error {
	switch {
	case !scenario.IsSysctl(s.Name):
		return fmt.Errorf("%.100q is no sysctl that a scenario may set", s.Name)
	case !scenario.IsSetting(s.Set):
		return fmt.Errorf("sysctl %s: %.200q is nothing that a scenario may set it to", s.Name, s.Set)
	case !sysctlValue.MatchString(s.Before):
		return fmt.Errorf("sysctl %s: %.200q is no value that it had before", s.Name, s.Before)
	}
	return nil
}

// sysctlValue is the form of a value as readSysctl returns it. It may be empty.
var sysctlValue = regexp.MustCompile(`^([!-~]+( [!-~]+)*)?$`)

// sysctlStep prepares a change in the calling thread's namespace.
func sysctlStep(s scenario.Sysctl) (undo.Step, func() error, error) {
	before, err := readSysctl(s.Name)
	if err != nil {
		return undo.Step{}, nil, err
	}
	args := sysctl{s.Name, before, words(s.Value)}
	if err := args.check(); err != nil { // nothing is changed that could not be undone
		return undo.Step{}, nil, err
	}
	step := undo.NewStep(KindSysctl, fmt.Sprintf("sysctl %s = %s", s.Name, s.Value), fmt.Sprintf("sysctl -w %s='%s'", s.Name, before), args)
	return step, func() error { return setSysctl(s.Name, before, s.Value) }, nil
}

func replaceSysctl(name, value string) (before string, err error) {
	if before, err = readSysctl(name); err != nil {
		return "", err
	}
	return before, setSysctl(name, before, value)
}

// setSysctl sets a value that has to read back as it was written. Another one
// could not be told, later, from what somebody else has set.
func setSysctl(name, before, value string) error {
	if err := WriteSysctl(name, value); err != nil {
		return err
	}
	now, err := readSysctl(name)
	if err == nil && now != words(value) {
		err = fmt.Errorf("sysctl %s was set to %q and reads %q (write it as it reads)", name, value, now)
	}
	if err != nil {
		return errors.Join(err, WriteSysctl(name, before))
	}
	return nil
}

// words has one space between the words of a value.
func words(value string) string { return strings.Join(strings.Fields(value), " ") }

// restoreSysctl puts the old value back, if the new one still stands: what
// somebody else has set meanwhile is theirs. One that is gone, with its interface
// or its module, took its value along.
func restoreSysctl(s sysctl) error {
	now, err := readSysctl(s.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || now != words(s.Set) {
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
	return words(string(text)), nil
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

// interfaceName is the form of an interface's name: dev_valid_name,
// net/core/dev.c, and nothing that cannot be printed.
var interfaceName = regexp.MustCompile(`^[^/:\pZ\pC]{1,15}$`)

// check reports a step that no arm makes: addresses come from the network that
// is set apart for benchmarks.
func (a address) check() error {
	switch {
	case !scenario.LabAddresses.Contains(a.Address):
		return fmt.Errorf("%q is no address of %v, which labs have theirs from", a.Address, scenario.LabAddresses)
	case !interfaceName.MatchString(a.Interface) || a.Interface == "." || a.Interface == "..":
		return fmt.Errorf("%.100q is no name of an interface", a.Interface)
	}
	return nil
}

// addressStep prepares to give an interface of the calling thread's namespace
// an address. One that the namespace has already is not for us to take away.
func addressStep(name string, a netip.Addr) (undo.Step, func() error, error) {
	args := address{name, a}
	if err := args.check(); err != nil { // nothing is changed that could not be undone
		return undo.Step{}, nil, err
	}
	known, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	for range 4 { // others change theirs meanwhile
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
		known, err = netlink.AddrList(nil, netlink.FAMILY_V4)
	}
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
	return undo.NewStep(KindAddress, fmt.Sprintf("address %v on %s", a, name), manual, args), change, nil
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
