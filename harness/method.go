package harness

import "snatlab/harness/scenario"

// CountByTrials returns the number of arms that are compared with the trials of the
// baseline. Package verdict decides it for each arm by what its trials had.
func CountByTrials(s *scenario.Scenario) (n int) {
	for _, a := range s.Arms[min(1, len(s.Arms)):] {
		if s.ComparesTrials(a) {
			n++
		}
	}
	return n
}
