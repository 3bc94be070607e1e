package claims

import (
	"fmt"
	"net/netip"
	"slices"
	"snatlab/harness/scenario/network"
	"testing"
)

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// Free subnets overlap no taken one.
func TestPickSubnets(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, pool string
		taken      []netip.Prefix
		want       []netip.Prefix
		blocker    string
	}{
		{"an empty pool", "198.18.0.0/22", nil, prefixes("198.18.0.0/24", "198.18.1.0/24"), "invalid Prefix"},
		{"a bigger one is taken", "198.18.0.0/22", prefixes("198.18.0.0/23"), prefixes("198.18.2.0/24", "198.18.3.0/24"), "198.18.0.0/23"},
		{"smaller ones are taken", "198.18.0.0/22", prefixes("198.18.2.7/32", "198.18.0.128/25"), prefixes("198.18.1.0/24", "198.18.3.0/24"), "198.18.2.7/32"},
		{"one is left", "198.18.0.0/22", prefixes("198.18.0.0/24", "198.18.3.0/24", "198.18.1.0/24"), prefixes("198.18.2.0/24"), "198.18.3.0/24"},
		{"all are taken at once", "198.18.0.0/22", prefixes("198.16.0.0/12"), nil, "198.16.0.0/12"},
		{"all but others are taken", "198.18.0.0/23", prefixes("198.18.0.0/24", "10.0.0.0/8", "198.18.1.0/24", "198.18.2.0/24"), nil, "198.18.1.0/24"},
		{"the first half is taken", "198.18.0.0/15", prefixes("198.18.0.0/16"), prefixes("198.19.0.0/24", "198.19.1.0/24"), "198.18.0.0/16"},
		{"only the last ones are free", "198.18.0.0/15", prefixes("198.18.0.0/16", "198.19.0.0/17", "198.19.128.0/18", "198.19.192.0/19", "198.19.224.0/20", "198.19.240.0/21", "198.19.248.0/22", "198.19.252.0/23"),
			prefixes("198.19.254.0/24", "198.19.255.0/24"), "198.19.252.0/23"},
		{"another family", "198.18.0.0/22", prefixes("2001:2::/48", "::/0"), prefixes("198.18.0.0/24", "198.18.1.0/24"), "invalid Prefix"},
	} {
		t.Run(test.name, func(t *testing.T) {
			free, blocker := PickSubnets(netip.MustParsePrefix(test.pool), test.taken, 2)
			if !slices.Equal(free, test.want) || blocker.String() != test.blocker {
				t.Errorf("%v, blocked by %v; want %v, blocked by %s", free, blocker, test.want, test.blocker)
			}
		})
	}
}

// The pool has 512 subnets.
func TestPickAllSubnets(t *testing.T) {
	t.Parallel()
	free, _ := PickSubnets(network.LabsIPv4, nil, 1000)
	if len(free) != 512 || free[0].String() != "198.18.0.0/24" || free[511].String() != "198.19.255.0/24" {
		t.Errorf("%d subnets, %v to %v", len(free), free[0], free[len(free)-1])
	}
}

// A pool of IPv6 has networks of 64 bits.
func TestPickIPv6(t *testing.T) {
	t.Parallel()
	taken := []netip.Prefix{netip.MustParsePrefix("2001:2:0:1::5/128"), netip.MustParsePrefix("198.18.0.0/15")}
	free, blocker := PickSubnets(network.LabsIPv6, taken, 2)
	if fmt.Sprint(free) != "[2001:2::/64 2001:2:0:2::/64]" || blocker != taken[0] {
		t.Errorf("%v, blocked by %v", free, blocker)
	}
}

// The next subnet is the one behind.
func TestNextSubnet(t *testing.T) {
	t.Parallel()
	for a, want := range map[string]string{
		"198.18.0.0": "198.18.1.0", "198.18.254.0": "198.18.255.0", "198.18.255.0": "198.19.0.0",
		"2001:2::": "2001:2:0:1::", "2001:2:0:ff::": "2001:2:0:100::",
	} {
		address := netip.MustParseAddr(a)
		if got := nextSubnet(address, SubnetBits(netip.PrefixFrom(address, 8))); got.String() != want {
			t.Errorf("behind %s comes %v, want %s", a, got, want)
		}
	}
}
