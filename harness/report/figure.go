package report

import (
	"fmt"
	"math"
	"slices"
	"time"

	"snatlab/harness/result"
)

// sum adds up one figure of every trial.
func sum[N int | uint64](trials []result.Trial, figure func(result.Trial) N) N {
	var n N
	for _, t := range trials {
		n += figure(t)
	}
	return n
}

// median of one figure of every trial; 0 without a trial.
func median(trials []result.Trial, figure func(result.Trial) int64) int64 {
	var all []int64
	for _, t := range trials {
		all = append(all, figure(t))
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}

// rate is the share of a trial's requests that failed.
func rate(t result.Trial) float64 {
	if t.Requests == 0 {
		return 0
	}
	return float64(t.Failed) / float64(t.Requests)
}

// micros prints a latency given in microseconds.
func micros(us int64) string {
	switch {
	case us == 0: // no request succeeded
		return none
	case us < 10_000:
		return thousands(us) + " µs"
	default:
		return fmt.Sprintf("%.1f ms", float64(us)/1000)
	}
}

// microsChange prints by how much a latency differs.
func microsChange(from, to int64) string {
	switch {
	case from == 0 || to == 0:
		return none
	case to > from:
		return "+" + micros(to-from)
	case to < from:
		return "-" + micros(from-to)
	default:
		return "0 µs"
	}
}

func seconds(s float64) string {
	if s < 100 {
		return fmt.Sprintf("%.1f s", s)
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

// spread prints "8.05-14.1 %", and "0 %" where lowest and highest are the same.
func spread(s result.Spread) string {
	low, high := percent(s.Low), percent(s.High)
	if low == high {
		return high
	}
	return low[:len(low)-len(" %")] + "-" + high
}

// The functions below have twins in package verdict: neither package may see
// the other, and package result has no behaviour.

// percent prints a share to three digits, "11.2 %". Nothing but 0 is "0 %",
// and nothing but all is "100 %".
func percent(share float64) string {
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

// thousands prints 48000 as "48,000".
func thousands[N int | int64 | uint64](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}
