// Package figure prints numbers the way people read them. It knows nothing of
// what they count.
package figure

import (
	"fmt"
	"math"
)

// Percent prints a share to three digits, 0.1123 as "11.2 %". Nothing but 0 is
// "0 %", and nothing but all is "100 %".
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
