package verdict

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/result"
)

func TestWarnFewAddresses(t *testing.T) {
	t.Parallel()
	pool := func(n, used int) result.Arm {
		a := armOf("pool", lossyTrials...)
		for i := range n {
			a.ToSource = append(a.ToSource, fmt.Sprintf("198.19.0.%d", i+1))
		}
		for i := range used {
			a.Sources = append(a.Sources, result.Source{Address: a.ToSource[i], Connections: 1})
		}
		return a
	}
	drawn := pool(2, 1)
	drawn.Options = &result.RuleOptions{RandomFully: true}
	const hash = "; the kernel picks one by a hash of the client's and the server's address, and "
	for _, tc := range []struct {
		claim   string
		clients int
		arm     result.Arm
		want    string
	}{
		{"all clients on one address", 2, pool(8, 1), "pool: all connections left from 198.19.0.1, one of its 8 addresses" + hash +
			"the 2 clients got the same one, and meet there as with a single address (other addresses, or more clients, are distributed differently)"},
		{"an address for each client", 2, pool(8, 2), ""},
		{"fewer addresses than clients", 4, pool(8, 3), "pool: all connections left from 3 of its 8 addresses" + hash +
			"4 clients share them, and meet there as with fewer addresses (other addresses, or more clients, are distributed differently)"},
		{"a pool that is used up", 16, pool(4, 4), ""},
		{"ports that are drawn", 2, drawn, "pool: all connections left from 198.19.0.1, one of its 2 addresses" + hash +
			"2 clients keep apart by their source ports alone"},
		{"one client", 1, pool(2, 1), "pool: all connections left from 198.19.0.1, one of its 2 addresses" + hash + "the only client keeps the same one"},
		{"one client, ports that are drawn", 1, drawn, "pool: all connections left from 198.19.0.1, one of its 2 addresses" + hash + "the only client keeps the same one"},
		{"one address", 2, pool(1, 1), ""},
		{"a result without the addresses", 2, pool(8, 0), ""},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			r := runOf(8, armOf("masquerade", lossyTrials...), tc.arm)
			r.Scenario.Clients = tc.clients
			judgeAndDescribe(r)
			i := slices.IndexFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "by a hash of") })
			switch {
			case i < 0 && tc.want != "":
				t.Errorf("no warning in %q", r.Warnings)
			case i >= 0 && r.Warnings[i] != tc.want:
				t.Errorf("got  %s\nwant %s", r.Warnings[i], tc.want)
			}
		})
	}
}
