package harness

import (
	"fmt"
	"strings"
	"testing"

	"snatlab/harness/conntrack"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/scenario/sysctl"
)

// lockstepExperiment returns an experiment whose clients have these ranges of source
// ports. The zero range is one that could not be read.
func lockstepExperiment(t *testing.T, requests int, arms []scenario.Arm, ranges ...scenario.PortRange) *experiment {
	t.Helper()
	f := newFakeLab(t, len(ranges))
	for i, r := range ranges {
		f.clients[i].Hello.CPUs, f.clients[i].Hello.LocalPorts = []int{0, 1}, &r
		if r == (scenario.PortRange{}) {
			f.clients[i].Hello.LocalPorts = nil
		}
	}
	s := ephemeralScenario(len(ranges))
	s.Arms, s.Load.Pattern, s.Load.Requests = arms, result.Lockstep, requests
	return &experiment{Scenario: s, lab: f, result: newRecord(s, RunOptions{})}
}

func TestChoosePorts(t *testing.T) {
	t.Parallel()
	usual, wide := scenario.PortRange{First: 32768, Last: 60999}, scenario.PortRange{First: 1, Last: 65535}
	plain := []scenario.Arm{{Name: "a"}}
	split := []scenario.Arm{{Name: "a"}, {Name: "b", ClientPorts: result.SplitPorts}}
	ranged := func(value string) scenario.Arm {
		return scenario.Arm{Name: "r", Sysctls: scenario.Sysctls{Clients: []sysctl.Setting{{Name: "net.ipv4.ip_local_port_range", Value: value}}}}
	}
	const less = "; send fewer requests (load.requests), or widen net.ipv4.ip_local_port_range of the clients"
	for _, test := range []struct {
		name     string
		requests int
		arms     []scenario.Arm
		clients  []scenario.PortRange
		want     scenario.PortRange // that are used
		recorded result.Ports       // that the slots take
		err      string
	}{
		{"the clients' own range", 2000, plain, []scenario.PortRange{usual, usual}, usual, result.Ports{First: 32768, Last: 34767}, ""},
		{"a range that could not be read", 100, plain, []scenario.PortRange{{}, wide}, usual, result.Ports{First: 32768, Last: 32867}, ""},
		{"ports that NAT keeps apart", 100, plain, []scenario.PortRange{wide, wide}, scenario.PortRange{First: 1024, Last: 65535}, result.Ports{First: 1024, Last: 1123}, ""},
		{"those that all clients have", 100, plain, []scenario.PortRange{{First: 30000, Last: 40999}, {First: 40000, Last: 50000}}, scenario.PortRange{First: 40000, Last: 40999}, result.Ports{First: 40000, Last: 40099}, ""},
		{"those that all arms have", 100, []scenario.Arm{{Name: "a"}, ranged("50000 65000")}, []scenario.PortRange{usual, usual}, scenario.PortRange{First: 50000, Last: 60999}, result.Ports{First: 50000, Last: 50099}, ""},
		{"clients that take turns", 100, plain, []scenario.PortRange{usual, usual, usual, usual}, usual, result.Ports{First: 32768, Last: 32967}, ""},
		{"exactly enough", 875, plain, []scenario.PortRange{{First: 50000, Last: 50999}, usual}, scenario.PortRange{First: 50000, Last: 50999}, result.Ports{First: 50000, Last: 50874}, ""},
		{"too few", 876, plain, []scenario.PortRange{{First: 50000, Last: 50999}, usual}, scenario.PortRange{}, result.Ports{},
			"source ports: a trial needs 876, and the clients have 1000, 50000-50999 (875 of them without those reserved for slots that are made up)" + less},
		{"too few to split", 438, split, []scenario.PortRange{{First: 50000, Last: 50999}, usual}, scenario.PortRange{}, result.Ports{},
			"source ports: a trial needs 876 where each client has its own (client_ports: split), and the clients have 1000, 50000-50999 (875 of them without those reserved for slots that are made up)" + less},
		{"too few for clients that take turns", 438, plain, []scenario.PortRange{{First: 50000, Last: 50999}, usual, usual, usual}, scenario.PortRange{}, result.Ports{},
			"source ports: a trial needs 876 (4 clients take turns on 2 CPUs), and the clients have 1000, 50000-50999 (875 of them without those reserved for slots that are made up)" + less},
		{"none in common", 1, plain, []scenario.PortRange{{First: 40000, Last: 40999}, {First: 50000, Last: 50999}}, scenario.PortRange{}, result.Ports{},
			"source ports: a trial needs 1, and the clients have 0, none that all of them have in all arms (0 of them without those reserved for slots that are made up)" + less},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := lockstepExperiment(t, test.requests, test.arms, test.clients...)
			err := x.choosePorts(t.Context())
			if text := fmt.Sprint(err); err != nil && text != test.err || err == nil && test.err != "" {
				t.Fatalf("error %v, want %s", err, test.err)
			}
			if err != nil {
				return
			}
			if x.ports != test.want || *x.result.Scenario.ClientPorts != test.recorded {
				t.Errorf("ports %v, want %v; recorded %v, want %v", x.ports, test.want, *x.result.Scenario.ClientPorts, test.recorded)
			}
		})
	}
}

