package main

import (
	"fmt"
	"testing"

	"snatlab/harness/scenario"
)

// Connections beyond those that may be open wait until these are closed.
func TestEstimateOfHold(t *testing.T) {
	t.Parallel()
	const text = "name: held\ndriver: netns\nload: {pattern: ephemeral, requests: 120, rate: 2000, hold: 1m, concurrency: %s}\nrounds: 8\narms: [{name: masquerade}, {name: random-fully, masquerade: {random_fully: true}}]\n"
	for concurrency, want := range map[string]string{"120": "4.0 s", "119": "17m4s", "60": "17m4s", "40": "34m4s"} {
		s, err := scenario.Parse("held.yaml", []byte(fmt.Sprintf(text, concurrency)))
		if err != nil {
			t.Fatal(err)
		}
		if got := estimateLength(s); got != want {
			t.Errorf("%s open at a time: %s, want %s", concurrency, got, want)
		}
	}
}
