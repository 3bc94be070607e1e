package changes

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

func recordOf(t *testing.T, text string) *result.Result {
	t.Helper()
	s, err := scenario.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return &result.Result{Scenario: s.Summary(), Environment: result.Env{Widened: s.Lab.PostroutingRules}}
}

const earlier = `
name: quickstart
driver: netns
lab: {postrouting_rules: 0}
load: {requests: 300}
rounds: 8
until: {rounds_max: 8}
seed: 1
arms:
  - name: masquerade
  - name: pool
    snat: {to_source: [198.19.0.1, 198.19.0.2]}
  - name: random-fully
    masquerade: {random_fully: true}
expect:
  - {arm: random-fully, reduction: ">=95%"}
`

const later = `
name: quickstart
driver: netns
load: {requests: 300}
arms:
  - name: masquerade
    masquerade: {to_ports: 40000-49999}
  - name: pool
    snat: {to_source: [198.19.0.1]}
  - name: random-fully
    masquerade: {random_fully: true}
expect:
  - {arm: masquerade, race: reproduced}
  - {arm: random-fully, reduction: ">=99%"}
`

// Each key that differs is named with both values.
func TestList(t *testing.T) {
	t.Parallel()
	changes, complete := List(recordOf(t, earlier), recordOf(t, later))
	want := []result.Difference{
		{What: "lab.postrouting_rules", Old: "0", New: "1000"},
		{What: "rounds", Old: "8", New: "6"},
		{What: "until.rounds_max", Old: "8", New: "60"},
		{What: "arms.masquerade.masquerade.to_ports", New: "40000-49999"},
		{What: "arms.pool.snat.to_source", Old: "198.19.0.1, 198.19.0.2", New: "198.19.0.1"},
		{What: "expect.masquerade.race", New: "reproduced"},
		{What: "expect.random-fully.reduction", Old: ">=95%", New: ">=99%"},
		{What: "seed", Old: "1"},
		{What: "arms.masquerade", Old: "plain"},
	}
	if diff := cmp.Diff(want, changes); diff != "" || !complete {
		t.Errorf("complete: %v; %s", complete, diff)
	}
	if changes, complete := List(recordOf(t, earlier), recordOf(t, earlier)); len(changes) > 0 || !complete {
		t.Errorf("of the same scenario: %v", changes)
	}
}

// Of a result that does not have its scenario, the keys that it recorded are compared.
func TestListOfOldResult(t *testing.T) {
	t.Parallel()
	before := recordOf(t, earlier)
	before.Scenario.Text, before.Scenario.Until = "", nil
	changes, complete := List(before, recordOf(t, later))
	want := []result.Difference{
		{What: "lab.postrouting_rules", Old: "0", New: "1000"}, {What: "rounds", Old: "8", New: "6"}, {What: "until.hits", New: "1100"},
		{What: "until.rounds_max", New: "60"}, {What: "until.time_max", New: "5m"},
	}
	if diff := cmp.Diff(want, changes); diff != "" || complete {
		t.Errorf("complete: %v; %s", complete, diff)
	}
}

// The text comes from a file that anybody may have written.
func TestListHostile(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"[", "a: &x [*x]", "- {name: }\n- name\n", "a: {b: 1}\na: {b: 2}\n", "null", "{name: {a: b}}", "? [a]\n: b\n"} {
		before, after := recordOf(t, earlier), recordOf(t, later)
		before.Scenario.Text = text
		List(before, after)
		List(after, before)
	}
}
