package wording

import (
	"testing"

	"snatlab/harness/result"
)

// A claim states its bound.
func TestClaim(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]result.Expectation{
		"race absent":          {Race: result.Absent},
		"reduction >= 99.5 %":  {Reduction: new(0.995)},
		"p50 <= +10 %":         {P50: new(0.1)},
		"p99 <= +0 %":          {P99: new(0.0)},
		"unexplained <= 0.1 %": {Unexplained: new(0.001)},
	} {
		if got := Claim(e); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
