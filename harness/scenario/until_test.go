package scenario

import (
	"testing"
	"time"
)

// What ends a run has defaults that depend on each other, and on the arms.
func TestUntilDefaults(t *testing.T) {
	t.Parallel()
	const sysctl = "name: s\narms: [{name: a}, {name: b, sysctls: {router: {net.x: 1}}}]\ndriver: netns\n"
	for _, test := range []struct {
		name, text string
		rounds     int
		until      Until
		fixed      bool
	}{
		{"a lockstep scenario", minimal, 6, Until{1100, 60, 5 * time.Minute}, false},
		{"an empty mapping", minimal + "until: {}\n", 6, Until{1100, 60, 5 * time.Minute}, false},
		{"rounds are the least number", minimal + "rounds: 8\n", 8, Until{1100, 60, 5 * time.Minute}, false},
		{"more rounds than most runs have", minimal + "rounds: 100\n", 100, Until{1100, 100, 5 * time.Minute}, true},
		{"one key", minimal + "until: {hits: 7}\n", 6, Until{7, 60, 5 * time.Minute}, false},
		{"fewer rounds at most", minimal + "until: {rounds_max: 3}\n", 3, Until{1100, 3, 5 * time.Minute}, true},
		{"the same number of rounds twice", minimal + "rounds: 8\nuntil: {rounds_max: 8}\n", 8, Until{1100, 8, 5 * time.Minute}, true},
		{"an arm whose control a sysctl affects", sysctl, 12, Until{1100, 60, 5 * time.Minute}, false},
		{"the same with rounds", sysctl + "rounds: 6\n", 6, Until{1100, 60, 5 * time.Minute}, false},
		{"the same with few rounds at most", sysctl + "until: {rounds_max: 9}\n", 9, Until{1100, 9, 5 * time.Minute}, true},
		{"sysctls that all arms have", "name: s\narms: [{name: a, sysctls: {clients: {net.x: 1}}}, {name: b, sysctls: {clients: {net.x: 1}}}]\n", 6, Until{1100, 60, 5 * time.Minute}, false},
		{"a baseline that the control does not stand for", "name: s\narms: [{name: a, masquerade: {random_fully: true}}, {name: b}]\n", 12, Until{1100, 60, 5 * time.Minute}, false},
		{"an arm alone, whatever its rule is", "name: s\narms: [{name: a, masquerade: {random_fully: true}}]\n", 6, Until{1100, 60, 5 * time.Minute}, false},
		{"ephemeral", minimal + "load: {pattern: ephemeral}\n", 12, Until{}, true},
		{"ephemeral with rounds", minimal + "rounds: 8\nload: {pattern: ephemeral}\n", 8, Until{}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := parse(t, test.text)
			if s.Rounds != test.rounds || s.Until != test.until || s.HasFixedRounds() != test.fixed {
				t.Errorf("rounds %d, until %+v, fixed %v", s.Rounds, s.Until, s.HasFixedRounds())
			}
			checkRoundTrip(t, s)
		})
	}
}

// Rounds of the command line are exact, in the canonical form as well.
func TestSetRoundsFixed(t *testing.T) {
	t.Parallel()
	for _, text := range []string{minimal, minimal + "load: {pattern: ephemeral}\n", minimal + "rounds: 9\nuntil: {hits: 70, rounds_max: 80}\n"} {
		s := parse(t, text)
		if err := s.SetRounds(7); err != nil {
			t.Fatal(err)
		}
		again := parse(t, string(s.Canonical()))
		if s.Rounds != 7 || s.MostRounds() != 7 || !again.HasFixedRounds() || again.Rounds != 7 || s.Summary().Until != nil {
			t.Errorf("rounds %d, until %+v, and again %d, %+v", s.Rounds, s.Until, again.Rounds, again.Until)
		}
	}
}
