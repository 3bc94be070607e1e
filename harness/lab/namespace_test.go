package lab

import (
	"errors"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// namespace moves the test into a network namespace of its own. Its thread is
// never unlocked, so that it ends with the test.
func namespace(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs root; make check leaves it out")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("needs root: %v", err)
	}
}

// do makes the change of a step in a journal, and closes that.
func do(t *testing.T, step undo.Step, change func() error, meanwhile func()) {
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

func read(t *testing.T, name string) string {
	t.Helper()
	value, err := readSysctl(name)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestASysctlIsPutBackUnlessSomebodyElseHasSetItMeanwhile(t *testing.T) {
	namespace(t)
	const name = "net.ipv4.ip_local_port_range"
	before := read(t, name)
	step, change, err := sysctlStep(scenario.Sysctl{Name: name, Value: "40000\t 40015"})
	if err != nil {
		t.Fatal(err)
	}
	do(t, step, change, func() {
		if got := read(t, name); got != "40000 40015" {
			t.Errorf("set to %q", got)
		}
	})
	if got := read(t, name); got != before {
		t.Errorf("put back to %q, it was %q", got, before)
	}
	do(t, step, change, func() {
		if err := WriteSysctl(name, "50000 50015"); err != nil {
			t.Fatal(err)
		}
	})
	if got := read(t, name); got != "50000 50015" {
		t.Errorf("what somebody else had set is now %q", got)
	}
}

func TestAValueThatReadsOtherwiseThanItWasWrittenIsRefusedAndPutBack(t *testing.T) {
	namespace(t)
	const name = "net.ipv4.ip_local_reserved_ports"
	if err := WriteSysctl(name, "7"); err != nil {
		t.Fatal(err)
	}
	_, err := replaceSysctl(name, "1000,1001")
	const want = `sysctl net.ipv4.ip_local_reserved_ports was set to "1000,1001" and reads "1000-1001" (write it as it reads)`
	if err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
	if got := read(t, name); got != "7" {
		t.Errorf("put back to %q", got)
	}
}

func TestASysctlThatIsGoneIsUndone(t *testing.T) {
	if err := restoreSysctl(sysctl{"net.ipv4.conf.gone.forwarding", "0", "1"}); err != nil {
		t.Error(err)
	}
}

func addresses(t *testing.T) (n int) {
	t.Helper()
	all, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestAnAddressIsTakenBackAlsoIfItsInterfaceIsGone(t *testing.T) {
	namespace(t)
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
		step, change, err := addressStep("out", a)
		if err != nil {
			t.Fatal(err)
		}
		do(t, step, change, func() {
			if n := addresses(t); n != 1 {
				t.Errorf("%d addresses", n)
			}
			if _, _, err := addressStep("out", a); err == nil {
				t.Error("an address that is there already may be somebody's")
			}
			meanwhile()
		})
		if n := addresses(t); n != 0 {
			t.Errorf("%d addresses are left", n)
		}
	}
}

func TestAPanicInANamespaceIsTheCallers(t *testing.T) {
	namespace(t)
	defer func() {
		if p := recover(); p != "lost" {
			t.Errorf("recovered %v", p)
		}
	}()
	_ = Of(os.Getpid()).Enter(func() error { panic("lost") })
}

func TestPartsOfARangeAreEqualAndDisjoint(t *testing.T) {
	for n := 1; n <= scenario.MaxClients; n++ {
		last := scenario.DefaultPorts.First - 1
		for i := range n {
			r := share(scenario.DefaultPorts, i, n)
			if r.First <= last || r.Last < r.First || r.Last > scenario.DefaultPorts.Last {
				t.Fatalf("part %d of %d is %v, after %d", i, n, r, last)
			}
			last = r.Last
		}
	}
}
