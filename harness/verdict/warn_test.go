package verdict

import (
	"slices"
	"testing"

	"snatlab/harness/result"
)

func TestWarnings(t *testing.T) {
	const few = " few: the rate of one arm swings by a factor of two to four between trials"
	for _, tc := range []struct {
		claim string
		in    *result.Result
		want  []string
	}{
		{"four rounds are enough", run(4, arm("masquerade", 700)), nil},
		{"three rounds are few", run(3, arm("masquerade", 700)), []string{"3 rounds are" + few}},
		{"one round is few", run(1, arm("masquerade", 700)), []string{"1 round is" + few}},
		{"unexplained failures are named by trial", run(4, mixed("masquerade", 8, 4), mixed("random", 0, 1)),
			[]string{
				"masquerade, round 1: 4 of 12 failures are unexplained",
				"random, round 1: 1 of 1 failure is unexplained",
			}},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			Judge(tc.in)
			if !slices.Equal(tc.in.Warnings, tc.want) {
				t.Errorf("got %q", tc.in.Warnings)
			}
		})
	}
}
