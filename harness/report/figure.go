package report

import (
	"fmt"
	"math"
	"strings"
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

// rate is the share of a trial's requests that failed.
func rate(t result.Trial) float64 {
	if t.Requests == 0 {
		return 0
	}
	return float64(t.Failed) / float64(t.Requests)
}

// micros prints a latency given in microseconds.
func micros(us float64) string {
	switch {
	case us == 0: // no request succeeded
		return none
	case us < 10_000:
		return figure.Thousands(int64(math.Round(us))) + " µs"
	default:
		return fmt.Sprintf("%.1f ms", us/1000)
	}
}

func seconds(s float64) string {
	if s < 100 {
		return fmt.Sprintf("%.1f s", s)
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

// signed prints a change, "+4.10 %".
func signed(share float64) string {
	if share > 0 {
		return "+" + figure.Percent(share)
	}
	return figure.Percent(share)
}

// between prints "8.05 to 14.1 %", and "0 %" where both ends are the same.
func between(low, high *float64, print func(float64) string) string {
	if low == nil || high == nil {
		return none
	}
	from, to := print(*low), print(*high)
	if from == to {
		return to
	}
	return strings.TrimSuffix(from, " %") + " to " + to
}

// share prints a figure that may be missing.
func share(s *float64, print func(float64) string) string {
	if s == nil {
		return none
	}
	return print(*s)
}

// probability prints "0.0079".
func probability(p float64) string {
	if p < 0.0001 {
		return "<0.0001"
	}
	return fmt.Sprintf("%.2g", p)
}
