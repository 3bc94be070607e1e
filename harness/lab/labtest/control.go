package labtest

import (
	"strings"
	"testing"
	"time"

	"snatlab/harness/lab"
	"snatlab/harness/probe"
	"snatlab/harness/scenario"
)

// Claims about the control.

// checkControl checks that connections from the control's source ports pass the rule of
// the control in every arm, whichever of the server's ports they go to, and that others do
// not.
func checkControl(t *testing.T, s *labSuite) {
	if env := s.Environment(); env.ControlRule != s.ControlRule() || env.ControlRule == "" {
		t.Errorf("the rule of the control is %q, and %q in the environment", s.ControlRule(), env.ControlRule)
	}
	for _, arm := range []scenario.Arm{
		{},
		{Masquerade: scenario.MasqueradeOptions{Random: true}},
		{Masquerade: scenario.MasqueradeOptions{RandomFully: true}},
		{Masquerade: scenario.MasqueradeOptions{RandomFully: true, Removes: 0.5}},
		{Masquerade: scenario.MasqueradeOptions{ToPorts: scenario.PortRange{First: 30_000, Last: 30_999}}},
		{SNAT: scenario.SNATOptions{ToSource: s.sources()[:1]}},
	} {
		s.withArm(t, arm, func(rule lab.ArmRule) {
			matched, own := readPackets(t, rule), s.readControl(t)
			server, ports := s.sendRequests(t, 2)
			if got := s.readControl(t); got != own {
				t.Errorf("with %q the control's rule matched %d connections of a trial", rule.Rule(), got-own)
			}
			s.forgetEntries(t, server, ports)
			if got := readPackets(t, rule); got != matched+2*clients {
				t.Errorf("%q matched %d packets of %d connections", rule.Rule(), got-matched, 2*clients)
			}
			for range 2 { // in the second, the server's ports have each other's roles
				s.sendControl(t, 3)
			}
			if got := s.readControl(t); got != own+6*clients {
				t.Errorf("with %q the control's rule matched %d of %d connections", rule.Rule(), got-own, 6*clients)
			}
			if got := readPackets(t, rule); got != matched+2*clients {
				t.Errorf("%q matched %d connections of the control", rule.Rule(), got-matched-2*clients)
			}
			if own, control, err := rule.BothPackets(t.Context()); own != readPackets(t, rule) || control != s.readControl(t) || err != nil {
				t.Errorf("both in one reading: %d and %d packets, %v", own, control, err)
			}
			for _, other := range rule.Counters(t.Context()).Rules {
				if strings.Contains(other.Rule, s.ControlRule()) {
					t.Errorf("the control's rule is taken for another program's: %+v", other)
				}
			}
		})
	}
}

// readControl returns the number of connections that the control's rule has matched.
func (s *labSuite) readControl(t *testing.T) uint64 {
	t.Helper()
	n, err := s.ControlPackets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// sendControl sends requests from each client to the port of the control, from source
// ports of the control, and forgets their entries.
func (s *labSuite) sendControl(t *testing.T, requests int) {
	t.Helper()
	s.listenNext(t)
	first := controlPorts.First + uint16(s.sent)
	s.sent += 2 * requests
	var ports [][]scenario.PortRange
	for _, c := range s.Clients() {
		report, err := c.Run(t.Context(), probe.ClientLoad{Protocol: s.Protocol, Server: s.control, Requests: requests, Timeout: 900 * time.Millisecond,
			Lockstep: &probe.LockstepPart{Clients: 1, CPUs: 1, Ports: scenario.PortRange{First: first, Last: controlPorts.Last}}})
		if err != nil || report.Succeeded != requests {
			t.Fatalf("%s: %+v, %v", c.Name, report, err)
		}
		ports = append(ports, report.Ports)
	}
	served, err := s.Finish(t.Context())
	if err != nil || served.ControlAccepted != uint64(requests*clients) || served.Accepted != 0 || len(served.Sources) != 0 {
		t.Errorf("of %d requests of the control the server saw %+v, %v", requests*clients, served, err)
	}
	s.forgetEntries(t, s.control, ports)
	if got := s.countEntries(t, s.control, ports); got != 0 {
		t.Errorf("%d entries of the control are left", got)
	}
}

// checkControlGone checks the error for a rule of the control that was removed. It comes
// after the other claims about rules.
func checkControlGone(t *testing.T, s *labSuite) {
	s.RemoveControl(t, s.Lab)
	if _, err := s.ControlPackets(t.Context()); err == nil || !strings.Contains(err.Error(), " is gone from ") {
		t.Errorf("error %v", err)
	}
	rule := s.applyRule(t, scenario.MasqueradeOptions{})
	if _, err := rule.Packets(t.Context()); err != nil {
		t.Errorf("the other rule: %v", err)
	}
	if _, _, err := rule.BothPackets(t.Context()); err == nil || !strings.Contains(err.Error(), " is gone from ") {
		t.Errorf("both in one reading: error %v", err)
	}
}
