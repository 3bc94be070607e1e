package nftables

import (
	"net/netip"
	"testing"

	"snatlab/harness/nat/snat"
)

// nft prints a range as a network if it is one.
func TestFormatRange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ first, last, want string }{
		{"192.0.2.0", "192.0.2.1", "192.0.2.0/31"},
		{"192.0.2.1", "192.0.2.2", "192.0.2.1-192.0.2.2"},
		{"192.0.2.0", "192.0.2.2", "192.0.2.0-192.0.2.2"},
		{"192.0.2.4", "192.0.2.11", "192.0.2.4-192.0.2.11"},
		{"192.0.2.7", "192.0.2.7", "192.0.2.7"},
		{"198.18.0.0", "198.19.255.255", "198.18.0.0/15"},
		{"128.0.0.0", "255.255.255.255", "128.0.0.0/1"},
		{"0.0.0.0", "255.255.255.255", "0.0.0.0/0"},
		{"2001:2::", "2001:2::1", "2001:2::/127"},
		{"2001:2::1", "2001:2::2", "2001:2::1-2001:2::2"},
		{"2001:2::4", "2001:2::b", "2001:2::4-2001:2::b"},
		{"2001:2::7", "2001:2::7", "2001:2::7"},
		{"2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", "2001:2::/48"},
		{"8000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "8000::/1"},
		{"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"},
	} {
		if got := formatTarget(snat.Options{ToSource: snat.AddressRange{First: netip.MustParseAddr(c.first), Last: netip.MustParseAddr(c.last)}}); got != c.want {
			t.Errorf("%s to %s is %s, want %s", c.first, c.last, got, c.want)
		}
	}
}
