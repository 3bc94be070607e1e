package nat

import "testing"

// A missing rule has position 0.
func TestPositionOf(t *testing.T) {
	t.Parallel()
	rules := []rule{{text: "-A P -j X"}, {text: "-A P -j Y"}, {text: "-A P -j X"}}
	for text, want := range map[string]int{"-A P -j X": 1, "-A P -j Y": 2, "-A P -j": 0, "": 0} {
		if got := positionOf(rules, rule{text: text}); got != want {
			t.Errorf("%q has position %d, want %d", text, got, want)
		}
	}
}
