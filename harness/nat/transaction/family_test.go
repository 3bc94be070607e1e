package transaction

import (
	"net/netip"
	"testing"

	"github.com/google/nftables"
)

// The family of a table follows from an address, and a step of the journal holds it.
func TestFamily(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		address, name string
		step          StepFamily
	}{
		{"198.18.0.1", "table ip snatlab", ""},
		{"2001:2::1", "table ip6 snatlab", "ip6"},
	} {
		table := &nftables.Table{Name: "snatlab", Family: FamilyOf(netip.MustParseAddr(c.address))}
		if got := TableName(table); got != c.name {
			t.Errorf("%s: %s, want %s", c.address, got, c.name)
		}
		if got := NewStepFamily(table); got != c.step {
			t.Errorf("%s: a step holds %q, want %q", c.address, got, c.step)
		}
		if got, err := c.step.Parse(); got != table.Family || err != nil {
			t.Errorf("%q is read as %v (%v)", c.step, got, err)
		}
	}
	for _, bad := range []StepFamily{"ip", "inet", "arp", "ip6 ", "10", "IP6"} {
		if got, err := bad.Parse(); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
	if got := FamilyOf(netip.Addr{}); got != nftables.TableFamilyIPv4 {
		t.Errorf("no address is of the family %v", got)
	}
}
