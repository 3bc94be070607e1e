package scenario

import (
	"fmt"
	"net/netip"
	"testing"

	"snatlab/harness/result"
)

func TestTakenSources(t *testing.T) {
	t.Parallel()
	data := func(driver, addresses string) string {
		return fmt.Sprintf("name: s\ndriver: %s\nclients: 3\narms:\n  - {name: a, snat: {to_source: [%s]}}\n", driver, addresses)
	}
	const other = " in a netns lab; allowed: other addresses, like 198.19.0.1"
	for address, what := range map[string]string{
		"198.18.0.1":   "the router's own address",
		"198.18.1.1":   "the router's own address",
		"198.18.1.2":   "the server's own address",
		"198.18.0.2":   "a client's own address",
		"198.18.0.4":   "a client's own address",
		"198.18.1.255": "the broadcast address of the server's network",
		"198.18.1.0":   "the address of the server's network itself",
	} {
		t.Run(address, func(t *testing.T) {
			want := "to_source: " + address + " is " + what + other
			checkRefused(t, data(result.DriverNetns, address), "x.yaml:5:34: "+want)
			// A docker lab has other networks, which are not known before it is built.
			s := parse(t, data(result.DriverDocker, address))
			if err := s.SetDriver(result.DriverNetns); fmt.Sprint(err) != "driver netns: "+want {
				t.Errorf("error %v", err)
			}
		})
	}
	six := func(addresses string) string {
		return "lab: {family: ipv6}\n" + data(result.DriverNetns, addresses)
	}
	for address, what := range map[string]string{
		"2001:2::1":       "the router's own address",
		"2001:2:0:1::1":   "the router's own address",
		"2001:2:0:1:0::2": "the server's own address",
		"2001:2::4":       "a client's own address",
		"2001:2:0:1::":    "the address of the server's network itself",
	} {
		t.Run(address, func(t *testing.T) {
			checkRefused(t, six("'"+address+"'"), fmt.Sprintf("x.yaml:6:34: to_source: %v is %s in a netns lab; allowed: other addresses, like 2001:2:0:f::1", netip.MustParseAddr(address), what))
		})
	}
	t.Run("the other family", func(t *testing.T) {
		checkRefused(t, six("198.19.0.1, '2001:2:0:f::1'"), "x.yaml:6:34: to_source: 198.19.0.1 is not of the lab's family, ipv6; allowed: addresses out of 2001:2::/48")
		checkRefused(t, data(result.DriverNetns, "'2001:2:0:f::1'"), "x.yaml:5:34: to_source: 2001:2:0:f::1 is not of the lab's family, ipv4; allowed: addresses out of 198.18.0.0/15")
	})
	t.Run("settings of IPv4", func(t *testing.T) {
		const why = " has IPv4 addresses only, and lab.family is ipv6; allowed without lab.family, or with networks and a server of the lab's own"
		checkRefused(t, "name: s\nlab: {family: ipv6, allow_shared_network: true}\nnetwork: bridge\nserver: {address: 192.0.2.7:9000}\narms: [{name: a}]\n",
			"x.yaml:3:1: network:"+why, "x.yaml:4:10: address:"+why)
	})
	t.Run("each of them is reported", func(t *testing.T) {
		checkRefused(t, data(result.DriverNetns, "198.18.0.254, 198.18.0.255, 198.18.1.0, 198.18.1.1"),
			"x.yaml:5:62: to_source: 198.18.1.0 is the address of the server's network itself"+other,
			"x.yaml:5:74: to_source: 198.18.1.1 is the router's own address"+other)
	})
	t.Run("others are not refused", func(t *testing.T) {
		for _, address := range []string{"198.18.0.0", "198.18.0.5", "198.18.0.255", "198.18.1.3", "198.18.1.254", "198.18.2.0", "198.19.0.0", "198.19.0.255", "198.19.255.255"} {
			parse(t, data(result.DriverNetns, address))
		}
		for _, address := range []string{"2001:2::", "2001:2::5", "2001:2::ff", "2001:2:0:1::3", "2001:2:0:1::fe", "2001:2:0:1::ff", "2001:2:0:ffff:ffff:ffff:ffff:ffff"} {
			parse(t, six("'"+address+"'"))
		}
	})
}

func TestSetRounds(t *testing.T) {
	t.Parallel()
	t.Run("each trial needs a port of the server", func(t *testing.T) {
		s := parse(t, minimal+"until: {rounds_max: 5}\nserver: {address: 192.0.2.7:65499}\n")
		if err := s.SetRounds(16); err != nil || s.Rounds != 16 || !s.HasFixedRounds() {
			t.Errorf("error %v, %d rounds", err, s.Rounds)
		}
		err := s.SetRounds(17)
		const want = "rounds: server.address: 36 ports follow 65499, and 37 are needed for 17 rounds of 2 arms, one for each trial, for the warm-up, for the path check and for the control; allowed: a port up to 65498"
		if fmt.Sprint(err) != want || s.Rounds != 16 {
			t.Errorf("error %v, want %s; %d rounds", err, want, s.Rounds)
		}
	})
}

// A second claim of the same kind about an arm is a fault.
func TestRepeatedClaim(t *testing.T) {
	t.Parallel()
	expect := func(second string) string {
		return "name: s\narms: [{name: a}, {name: b}]\nexpect:\n  - {arm: b, race: absent}\n  - {arm: b, reduction: '>=90%'}\n  - {arm: b, p50: '<=1%'}\n  - {arm: b, unexplained: '<=1%'}\n  - " + second + "\n"
	}
	for second, want := range map[string]string{
		"{arm: b, race: reproduced}":    `x.yaml:8:14: race: "b" has this claim at line 4 already; allowed: each claim once for an arm`,
		"{race: absent, arm: b}":        `x.yaml:8:6: race: "b" has this claim at line 4 already; allowed: each claim once for an arm`,
		"{arm: b, reduction: '>=95%'}":  `x.yaml:8:14: reduction: "b" has this claim at line 5 already; allowed: each claim once for an arm`,
		"{arm: b, p50: '<=2%'}":         `x.yaml:8:14: p50: "b" has this claim at line 6 already; allowed: each claim once for an arm`,
		"{arm: b, unexplained: '<=2%'}": `x.yaml:8:14: unexplained: "b" has this claim at line 7 already; allowed: each claim once for an arm`,
	} {
		t.Run(second, func(t *testing.T) { checkRefused(t, expect(second), want) })
	}
	t.Run("other claims are not refused", func(t *testing.T) {
		for _, second := range []string{"{arm: a, race: reproduced}", "{arm: b, p99: '<=1%'}"} {
			parse(t, expect(second))
		}
	})
}
