package format

import "testing"

// A figure neither vanishes nor grows by rounding.
func TestPercent(t *testing.T) {
	t.Parallel()
	for share, want := range map[float64]string{
		0: "0 %", 1e-9: "<0.01 %", 0.0002: "0.02 %", 0.0835: "8.35 %", 0.1124: "11.2 %",
		0.9994: "99.9 %", 0.9997: "99.97 %", 0.99999: ">99.99 %", 1: "100 %", 1.5: "150.0 %", 12: "1200 %",
		-0.352: "-35.2 %", -0.00001: "-<0.01 %",
	} {
		if got := Percent(share); got != want {
			t.Errorf("Percent(%v) = %q, want %q", share, got, want)
		}
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -999: "-999", -1000: "-1,000"} {
		if got := Thousands(n); got != want {
			t.Errorf("Thousands(%d) = %q, want %q", n, got, want)
		}
	}
}

// An interval whose ends print the same is printed as that figure.
func TestInterval(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		low, high *float64
		want      string
	}{
		{nil, nil, None},
		{nil, new(0.1), None},
		{new(0.0), new(0.0), "0 %"},
		{new(0.0805), new(0.141), "8.05 to 14.1 %"},
		{new(-0.5), new(0.99999), "-50.0 to >99.99 %"},
		{new(0.11231), new(0.11232), "11.2 %"},
	} {
		if got := FromTo(tc.low, tc.high, Percent); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

// A p-value has two digits.
func TestPValue(t *testing.T) {
	t.Parallel()
	for p, want := range map[float64]string{1: "1", 0.84: "0.84", 0.0079365: "0.0079", 0.00015540: "0.00016", 0.00005: "<0.0001", 0: "<0.0001"} {
		if got := PValue(p); got != want {
			t.Errorf("PValue(%v) = %q, want %q", p, got, want)
		}
	}
	for p, want := range map[float64]string{0.0079365: "p = 0.0079", 0: "p < 0.0001"} {
		if got := P(p); got != want {
			t.Errorf("P(%v) = %q, want %q", p, got, want)
		}
	}
}

// Latencies are printed in microseconds until they are long.
func TestMicros(t *testing.T) {
	t.Parallel()
	for us, want := range map[float64]string{0: "-", 62: "62 µs", 62.5: "63 µs", 9999: "9,999 µs", 10_000: "10.0 ms", 412_345: "412.3 ms"} {
		if got := Micros(us); got != want {
			t.Errorf("Micros(%v) = %q, want %q", us, got, want)
		}
	}
}

func TestSigned(t *testing.T) {
	t.Parallel()
	for share, want := range map[float64]string{0: "0 %", 0.041: "+4.10 %", -0.02: "-2.00 %"} {
		if got := Signed(share); got != want {
			t.Errorf("Signed(%v) = %q, want %q", share, got, want)
		}
	}
}
