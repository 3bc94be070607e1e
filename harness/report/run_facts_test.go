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
	if got := loadText(s); got != before {
		t.Errorf("of a result without ports: %q, want %q", got, before)
	}
	s.ClientPorts = &result.Ports{First: 32768, Last: 34767}
	if got, want := loadText(s), before+", from ports 32768-34767"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
