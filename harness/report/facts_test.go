package report

import (
	"testing"

	"snatlab/harness/format"
)

func TestEntries(t *testing.T) {
	for want, n := range map[string]*uint64{format.None: nil, "0 (no limit)": new(uint64(0)), "262,144": new(uint64(262144))} {
		if got := entries(n); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