// Trials may be larger than the scenario says, as far as ports, probes and the conntrack
// table allow, and not at the cost of slots of the control.
func TestLargestTrial(t *testing.T) {
	t.Parallel()
	usual := scenario.PortRange{First: 32768, Last: 60999}
	for _, test := range []struct {
		name           string
		requests, most int
		ports          scenario.PortRange
		room           uint64 // of the conntrack table
		want, every    int
	}{
		{"no larger", 1000, 0, usual, 1 << 20, 1000, 1},
		{"all that is wished for", 1000, 4000, usual, 1 << 20, 4000, 1},
		{"what the ports allow", 1000, 50_000, usual, 1 << 20, 12_352, 1},
		{"what the ports allow beside slots of the control that are few", 900, 2000, scenario.PortRange{First: 40000, Last: 41371}, 1 << 20, 904, 3},
		{"what the probes send", 1000, 50_000, scenario.PortRange{First: 1024, Last: 65535}, 1 << 20, 16_000, 1},
		{"what the table has room for", 1000, 50_000, usual, 10_000, 2500, 1},
		{"a table that is too small for the smallest", 1000, 50_000, usual, 100, 1000, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := lockstepExperiment(t, test.requests, []scenario.Arm{{Name: "a"}}, test.ports, test.ports)
			f := x.lab.(*fakeLab)
			f.controlLost = losing(nil)
			f.table = func(int) conntrack.Snapshot { return conntrack.Snapshot{Max: test.room} }
			x.mostRequests = test.most
			if err := x.choosePorts(t.Context()); err != nil {
				t.Fatal(err)
			}
			if x.mostRequests != test.want || x.control.every != test.every {
				t.Errorf("%d requests with a slot of the control for every %d, want %d and %d", x.mostRequests, x.control.every, test.want, test.every)
			}
			if own, of := x.ports, x.control.ports; own.Slots() < x.mostRequests || of.Slots() < x.countControlSlots(x.mostRequests, test.every) || own.Last+1 != of.First || of.Last != test.ports.Last {
				t.Errorf("ports %v and %v", own, of)
			}
		})
	}
}

// Too few ports end the run before its first request.
func TestRunTooFewPorts(t *testing.T) {
	t.Parallel()
	f := newFakeLab(t, 1)
	f.clients[0].Hello.LocalPorts = &scenario.PortRange{First: 40000, Last: 40099}
	_, _, err := f.run(t.Context(), lockstepScenario(result.SyncBarrier, "a"))
	if err == nil || f.countCalls("client 0") != 0 || f.countCalls(callApply) != 0 {
		t.Errorf("error %v after %d loads and %d rules", err, f.countCalls("client 0"), f.countCalls(callApply))
	}
	if !f.wasClosedLast() {
		t.Errorf("the lab was not closed last: %v", f.calls)
	}
}

func TestOwnPorts(t *testing.T) {
	t.Parallel()
	t.Run("are disjoint, and enough for what a scenario may send", func(t *testing.T) {
		for clients := 1; clients <= scenario.MaxClients; clients++ {
			s := &scenario.Scenario{Clients: clients, Load: scenario.LoadSettings{Pattern: result.Lockstep}, Arms: []scenario.Arm{{ClientPorts: result.SplitPorts}}}
			x := &experiment{Scenario: s, ports: scenario.DefaultPorts}
			next := x.ports.First
			for i := range clients {
				own := x.ownPorts(i)
				if own.First < next || own.Last > x.ports.Last || own.Len() < s.MaxRequests() {
					t.Fatalf("client %d of %d has %v for %d requests", i, clients, own, s.MaxRequests())
				}
				next = own.Last + 1
			}
		}
	})
}

// A server that does not accept the ports that clients really have is an error before the
// first request.
func TestCheckAccepted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern string
		clients scenario.PortRange // net.ipv4.ip_local_port_range of one of them
		want    string
	}{
		{result.Lockstep, scenario.PortRange{First: 32768, Last: 60999}, ""},
		{result.Lockstep, scenario.PortRange{First: 20000, Last: 60999}, "leaves out source ports of the clients, 20000-"},
		{result.Ephemeral, scenario.PortRange{First: 40000, Last: 50000}, ""},
		{result.Ephemeral, scenario.PortRange{First: 1024, Last: 65535}, "leaves out source ports of the clients, 1024-65535"},
	} {
		x := lockstepExperiment(t, 100, []scenario.Arm{{Name: "a"}}, test.clients)
		x.Server.AcceptSourcePorts = scenario.PortRange{First: 32768, Last: 65535}
		if x.Load.Pattern = test.pattern; test.pattern == result.Lockstep {
			if err := x.choosePorts(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		err := x.checkAccepted()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s with ports %v: %v", test.pattern, test.clients, err)
		}
	}
}
