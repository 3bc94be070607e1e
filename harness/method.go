package harness

import (
	"reflect"

	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// CountByTrials returns the number of arms that have no control to be compared with, so
// that their trials are compared with those of the baseline: all of a load without slots,
// and those whose sysctls, which act on the control as well, are not the baseline's.
// Package verdict decides it for each arm by what its trials had.
func CountByTrials(s *scenario.Scenario) (n int) {
	for _, a := range s.Arms[min(1, len(s.Arms)):] {
		if s.Load.Pattern != result.Lockstep || !reflect.DeepEqual(a.Sysctls, s.Arms[0].Sysctls) {
			n++
		}
	}
	return n
}
