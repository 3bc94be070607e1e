package lab

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"snatlab/harness/netnstest"
	"snatlab/harness/undo"
)

// A step of a journal may be written by anybody. A step that no arm makes is
// refused.
func TestForgedSteps(t *testing.T) {
	netnstest.Enter(t)
	const kept = "net.ipv4.ip_local_port_range"
	before := readSysctl(t, kept)
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "out"}}
	if err := netlink.LinkAdd(bridge); err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrAdd(bridge, InterfaceAddress(hostPrefix(netip.MustParseAddr("192.0.2.1")))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, kind, args, want string }{
		{"sysctl outside of net", KindSysctl, `{"name":"kernel.core_pattern","before":"|/tmp/x","set":"core"}`, `a scenario may not set the sysctl "kernel.core_pattern"`},
		{"sysctl by its path", KindSysctl, `{"name":"net/ipv4/ip_forward","before":"1","set":"0"}`, `a scenario may not set the sysctl "net/ipv4/ip_forward"`},
		{"sysctl behind dots", KindSysctl, `{"name":"net....kernel.core_pattern","before":"x","set":"core"}`, `a scenario may not set the sysctl "net....kernel.core_pattern"`},
		{"sysctl without a name", KindSysctl, `{"name":"","before":"1","set":"0"}`, `a scenario may not set the sysctl ""`},
		{"value of two lines", KindSysctl, `{"name":"` + kept + `","before":"1 2","set":"` + "1\\n2" + `"}`, `sysctl net.ipv4.ip_local_port_range: a scenario may not set it to "1\n2"`},
		{"empty value", KindSysctl, `{"name":"` + kept + `","before":"1 2","set":""}`, `sysctl net.ipv4.ip_local_port_range: a scenario may not set it to ""`},
		{"old value of two lines", KindSysctl, `{"name":"` + kept + `","before":"1025\n1026","set":"` + before + `"}`, `sysctl net.ipv4.ip_local_port_range: "1025\n1026" cannot be its old value`},
		{"address of a host", KindAddress, `{"interface":"out","address":"192.0.2.1"}`, `address "192.0.2.1" is neither in 198.18.0.0/15 nor in 2001:2::/48, the networks of labs`},
		{"IPv4-mapped address", KindAddress, `{"interface":"out","address":"::ffff:198.18.0.1"}`, `address "::ffff:198.18.0.1" is neither in 198.18.0.0/15 nor in 2001:2::/48, the networks of labs`},
		{"no address", KindAddress, `{"interface":"out","address":""}`, `address "invalid IP" is neither in 198.18.0.0/15 nor in 2001:2::/48, the networks of labs`},
		{"interface with terminal control codes", KindAddress, `{"interface":"\u001b[2J","address":"198.18.0.1"}`, `"\x1b[2J" cannot be the name of an interface`},
		{"interface that is a path", KindAddress, `{"interface":"../out","address":"198.18.0.1"}`, `"../out" cannot be the name of an interface`},
		{"unknown argument", KindSysctl, `{"name":"` + kept + `","before":"1025 1026","set":"` + before + `","also":1}`, `read arguments: json: unknown field "also"`},
		{"nothing", KindSysctl, `null`, `a scenario may not set the sysctl ""`},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Undoers()[c.kind](t.Context(), json.RawMessage(c.args))
			if err == nil || err.Error() != c.want {
				t.Errorf("error\n%v, want\n%s", err, c.want)
			}
		})
	}
	if got := readSysctl(t, kept); got != before {
		t.Errorf("%s is %q, it was %q", kept, got, before)
	}
	if n := countAddresses(t); n != 1 {
		t.Errorf("%d addresses, there was 1", n)
	}
}

// A change that could not be undone later is not made.
func TestUndoableStepsOnly(t *testing.T) {
	netnstest.Enter(t)
	if _, _, err := prepareAddress(t.Context(), "out", netip.MustParseAddr("192.0.2.1")); err == nil || !strings.Contains(err.Error(), "is neither in 198.18.0.0/15") {
		t.Errorf("error %v", err)
	}
	for kind := range Undoers() {
		if err := (undo.Undoers{kind: Undoers()[kind]}).UndoAll(t.Context(), []undo.Step{{Kind: kind, Args: json.RawMessage("{}")}}); err == nil {
			t.Errorf("%s undoes a step without arguments", kind)
		}
	}
}
