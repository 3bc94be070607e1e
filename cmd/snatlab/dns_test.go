package main

import (
	"strings"
	"testing"

	"snatlab/harness/result"
)

// lookups is the scenario of a run of look-ups, in each of the ways that every driver has.
const lookups = `
name: dns
load: {pattern: dns, requests: 300}
rounds: 2
until: {rounds_max: 2}
arms:
  - {name: masquerade}
  - {name: single-request, resolver: single-request}
  - {name: reopen, resolver: single-request-reopen}
  - {name: use-vc, resolver: use-vc}
  - {name: random-fully, masquerade: {random_fully: true}}
expect: [{arm: masquerade, race: reproduced}]
`

// Look-ups of two clients are lost to the race alone. Where packets have no entry, none is.
func TestLookups(t *testing.T) {
	needNamespaces(t)
	scenario := strings.Replace(lookups, "name: dns", "name: dns\ndriver: netns", 1)
	scenario = strings.Replace(scenario, "expect:", "  - {name: notrack, notrack: true}\nexpect:", 1)
	checkLookups(t, func() *process { return startAsUser(t, scenario) }, 6)
}

// The same to a service address.
func TestLookupsOfService(t *testing.T) {
	needNamespaces(t)
	checkLookups(t, func() *process {
		return startAsUser(t, strings.Replace(lookups, "name: dns", "name: dns\ndriver: netns\ndnat: {backends: 3}", 1))
	}, 5)
}

// The same through Docker's rule, which is restored.
func TestDockerLookups(t *testing.T) {
	h := needHost(t)
	h.unchanged(t)
	checkLookups(t, func() *process { return start(t, "run", scenarioFile(t, lookups)) }, 5)
}

// checkLookups repeats a run in which the race did not occur, up to three times.
func checkLookups(t *testing.T, start func() *process, arms int) {
	t.Helper()
	for range 3 {
		p := start()
		code := p.wait(t)
		if code != exitPass && code != exitInconclusive {
			t.Fatalf("exit code %d\n%s", code, p.said(t))
		}
		r := p.result(t)
		if len(r.Arms) != arms {
			t.Fatalf("%d arms", len(r.Arms))
		}
		for _, a := range r.Arms {
			for _, trial := range a.Trials {
				checkQueries(t, a, trial)
			}
		}
		if code == exitPass {
			return
		}
	}
	t.Error("the race did not occur in three runs")
}

// checkQueries checks that what a trial's clients and its server counted adds up.
func checkQueries(t *testing.T, arm result.Arm, trial result.Trial) {
	t.Helper()
	c := trial.Control
	if trial.Requests != 600 || c == nil || c.Requests != 600 || sum(trial.Causes) != trial.Failed || sum(c.Causes) != c.Failed {
		t.Errorf("%s, round %d: %+v, control %+v", arm.Name, trial.Round, trial, c)
		return
	}
	if u := trial.Unanswered; u == nil || u.Sum() != trial.Failures[result.Timeout] || c.Unanswered == nil || c.Unanswered.Sum() != c.Failures[result.Timeout] {
		t.Errorf("%s, round %d: failed %v, queries %+v; control %v, %+v", arm.Name, trial.Round, trial.Failures, u, c.Failures, c.Unanswered)
	}
	if s := trial.Server; s.Accepted < uint64(trial.Requests-trial.Failed) || s.Malformed != 0 || s.Strangers != 0 || trial.Datagrams == nil || trial.Datagrams.Foreign != 0 {
		t.Errorf("%s, round %d: server %+v, clients %+v", arm.Name, trial.Round, s, trial.Datagrams)
	}
	if trial.RulePackets < 600-trial.Conntrack.Drop || c.RulePackets < 600 {
		t.Errorf("%s, round %d: %d packets of the rule, %d of the control's", arm.Name, trial.Round, trial.RulePackets, c.RulePackets)
	}
	if n := trial.Causes[result.SNATRace]; arm.Name == "notrack" && n != 0 {
		t.Errorf("%s, round %d: %d look-ups without an entry lost a race for one", arm.Name, trial.Round, n)
	}
}
