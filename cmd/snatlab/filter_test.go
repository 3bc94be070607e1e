package main

import (
	"os"
	"strings"
	"testing"

	"snatlab/harness/result"
)

// TestUpstreamFilter runs the ready scenario: a filter before the server drops a part of
// what a rule draws, none of what is kept or drawn from the range that it lets in, and each
// lost request has the race or the filter as its cause. A run in which the race did not occur
// is repeated, up to three times.
func TestUpstreamFilter(t *testing.T) {
	needNamespaces(t)
	for range 3 {
		if checkFilteredRun(t, startAsUser(t, readyScenario(t, "upstream-filter")), true) == exitPass {
			return
		}
	}
	t.Error("the race did not occur in three runs")
}

// The same through Docker's rule, in one round: its causes do not depend on the race.
func TestDockerUpstreamFilter(t *testing.T) {
	h := needHost(t)
	h.unchanged(t)
	text := strings.Replace(readyScenario(t, "upstream-filter"), "driver: netns", "driver: docker\nuntil: {rounds_max: 1}", 1)
	text = strings.Replace(text, "rounds: 6 ", "rounds: 1 ", 1)
	checkFilteredRun(t, start(t, "run", scenarioFile(t, text)), false)
}

// checkFilteredRun checks the trials of a run, and returns its exit code. An own table has no
// other traffic: there each request is accounted for.
func checkFilteredRun(t *testing.T, p *process, own bool) (code int) {
	t.Helper()
	code = p.wait(t)
	if code != exitPass && code != exitInconclusive {
		t.Fatalf("exit code %d\n%s", code, p.said(t))
	}
	for _, a := range p.result(t).Arms {
		for _, trial := range a.Trials {
			checkFiltered(t, a.Name, trial, own)
		}
		checkSourcePorts(t, a)
	}
	return code
}

// checkFiltered checks that what the filter dropped in a trial is what was lost to it.
func checkFiltered(t *testing.T, arm string, trial result.Trial, own bool) {
	t.Helper()
	c := trial.Control
	if c == nil || trial.Filtered == nil || c.Filtered == nil || sum(trial.Causes) != trial.Failed || sum(c.Causes) != c.Failed {
		t.Errorf("%s, round %d: %+v, control %+v", arm, trial.Round, trial, c)
		return
	}
	filtered := []int{trial.Causes[result.SourceFiltered], c.Causes[result.SourceFiltered]}
	if filtered[0] != int(*trial.Filtered) || filtered[1] != int(*c.Filtered) {
		t.Errorf("%s, round %d: the filter dropped %d and %d, and the causes are %v and %v", arm, trial.Round, *trial.Filtered, *c.Filtered, trial.Causes, c.Causes)
	}
	if lost := uint64(trial.Failed + c.Failed - filtered[0] - filtered[1]); own && lost != trial.Conntrack.InsertFailed {
		t.Errorf("%s, round %d: %d were lost other than to the filter, and insert_failed is %d", arm, trial.Round, lost, trial.Conntrack.InsertFailed)
	}
	switch arm {
	case "split", "to-ports":
		if filtered[0] != 0 {
			t.Errorf("%s, round %d: the filter dropped %d", arm, trial.Round, filtered[0])
		}
	case "random-fully":
		if filtered[0] == 0 {
			t.Errorf("%s, round %d: the filter dropped nothing", arm, trial.Round)
		}
	}
}

// checkSourcePorts checks that the server saw only ports that the filter lets in, and what
// the rule of an arm does to them.
func checkSourcePorts(t *testing.T, a result.Arm) {
	t.Helper()
	accepted := int(result.SumTrials(a.Trials, func(t result.Trial) uint64 { return t.Server.Accepted }))
	p, c := a.SourcePorts, a.ControlSourcePorts
	if p == nil || c == nil || p.Connections != accepted || p.Connections != a.SumTotals().Requests-a.SumTotals().Failed {
		t.Errorf("%s: of %d connections the ports are %+v, control %+v", a.Name, accepted, p, c)
		return
	}
	if _, below := p.CountOutside(result.CommonPorts); below != 0 {
		t.Errorf("%s: the filter let %d connections in", a.Name, below)
	}
	if a.Name == "split" && p.Kept != p.Connections {
		t.Errorf("split: %d of %d kept their port", p.Kept, p.Connections)
	}
	if a.DrawsPorts() && p.Kept >= p.Connections/2 {
		t.Errorf("%s: %d of %d kept their port", a.Name, p.Kept, p.Connections)
	}
}

// readyScenario returns the text of a ready scenario.
func readyScenario(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../scenarios/" + name + ".yaml")
	must(t, err)
	return string(text)
}
