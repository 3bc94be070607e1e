package scenario

import (
	"fmt"
	"slices"
	"testing"
)

// The ports of snat are one range or several, which ascend and do not overlap.
func TestPortRanges(t *testing.T) {
	t.Parallel()
	data := func(snat string) string {
		return fmt.Sprintf("name: s\narms:\n  - name: a\n    snat: {to_source: [198.19.0.1], %s}\n", snat)
	}
	for text, want := range map[string][]PortRange{
		"to_ports: 2000-2999":                           {{2000, 2999}},
		"to_ports: [2000-2999, 4000-4001]":              {{2000, 2999}, {4000, 4001}},
		"to_ports: [1024-1024, 1025-1026, 65535-65535]": {{1024, 1024}, {1025, 1026}, {65535, 65535}},
		"random: true":                                  nil,
	} {
		s := parse(t, data(text))
		if got := s.Arms[0].SNAT.ToPorts; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
		if again := parse(t, string(s.Canonical())); !slices.Equal(again.Arms[0].SNAT.ToPorts, want) {
			t.Errorf("%s: the canonical form is\n%s", text, s.Canonical())
		}
	}
	const allowed = "; allowed: FIRST-LAST out of 1024 to 65535 (NAT keeps lower ports apart)"
	for text, want := range map[string]string{
		"to_ports: [2000-2999]":                                  "x.yaml:4:47: to_ports: has 1 entries" + allowed + ", or a list of 2 to 8 such ranges",
		"to_ports: [2000-2999, 2999-3000]":                       "x.yaml:4:59: to_ports: 2999-3000 comes after 2000-2999; allowed: ranges in ascending order that do not overlap",
		"to_ports: [2000-2999, 80-90]":                           "x.yaml:4:59: to_ports: 80-90 is out of range" + allowed,
		"to_ports: [2000-2999, 4000-4999], ports_per_client: 10": "x.yaml:4:89: ports_per_client: the blocks are cut from one range of ports; allowed with one range in to_ports",
	} {
		t.Run(text, func(t *testing.T) { checkRefused(t, data(text), want) })
	}
}
