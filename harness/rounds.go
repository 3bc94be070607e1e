package harness

import (
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/verdict"
)

// CheckEnoughRounds returns a [*verdict.FewRoundsError] if the rounds of a scenario
// cannot decide what it is for, whatever its trials show.
func CheckEnoughRounds(s *scenario.Scenario) error {
	return verdict.CheckRounds(s.Rounds, len(s.Arms), listExpectations(s))
}

// listExpectations returns the expectations of a scenario, without an outcome.
func listExpectations(s *scenario.Scenario) []result.Expectation {
	all := []result.Expectation{}
	for _, e := range s.Expect {
		all = append(all, result.Expectation{Arm: e.Arm, Race: e.Race, Reduction: e.Reduction, P50: e.P50, P99: e.P99, Unexplained: e.Unexplained})
	}
	return all
}
