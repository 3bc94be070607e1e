package labtest

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/lab"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/scenario/sysctl"
)

// Claims about arms.

func checkArms(t *testing.T, s *labSuite) {
	original := s.applyRule(t, scenario.MasqueradeOptions{}).Rule()
	for _, arm := range []struct {
		options scenario.MasqueradeOptions
		words   []string // the last one of the rule, by iptables and by nft
	}{
		{scenario.MasqueradeOptions{Random: true}, []string{"--random", "random"}},
		{scenario.MasqueradeOptions{RandomFully: true}, []string{"--random-fully", "fully-random"}},
	} {
		rule := s.applyRule(t, arm.options)
		words := strings.Fields(rule.Rule())
		if last := words[len(words)-1]; !slices.Contains(arm.words, last) {
			t.Errorf("for %+v the rule is %q", arm.options, rule.Rule())
		}
		server, ports := s.sendRequests(t, 2)
		if got := readPackets(t, rule); got != 2*clients {
			t.Errorf("%q matched %d packets of %d connections", rule.Rule(), got, 2*clients)
		}
		s.forgetEntries(t, server, ports)
		for range 2 {
			if err := rule.Undo(t.Context()); err != nil {
				t.Fatal(err)
			}
			if now := s.applyRule(t, scenario.MasqueradeOptions{}).Rule(); now != original {
				t.Errorf("the rule was %q, and is %q", original, now)
			}
		}
		if _, err := rule.Packets(t.Context()); err == nil {
			t.Errorf("%q is gone, and is counted", rule.Rule())
		}
	}
}

