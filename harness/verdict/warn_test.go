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

func TestFiguresNeitherVanishNorGrowByRounding(t *testing.T) {
	for share, want := range map[float64]string{
		0: "0 %", 1e-9: "<0.01 %", 0.0002: "0.02 %", 0.0835: "8.35 %", 0.1124: "11.2 %",
		0.9994: "99.9 %", 0.9997: "99.97 %", 0.99999: ">99.99 %", 1: "100 %", 1.5: "150.0 %", 12: "1200 %",
		-0.352: "-35.2 %", -0.00001: "-<0.01 %",
	} {
		if got := percent(share); got != want {
			t.Errorf("percent(%v) = %q, want %q", share, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -999: "-999", -1000: "-1,000"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q, want %q", n, got, want)
		}
	}
}
