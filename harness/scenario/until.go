package scenario

import (
	"fmt"
	"reflect"

	"gopkg.in/yaml.v3"

	"snatlab/harness/result"
	"snatlab/harness/scenario/strictyaml"
)

// What ends a run: a least number of rounds, and then the hits of the control.

// maxHits bounds the hits that a run may wait for.
const maxHits = 1_000_000

// MostRounds returns the number of rounds of a run at most.
func (s *Scenario) MostRounds() int { return max(s.Rounds, s.Until.RoundsMax) }

// HasFixedRounds reports whether every run has exactly Rounds rounds.
func (s *Scenario) HasFixedRounds() bool { return s.MostRounds() == s.Rounds }

// HasOwnControl reports whether an arm is compared with the control of its own trials. A
// sysctl acts on the control as well, which then does not show what it does: an arm
// whose sysctls are not the baseline's is compared with the baseline's trials.
func (s *Scenario) HasOwnControl(a Arm) bool {
	return s.HasControl() && reflect.DeepEqual(a.Sysctls, s.Arms[0].Sysctls)
}

// ComparesTrials reports whether an arm is compared with the trials of the baseline: it has
// no control of its own, or the baseline is not plain masquerade, which the control stands
// for. Claims about the race of such an arm may still rest on its control.
func (s *Scenario) ComparesTrials(a Arm) bool {
	baseline := s.Arms[0]
	plain := !baseline.Masquerade.Random && !baseline.Masquerade.RandomFully && !baseline.SNAT.Random && !baseline.SNAT.RandomFully &&
		len(baseline.SNAT.ToSource) < 2 && baseline.ClientPorts != result.SplitPorts
	return !s.HasOwnControl(a) || !plain
}

// checkUntil checks what ends a run, and sets its defaults.
func (c checker) checkUntil(s *Scenario, root *yaml.Node) {
	until, rounds, load := strictyaml.ChildOf(root, "until"), strictyaml.ChildOf(root, "rounds"), strictyaml.ChildOf(root, "load")
	if rounds == nil {
		s.Rounds = s.defaultRounds()
	}
	if !c.IsSound(until, rounds, load, strictyaml.ChildOf(load, "pattern")) {
		return
	}
	if !result.InLockstep(s.Load.Pattern) {
		for _, p := range (strictyaml.Path{"until"}).FindPairs(root) {
			c.AddFault(p.Key, fmt.Sprintf("until: counts the hits of the control, which trials of pattern %s do not have; allowed: rounds, which is then the exact number of rounds", s.Load.Pattern))
		}
		return
	}
	most := strictyaml.ChildOf(until, "rounds_max")
	u := &s.Until
	if u.Hits == 0 {
		u.Hits = DefaultHits
	}
	if u.TimeMax == 0 {
		u.TimeMax = DefaultTimeMax
	}
	switch {
	case most == nil:
		u.RoundsMax = max(DefaultRoundsMax, s.Rounds)
	case rounds == nil:
		s.Rounds = min(s.Rounds, max(1, u.RoundsMax))
	case u.RoundsMax < s.Rounds && c.IsSound(most):
		c.AddFault(most, fmt.Sprintf("rounds_max: %d is below the least number of rounds, %d at line %d; allowed: %d to %d", u.RoundsMax, s.Rounds, rounds.Line, s.Rounds, MaxRounds))
	}
}

// defaultRounds returns the least number of rounds for a file that does not set it.
func (s *Scenario) defaultRounds() int {
	for i, a := range s.Arms {
		if !s.HasOwnControl(a) || i > 0 && s.ComparesTrials(a) {
			return UncontrolledRounds
		}
	}
	return DefaultRounds
}