// withArm applies an arm, calls do, and undoes the arm.
func (s *labSuite) withArm(t *testing.T, arm scenario.Arm, do func(rule lab.ArmRule)) {
	t.Helper()
	rule, err := s.Apply(t.Context(), arm)
	if err != nil {
		t.Fatal(err)
	}
	do(rule)
	if err := rule.Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// checkSettings checks the settings of a rule.
func checkSettings(t *testing.T, rule lab.ArmRule, want ...result.Setting) {
	t.Helper()
	if diff := cmp.Diff(want, rule.Settings()); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func checkPortChoice(t *testing.T, s *labSuite) {
	few := scenario.PortRange{First: 40_000, Last: 40_015}
	s.withArm(t, scenario.Arm{ClientPortRange: few}, func(rule lab.ArmRule) {
		checkSettings(t, rule, result.Setting{Part: result.PartClients, Key: result.KeySourcePorts, Value: "40000-40015"})
		server, ports := s.sendRequests(t, 8)
		for i, ranges := range ports {
			for _, r := range ranges {
				if r.First < few.First || r.Last > few.Last {
					t.Errorf("client %d left from %d to %d, not from %v", i, r.First, r.Last, few)
				}
			}
		}
		s.forgetEntries(t, server, ports)
	})
	s.withArm(t, scenario.Arm{ClientPorts: result.SplitPorts}, func(rule lab.ArmRule) {
		checkSettings(t, rule, result.Setting{Part: result.PartClients, Key: result.KeySourcePorts, Value: result.SplitPorts})
		owner := map[uint16]int{}
		server, ports := s.sendRequests(t, 8)
		for i, ranges := range ports {
			for _, r := range ranges {
				for port := r.First; port <= r.Last; port++ {
					if other, taken := owner[port]; taken {
						t.Errorf("clients %d and %d both left from %d", other, i, port)
					}
					owner[port] = i
				}
			}
		}
		s.forgetEntries(t, server, ports)
	})
}

func checkTranslation(t *testing.T, s *labSuite) {
	before := s.Traces(t)
	addresses := s.sources()
	for _, to := range [][]netip.Addr{addresses[:1], addresses} {
		s.withArm(t, scenario.Arm{SNAT: scenario.SNATOptions{ToSource: to, RandomFully: true}}, func(rule lab.ArmRule) {
			server, ports := s.sendRequests(t, 2)
			if got := readPackets(t, rule); got != 2*clients || !strings.Contains(rule.Rule(), to[0].String()) {
				t.Errorf("%q matched %d packets of %d connections", rule.Rule(), got, 2*clients)
			}
			for i, got := range rule.Settings() {
				if got.Part != result.PartRouter || got.Key != result.KeyAddress || i < len(to) && !strings.HasPrefix(got.Value, to[i].String()+" dev ") {
					t.Errorf("setting %+v, want address %v of the router", got, to)
				}
			}
			if len(rule.Settings()) != len(to) {
				t.Errorf("settings %+v, want %d", rule.Settings(), len(to))
			}
			s.forgetEntries(t, server, ports)
		})
	}
	checkSame(t, before, s.Traces(t))
}

// refusesParts reports whether labs of the driver have no rules for parts of the
// connections, and checks that such an arm is refused then.
func (s *labSuite) refusesParts(t *testing.T, arm scenario.Arm) bool {
	if s.NoParts == "" {
		return false
	}
	if _, err := s.Apply(t.Context(), arm); err == nil || err.Error() != s.NoParts {
		t.Errorf("error %v\nwant  %s", err, s.NoParts)
	}
	return true
}

// checkRanges checks that each connection leaves from one of the ranges of an arm, by a rule
// that counts it.
func checkRanges(t *testing.T, s *labSuite) {
	const requests = 8
	arm := scenario.Arm{SNAT: scenario.SNATOptions{ToSource: s.sources()[:1], ToPorts: []scenario.PortRange{{First: 20_000, Last: 20_099}, {First: 25_000, Last: 25_099}}}}
	if s.refusesParts(t, arm) {
		return
	}
	before := s.Traces(t)
	s.withArm(t, arm, func(rule lab.ArmRule) {
		server, ports := s.sendRequests(t, requests)
		if got := readPackets(t, rule); got != requests*clients || !strings.Contains(rule.Rule(), ":20000-20099, then ") {
			t.Errorf("%q matched %d packets of %d connections", rule.Rule(), got, requests*clients)
		}
		if each, err := rule.(lab.PartCounter).PartPackets(t.Context()); err != nil || len(each) != 2 || each[0]+each[1] != requests*clients {
			t.Errorf("the rules of the ranges matched %v packets, %v", each, err)
		}
		for _, r := range s.seen {
			if r[0] < 20_000 || r[1] > 25_099 || r[1] > 20_099 && r[0] < 25_000 {
				t.Errorf("the server saw connections from the ports %v", s.seen)
			}
		}
		s.forgetEntries(t, server, ports)
	})
	checkSame(t, before, s.Traces(t))
}

// checkBlocks checks that each client leaves from its block, of as many ports as it has
// requests.
func checkBlocks(t *testing.T, s *labSuite) {
	const requests = 8
	arm := scenario.Arm{SNAT: scenario.SNATOptions{ToSource: s.sources()[:1], ToPorts: []scenario.PortRange{{First: 20_000, Last: 20_099}}, PortsPerClient: requests}}
	if s.refusesParts(t, arm) {
		return
	}
	before := s.Traces(t)
	s.withArm(t, arm, func(rule lab.ArmRule) {
		server, ports := s.sendRequests(t, requests)
		if got := readPackets(t, rule); got != requests*clients || !strings.Contains(rule.Rule(), ":20000-20007, then ") {
			t.Errorf("%q matched %d packets of %d connections", rule.Rule(), got, requests*clients)
		}
		perBlock := map[int]int{}
		for _, r := range s.seen {
			for port := r[0]; port <= r[1]; port++ {
				perBlock[(port-20_000)/requests] += r[2] // a closed connection's port may be used again
			}
		}
		if want := (map[int]int{0: requests, 1: requests, 2: requests}); !maps.Equal(perBlock, want) {
			t.Errorf("the server saw connections from the ports %v: %v by block, want %v", s.seen, perBlock, want)
		}
		s.forgetEntries(t, server, ports)
	})
	checkSame(t, before, s.Traces(t))
}

func checkSysctls(t *testing.T, s *labSuite) {
	arm := scenario.Arm{Sysctls: scenario.Sysctls{
		Clients: []sysctl.Setting{{Name: "net.ipv4.tcp_timestamps", Value: "0"}},
		Server:  []sysctl.Setting{{Name: "net.ipv4.tcp_syncookies", Value: "2"}},
	}}
	s.withArm(t, arm, func(rule lab.ArmRule) {
		checkSettings(t, rule,
			result.Setting{Part: result.PartServer, Key: "net.ipv4.tcp_syncookies", Value: "2"},
			result.Setting{Part: result.PartClients, Key: "net.ipv4.tcp_timestamps", Value: "0"})
		server, ports := s.sendRequests(t, 1)
		s.forgetEntries(t, server, ports)
	})
	arm.Sysctls.Server[0].Name = "net.ipv4.no_such_thing"
	if _, err := s.Apply(t.Context(), arm); err == nil || !strings.Contains(err.Error(), "/proc/sys/net/ipv4/no_such_thing") {
		t.Errorf("error %v", err)
	}
}
