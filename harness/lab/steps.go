package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"net/netip"
	"regexp"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/machine"
	"snatlab/harness/nat/service"
	"snatlab/harness/scenario/network"
	"snatlab/harness/scenario/sysctl"
	"snatlab/harness/undo"
)

// The kinds of the steps of this package.
const (
	KindSysctl  = "lab.sysctl"
	KindAddress = "lab.address"
)

// Undoers returns what undoes the steps of this package.
func Undoers() undo.Undoers {
	all := service.Undoers()
	maps.Copy(all, undo.Undoers{
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
	})
	return all
}

// sysctlChange is a journalled step: a sysctl that was set.
type sysctlChange struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	Set    string `json:"set"`
}

// checkForm returns an error for a step that no arm makes.
func (s sysctlChange) checkForm() error {
	switch {
	case !sysctl.IsName(s.Name):
		return fmt.Errorf("a scenario may not set the sysctl %.100q", s.Name)
	case !sysctl.IsValue(s.Set):
		return fmt.Errorf("sysctl %s: a scenario may not set it to %.200q", s.Name, s.Set)
	case !sysctlValueForm.MatchString(s.Before):
		return fmt.Errorf("sysctl %s: %.200q cannot be its old value", s.Name, s.Before)
	}
	return nil
}

// sysctlValueForm is the form of a value that machine.ReadSysctl returns. A value
// may be empty.
var sysctlValueForm = regexp.MustCompile(`^([!-~]+( [!-~]+)*)?$`)

// prepareSysctl prepares to set a sysctl in the calling thread's namespace.
func prepareSysctl(s sysctl.Setting) (undo.Step, func() error, error) {
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

// addressChange is a journalled step: an address that was added to an interface.
type addressChange struct {
	Interface string     `json:"interface"`
	Address   netip.Addr `json:"address"`
}

// interfaceForm is the form of an interface's name: dev_valid_name,
// net/core/dev.c, and nothing that cannot be printed.
var interfaceForm = regexp.MustCompile(`^[^/:\pZ\pC]{1,15}$`)

// checkForm returns an error for a step that no arm makes: the addresses of arms are
// in the network that is reserved for benchmarks.
func (a addressChange) checkForm() error {
	switch {
	case !network.IsLab(a.Address):
		return fmt.Errorf("address %q is neither in %v nor in %v, the networks of labs", a.Address, network.LabsIPv4, network.LabsIPv6)
	case !interfaceForm.MatchString(a.Interface) || a.Interface == "." || a.Interface == "..":
		return fmt.Errorf("%.100q cannot be the name of an interface", a.Interface)
	}
	return nil
}

// prepareAddress prepares to add an address to an interface of the calling thread's
// namespace. An address that the namespace already has is an error: it is not ours
// to remove.
func prepareAddress(ctx context.Context, name string, a netip.Addr) (undo.Step, func() error, error) {
	args := addressChange{name, a}
	if err := args.checkForm(); err != nil { // nothing is changed that could not be undone
		return undo.Step{}, nil, err
	}
	known, err := machine.ListByNetlink(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return undo.Step{}, nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, k := range known {
		if k.IP.Equal(a.AsSlice()) {
			return undo.Step{}, nil, fmt.Errorf("address %v already exists", a)
		}
	}
	change := func() error {
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.AddrAdd(link, extraAddress(a))
		}
		if err == nil && a.Is6() {
			err = AwaitAddresses(ctx, here, name)
		}
		if err != nil {
			return fmt.Errorf("add address %v to %s: %w", a, name, err)
		}
		return nil
	}
	manual := fmt.Sprintf("ip address delete %v dev %s", hostPrefix(a), name)
	return undo.NewStep(KindAddress, fmt.Sprintf("address %v on %s", a, name), manual, args), change, nil
}

// removeAddress removes the address. An interface that is gone has no address left.
func (a addressChange) removeAddress() error {
	link, err := netlink.LinkByName(a.Interface)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err == nil {
		err = netlink.AddrDel(link, InterfaceAddress(hostPrefix(a.Address)))
	}
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("remove address %v from %s: %w", a.Address, a.Interface, err)
	}
	return nil
}

// hostPrefix returns the network of an address alone.
func hostPrefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// extraAddress returns an address that an interface gets beside its own. One of IPv6 is
// deprecated: of the others, masquerade would prefer the one that is nearest to the
// destination (ipv6_get_saddr_eval in net/ipv6/addrconf.c), and so move the control to it.
func extraAddress(a netip.Addr) *netlink.Addr {
	address := InterfaceAddress(hostPrefix(a))
	if a.Is6() {
		address.ValidLft, address.PreferedLft = math.MaxUint32, 0
	}
	return address
}

// InterfaceAddress returns an address for an interface, with the length of its network. The
// kernel does not ask other machines whether they have an IPv6 address (IFA_F_NODAD).
// AwaitAddresses returns when it can be used.
func InterfaceAddress(a netip.Prefix) *netlink.Addr {
	address := &netlink.Addr{IPNet: &net.IPNet{IP: a.Addr().AsSlice(), Mask: net.CIDRMask(a.Bits(), a.Addr().BitLen())}}
	if a.Addr().Is6() {
		address.Flags = unix.IFA_F_NODAD
	}
	return address
}
