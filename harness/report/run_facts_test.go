package report

import (
	"testing"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

func TestFormatTableSize(t *testing.T) {
	t.Parallel()
	for want, n := range map[string]*uint64{format.None: nil, "0 (no limit)": new(uint64(0)), "262,144": new(uint64(262144))} {
		if got := formatTableSize(n); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestLoadText(t *testing.T) {
	t.Parallel()
	s := result.ScenarioSummary{Clients: 2, Requests: 2000, Rounds: 8, Pattern: "lockstep", Sync: "barrier"}
	const before = "2 clients x 2,000 requests x 8 rounds, lockstep (barrier)"
	if got := loadText(s, nil); got != before {
		t.Errorf("of a result without ports: %q, want %q", got, before)
	}
	s.ClientPorts = &result.Ports{First: 32768, Last: 34767}
	if got, want := loadText(s, nil), before+", from ports 32768-34767"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	// A run that goes on until it has its hits.
	s.Until = &result.Until{Hits: 1000, RoundsMax: 60, TimeMax: 300}
	arms := []result.Arm{{Trials: []result.Trial{{Round: 1, Requests: 4000}, {Round: 2, Requests: 8000}, {Round: 9, Requests: 8000}}}}
	if got, want := loadText(s, arms), "2 clients x 2,000 to 4,000 requests x 9 rounds, lockstep (barrier), from ports 32768-34767"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := loadText(s, nil), "2 clients x 2,000 requests x 8 rounds or more, lockstep (barrier), from ports 32768-34767"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
