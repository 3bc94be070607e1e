// Package format prints numbers for people: shares, intervals, p-values, times.
package format

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// None is printed for a missing figure, which is not the same as 0.
const None = "-"

// NoDifference is printed where no difference was shown.
const NoDifference = "~"

// Percent prints a share to three digits, 0.1123 as "11.2 %". Only 0 is
// "0 %", and only 1 is "100 %".
func Percent(share float64) string {
	p := 100 * math.Abs(share)
	sign := ""
	if share < 0 {
		sign = "-"
	}
	switch {
	case p == 0 || p == 100 || p >= 1000:
		return fmt.Sprintf("%s%.0f %%", sign, p)
	case p < 0.01:
		return sign + "<0.01 %"
	case p > 99.99 && p < 100:
		return sign + ">99.99 %"
	case p < 10 || p >= 99.95 && p < 100:
		return fmt.Sprintf("%s%.2f %%", sign, p)
	default:
		return fmt.Sprintf("%s%.1f %%", sign, p)
	}
}

// AtLeast prints the lower end of a share, rounded down: 0.8457 as "84 %", 0.99618 as
// "99.6 %", 0.00437 as "0.43 %". It never claims more than the figure does.
func AtLeast(share float64) string {
	decimals := decimalsOf(share)
	if rest := 1 - share; rest > 0 && rest < 0.1 {
		decimals = max(decimals, 1, decimalsOf(rest)-1)
	}
	scale := math.Pow10(decimals)
	percent := math.Floor(100*share*scale+1e-9) / scale
	if percent == 0 {
		return "0 %"
	}
	return fmt.Sprintf("%.*f %%", decimals, percent)
}

// AtMost prints the upper end of a share, rounded up: 0.1543 as "16 %", 0.00437 as
// "0.44 %".
func AtMost(share float64) string {
	decimals := decimalsOf(share)
	scale := math.Pow10(decimals)
	return fmt.Sprintf("%.*f %%", decimals, max(0, math.Ceil(100*share*scale-1e-9)/scale))
}

// decimalsOf returns the decimals of a percentage of two digits, at most three.
func decimalsOf(share float64) int {
	if share <= 0 || share >= 0.1 {
		return 0
	}
	return min(4, int(math.Ceil(-math.Log10(share)-1e-12))) - 1
}

// Between prints an interval, rounded outwards: "40 to 57 %", "0 to 0.44 %". Without an
// upper end it prints "40 % or more".
func Between(low float64, high *float64) string {
	if high == nil {
		return AtLeast(low) + " or more"
	}
	return strings.TrimSuffix(AtLeast(low), " %") + " to " + AtMost(*high)
}

// Signed prints a change, "+4.10 %".
func Signed(share float64) string {
	if share > 0 {
		return "+" + Percent(share)
	}
	return Percent(share)
}

// FromTo prints "8.05 to 14.1 %", "0 %" where both ends print the same, and
// None where an end is missing.
func FromTo(low, high *float64, print func(float64) string) string {
	if low == nil || high == nil {
		return None
	}
	from, to := print(*low), print(*high)
	if from == to {
		return to
	}
	return strings.TrimSuffix(from, " %") + " to " + to
}

// Optional prints a figure, or None where it is missing.
func Optional(n *float64, print func(float64) string) string {
	if n == nil {
		return None
	}
	return print(*n)
}

// OrNone returns s, or None where s is empty.
func OrNone(s string) string {
	if s == "" {
		return None
	}
	return s
}

// P prints a p-value as a statement, "p = 0.0079" or "p < 0.0001".
func P(p float64) string {
	if p < leastP {
		return "p < 0.0001"
	}
	return "p = " + PValue(p)
}

// PValue prints a p-value for a table, "0.0079" or "<0.0001".
func PValue(p float64) string {
	if p < leastP {
		return "<0.0001"
	}
	return fmt.Sprintf("%.2g", p)
}

// leastP is the least p-value that is printed as a number.
const leastP = 0.0001

// Thousands prints 48000 as "48,000".
func Thousands[N int | int64 | uint64](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Plural prints "1 hit" and "2,000 hits".
func Plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Thousands(n) + " " + many
}

// Micros prints a latency in microseconds, "1,234 µs" or "12.3 ms". A latency of
// 0 is None: no request succeeded.
func Micros(us float64) string {
	switch {
	case us == 0:
		return None
	case us < 10_000:
		return Thousands(int64(math.Round(us))) + " µs"
	default:
		return fmt.Sprintf("%.1f ms", us/1000)
	}
}

// Seconds prints "2.1 s", and "1h2m3s" from 100 seconds on.
func Seconds(s float64) string {
	if s < 100 {
		return fmt.Sprintf("%.1f s", s)
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}
