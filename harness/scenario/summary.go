package scenario

import "snatlab/harness/result"

// Summary returns the record of the scenario, before its lab is known. Its seed is 0 if
// the scenario sets none.
func (s *Scenario) Summary() result.ScenarioSummary {
	summary := result.ScenarioSummary{
		Name: s.Name, Hash: s.Hash(), Text: string(s.Canonical()), Clients: s.Clients, Protocol: s.Load.Protocol, Pattern: s.Load.Pattern, Sync: s.Load.Sync, Threads: s.Load.Threads,
		Requests: s.Load.Requests, Rounds: s.Rounds,
	}
	if s.Seed != nil {
		summary.Seed = *s.Seed
	}
	if !s.HasFixedRounds() {
		summary.Until = &result.Until{Hits: s.Until.Hits, RoundsMax: s.Until.RoundsMax, TimeMax: s.Until.TimeMax.Seconds()}
	}
	return summary
}
