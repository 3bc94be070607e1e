package main

import (
	"strings"
	"testing"

	"snatlab/harness/result"
)

// overUDP is the scenario of a run over UDP, with ports of that protocol in an arm.
const overUDP = `
name: udp
load: {protocol: udp, requests: 300}
rounds: 3
until: {rounds_max: 3}
arms:
  - {name: masquerade}
  - {name: random-fully, masquerade: {random_fully: true}}
  - {name: to-ports, masquerade: {random_fully: true, to_ports: 40000-60999}}
expect: [{arm: masquerade, race: reproduced}]
`

// Datagrams are lost to the race alone, which the kernel counts to the unit, and no clash
// of two clients is resolved.
func TestUDP(t *testing.T) {
	needNamespaces(t)
	checkUDP(t, func() *process {
		return startAsUser(t, strings.Replace(overUDP, "name: udp", "name: udp\ndriver: netns", 1))
	}, checkRaceOnly)
}

// The same through Docker's rule, which is restored.
func TestDockerUDP(t *testing.T) {
	h := needHost(t)
	h.unchanged(t)
	checkUDP(t, func() *process { return start(t, "run", scenarioFile(t, overUDP)) }, func(*testing.T, *result.Result) {})
}

// checkUDP repeats a run in which the race did not occur, up to three times.
func checkUDP(t *testing.T, start func() *process, check func(*testing.T, *result.Result)) {
	t.Helper()
	for range 3 {
		p := start()
		code := p.wait(t)
		if code != exitPass && code != exitInconclusive {
			t.Fatalf("exit code %d\n%s", code, p.said(t))
		}
		r := p.result(t)
		check(t, r)
		for _, a := range r.Arms {
			if len(a.Trials) != 3 || a.Name == "to-ports" && !strings.Contains(a.Rule, "udp") {
				t.Errorf("%s: %d trials, rule %s", a.Name, len(a.Trials), a.Rule)
			}
			for _, trial := range a.Trials {
				checkDatagrams(t, a.Name, trial)
			}
		}
		if code == exitPass {
			return
		}
	}
	t.Error("the race did not occur in three runs")
}

// checkDatagrams checks that what a trial's clients and its server counted adds up.
func checkDatagrams(t *testing.T, arm string, trial result.Trial) {
	t.Helper()
	c := trial.Control
	if trial.Requests != 600 || c == nil || c.Requests != 600 || sum(trial.Causes) != trial.Failed || sum(c.Causes) != c.Failed {
		t.Errorf("%s, round %d: %+v, control %+v", arm, trial.Round, trial, c)
		return
	}
	if n := trial.Conntrack.ClashResolve; n != nil && *n != 0 {
		t.Errorf("%s, round %d: clash_resolve %d", arm, trial.Round, *n)
	}
	if s := trial.Server; s.Accepted < uint64(trial.Requests-trial.Failed) || s.Malformed != 0 || s.ReceiveDrops == nil || trial.Datagrams == nil || trial.Datagrams.Foreign != 0 {
		t.Errorf("%s, round %d: server %+v, clients %+v", arm, trial.Round, s, trial.Datagrams)
	}
	if trial.RulePackets < 600 || c.RulePackets != 600 {
		t.Errorf("%s, round %d: %d packets of the rule, %d of the control's", arm, trial.Round, trial.RulePackets, c.RulePackets)
	}
}
