package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/machine"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// The kinds of steps of this package.
const (
	KindSysctl  = "lab.sysctl"
	KindAddress = "lab.address"
)

// Undoers undo what this package changes.
func Undoers() undo.Undoers {
	return undo.Undoers{
		KindSysctl: undo.NewUndoer(func(_ context.Context, s sysctlChange) error {
			if err := s.checkForm(); err != nil {
				return err
			}
			return machine.RestoreSysctl(s.Name, s.Before, s.Set)
		}),
		KindAddress: undo.NewUndoer(func(_ context.Context, a addressChange) error {
			if err := a.checkForm(); err != nil {
				return err
			}
			return a.removeAddress()
		}),
	}
}

// sysctlChange is the journalled step: a setting that was replaced.
type sysctlChange struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	Set    string `json:"set"`
}

// checkForm reports a step that no arm makes.
func (s sysctlChange) checkForm() error {
	switch {
	case !scenario.IsSysctl(s.Name):
		return fmt.Errorf("%.100q is no sysctl that a scenario may set", s.Name)
	case !scenario.IsSetting(s.Set):
		return fmt.Errorf("sysctl %s: %.200q is nothing that a scenario may set it to", s.Name, s.Set)
	case !sysctlValueForm.MatchString(s.Before):
		return fmt.Errorf("sysctl %s: %.200q is no value that it had before", s.Name, s.Before)
	}
	return nil
}

// sysctlValueForm is the form of a value as machine.ReadSysctl returns it. It may be empty.
var sysctlValueForm = regexp.MustCompile(`^([!-~]+( [!-~]+)*)?$`)

// prepareSysctl prepares a change in the calling thread's namespace.
func prepareSysctl(s scenario.Sysctl) (undo.Step, func() error, error) {
	before, err := machine.ReadSysctl(s.Name)
	if err != nil {
		return undo.Step{}, nil, err
	}
	args := sysctlChange{s.Name, before, machine.JoinWords(s.Value)}
	if err := args.checkForm(); err != nil { // nothing is changed that could not be undone
		return undo.Step{}, nil, err
	}
	step := undo.NewStep(KindSysctl, fmt.Sprintf("sysctl %s = %s", s.Name, s.Value), fmt.Sprintf("sysctl -w %s='%s'", s.Name, before), args)
	return step, func() error { return machine.SetSysctl(s.Name, before, s.Value) }, nil
}

// addressChange is the journalled step: one that an interface was given.
type addressChange struct {
	Interface string     `json:"interface"`
	Address   netip.Addr `json:"address"`
}

// interfaceForm is the form of an interface's name: dev_valid_name,
// net/core/dev.c, and nothing that cannot be printed.
var interfaceForm = regexp.MustCompile(`^[^/:\pZ\pC]{1,15}$`)

// checkForm reports a step that no arm makes: addresses come from the network that
// is set apart for benchmarks.
func (a addressChange) checkForm() error {
	switch {
	case !scenario.LabAddresses.Contains(a.Address):
		return fmt.Errorf("%q is no address of %v, which labs have theirs from", a.Address, scenario.LabAddresses)
	case !interfaceForm.MatchString(a.Interface) || a.Interface == "." || a.Interface == "..":
		return fmt.Errorf("%.100q is no name of an interface", a.Interface)
	}
	return nil
}

// prepareAddress prepares to give an interface of the calling thread's namespace
// an address. One that the namespace has already is not for us to take away.
func prepareAddress(name string, a netip.Addr) (undo.Step, func() error, error) {
	args := addressChange{name, a}
	if err := args.checkForm(); err != nil { // nothing is changed that could not be undone
		return undo.Step{}, nil, err
	}
	known, err := machine.ListByNetlink(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_V4) })
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
			err = netlink.AddrAdd(link, hostAddress(a))
		}
		if err != nil {
			return fmt.Errorf("add address %v to %s: %w", a, name, err)
		}
		return nil
	}
	manual := fmt.Sprintf("ip address delete %v/32 dev %s", a, name)
	return undo.NewStep(KindAddress, fmt.Sprintf("address %v on %s", a, name), manual, args), change, nil
}

// removeAddress takes the address away. An interface that is gone took it along.
func (a addressChange) removeAddress() error {
	link, err := netlink.LinkByName(a.Interface)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err == nil {
		err = netlink.AddrDel(link, hostAddress(a.Address))
	}
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("remove address %v from %s: %w", a.Address, a.Interface, err)
	}
	return nil
}

func hostAddress(a netip.Addr) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(32, 32)}}
}
