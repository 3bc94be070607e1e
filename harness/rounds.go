package harness

import (
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/verdict"
)

// CheckRounds returns a [*verdict.FewRoundsError] if the rounds of a scenario
// cannot decide what it is for, whatever its trials show.
func CheckRounds(s *scenario.Scenario) error {
	return verdict.CheckRounds(s.Rounds, len(s.Arms), expectations(s))
}

// expectations are those of a scenario, with nothing found yet.
func expectations(s *scenario.Scenario) []result.Expect {
	all := []result.Expect{}
	for _, e := range s.Expect {
		all = append(all, result.Expect{Arm: e.Arm, Race: e.Race, Reduction: e.Reduction, P50: e.P50, P99: e.P99, Unexplained: e.Unexplained})
	}
	return all
}
