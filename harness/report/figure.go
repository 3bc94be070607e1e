package report

import (
	"fmt"
	"slices"
	"time"

	"snatlab/harness/figure"
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
		return figure.Thousands(us) + " µs"
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
	low, high := figure.Percent(s.Low), figure.Percent(s.High)
	if low == high {
		return high
	}
	return low[:len(low)-len(" %")] + "-" + high
}
