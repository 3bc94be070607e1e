package lab

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/machine"
	"snatlab/harness/netnstest"
	"snatlab/harness/scenario/sysctl"
	"snatlab/harness/undo"
)

// doAndUndo makes the change of a step in a journal, and undoes it, twice.
func doAndUndo(t *testing.T, step undo.Step, change func() error, meanwhile func()) {
	t.Helper()
	undoers := Undoers()
	if err := change(); err != nil {
		t.Fatal(err)
	}
	meanwhile()
	for range 2 {
		if err := undoers.UndoAll(t.Context(), []undo.Step{step}); err != nil {
			t.Fatal(err)
		}
	}
}

func readSysctl(t *testing.T, name string) string {
	t.Helper()
	value, err := machine.ReadSysctl(name)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// A sysctl is restored, unless another program has set it meanwhile.
func TestSysctlStep(t *testing.T) {
	netnstest.Enter(t)
	const name = "net.ipv4.ip_local_port_range"
	before := readSysctl(t, name)
	step, change, err := prepareSysctl(sysctl.Setting{Name: name, Value: "40000\t 40015"})
	if err != nil {
		t.Fatal(err)
	}
	doAndUndo(t, step, change, func() {
		if got := readSysctl(t, name); got != "40000 40015" {
			t.Errorf("set to %q", got)
		}
	})
	if got := readSysctl(t, name); got != before {
		t.Errorf("restored to %q, it was %q", got, before)
	}
	doAndUndo(t, step, change, func() {
		if err := machine.WriteSysctl(name, "50000 50015"); err != nil {
			t.Fatal(err)
		}
	})
	if got := readSysctl(t, name); got != "50000 50015" {
		t.Errorf("the value of another program is now %q", got)
	}
}

func countAddresses(t *testing.T) (n int) {
	t.Helper()
	all, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// An address is removed, also if its interface is gone.
func TestAddressStep(t *testing.T) {
	netnstest.Enter(t)
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "out"}}
	a := netip.MustParseAddr("198.19.0.1")
	for _, meanwhile := range []func(){
		func() {},
		func() {
			if err := netlink.LinkDel(bridge); err != nil {
				t.Fatal(err)
			}
		},
	} {
		if err := netlink.LinkAdd(bridge); err != nil && !errors.Is(err, unix.EEXIST) {
			t.Fatal(err)
		}
		step, change, err := prepareAddress(t.Context(), "out", a)
		if err != nil {
			t.Fatal(err)
		}
		doAndUndo(t, step, change, func() {
			if n := countAddresses(t); n != 1 {
				t.Errorf("%d addresses", n)
			}
			if _, _, err := prepareAddress(t.Context(), "out", a); err == nil {
				t.Error("an address that exists already was accepted")
			}
			meanwhile()
		})
		if n := countAddresses(t); n != 0 {
			t.Errorf("%d addresses are left", n)
		}
	}
}

// An address of IPv6 is answered to as soon as it was added, and removed.
func TestAddressStepIPv6(t *testing.T) {
	netnstest.Enter(t)
	netnstest.Run(t, "ip link add out type veth peer name in && ip link set out up && ip link set in up")
	a := netip.MustParseAddr("2001:2:0:f::1")
	step, change, err := prepareAddress(t.Context(), "out", a)
	if err == nil {
		err = change()
	}
	if err != nil {
		t.Fatal(err)
	}
	if routes, err := netlink.RouteGet(a.AsSlice()); err != nil || routes[0].Type != unix.RTN_LOCAL {
		t.Errorf("routes %v, %v", routes, err)
	}
	all, err := netlink.AddrList(nil, netlink.FAMILY_V6)
	if err != nil || !slices.ContainsFunc(all, func(k netlink.Addr) bool { return k.IP.Equal(a.AsSlice()) && k.Flags&unix.IFA_F_DEPRECATED != 0 }) {
		t.Errorf("addresses %v, %v: masquerade could prefer it", all, err)
	}
	if _, _, err := prepareAddress(t.Context(), "out", a); err == nil {
		t.Error("an address that exists was prepared")
	}
	if step.Manual != "ip address delete 2001:2:0:f::1/128 dev out" {
		t.Errorf("by hand: %s", step.Manual)
	}
	if err := Undoers().UndoAll(t.Context(), []undo.Step{step}); err != nil {
		t.Error(err)
	}
	if _, _, err := prepareAddress(t.Context(), "out", a); err != nil {
		t.Errorf("after the removal: %v", err)
	}
}
