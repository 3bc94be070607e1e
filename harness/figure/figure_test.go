package figure

import "testing"

func TestFiguresNeitherVanishNorGrowByRounding(t *testing.T) {
	for share, want := range map[float64]string{
		0: "0 %", 1e-9: "<0.01 %", 0.0002: "0.02 %", 0.0835: "8.35 %", 0.1124: "11.2 %",
		0.9994: "99.9 %", 0.9997: "99.97 %", 0.99999: ">99.99 %", 1: "100 %", 1.5: "150.0 %", 12: "1200 %",
		-0.352: "-35.2 %", -0.00001: "-<0.01 %",
	} {
		if got := Percent(share); got != want {
			t.Errorf("Percent(%v) = %q, want %q", share, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -999: "-999", -1000: "-1,000"} {
		if got := Thousands(n); got != want {
			t.Errorf("Thousands(%d) = %q, want %q", n, got, want)
		}
	}
}
