package snat_test

import (
	"testing"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
)

// Check accepts the options of every rule that can be written, and names what is
// wrong with the others.
func TestCheck(t *testing.T) {
	t.Parallel()
	for o := range nattest.RuleEnds {
		if err := o.Check(); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for o, want := range nattest.Contradictions {
		if err := o.Check(); err == nil || err.Error() != want {
			t.Errorf("%+v: error %v, want %s", o, err, want)
		}
	}
}

// A range is parsed from its own text, and from a network.
func TestParseRanges(t *testing.T) {
	t.Parallel()
	for _, r := range []snat.PortRange{nattest.TenPorts, nattest.OnePort} {
		if got := snat.ParsePorts(r.String()); got != r {
			t.Errorf("%v is parsed as %v", r, got)
		}
	}
	for _, r := range []snat.AddressRange{nattest.OneAddress, nattest.FourAddresses, nattest.SomeAddresses} {
		if got := snat.ParseAddresses(r.String()); got != r {
			t.Errorf("%v is parsed as %v", r, got)
		}
	}
	if got := snat.ParseAddresses("192.0.2.16/30"); got != nattest.FourAddresses {
		t.Errorf("a network is parsed as %v", got)
	}
	for _, text := range []string{"", "-", "1-2-3", "65536", "-1", "a-b", "192.0.2.1-", "2001:db8::/64", "192.0.2.0/33"} {
		if got := snat.ParsePorts(text); got != (snat.PortRange{}) {
			t.Errorf("%q is parsed as the ports %v", text, got)
		}
		if got := snat.ParseAddresses(text); got != (snat.AddressRange{}) {
			t.Errorf("%q is parsed as the addresses %v", text, got)
		}
	}
}
