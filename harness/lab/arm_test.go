package lab

import (
	"testing"

	"snatlab/harness/scenario"
)

// The parts of a range are equal and disjoint.
func TestSharePorts(t *testing.T) {
	t.Parallel()
	for n := 1; n <= scenario.MaxClients; n++ {
		last := scenario.DefaultPorts.First - 1
		for i := range n {
			r := splitRange(scenario.DefaultPorts, i, n)
			if r.First <= last || r.Last < r.First || r.Last > scenario.DefaultPorts.Last {
				t.Fatalf("part %d of %d is %v, after %d", i, n, r, last)
			}
			last = r.Last
		}
	}
}
