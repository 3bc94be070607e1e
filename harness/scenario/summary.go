package scenario

import "snatlab/harness/result"

// Summary returns the record of the scenario, before its lab is known.
func (s *Scenario) Summary() result.ScenarioSummary {
	return result.ScenarioSummary{
		Name: s.Name, Hash: s.Hash(), Clients: s.Clients, Pattern: s.Load.Pattern, Sync: s.Load.Sync,
		Requests: s.Load.Requests, Rounds: s.Rounds, Seed: s.Seed,
	}
}
