package verdict

import (
	"fmt"
	"strings"

	"snatlab/harness/figure"
	"snatlab/harness/result"
)

// reduction prints "reduction 99.5 %, 95 % interval 98.8 to 100 %".
func reduction(c result.Reduction) string {
	return "reduction " + figure.Percent(*c.Estimate) + within(c.Low, c.High, figure.Percent)
}

// latency prints "p99 +4.10 %, 95 % interval -2.00 to +9.30 %".
func latency(c result.LatencyChange) string {
	return c.Percentile + " " + signed(*c.Estimate) + within(c.Low, c.High, signed)
}

func signed(share float64) string {
	if share > 0 {
		return "+" + figure.Percent(share)
	}
	return figure.Percent(share)
}

// within prints an interval, if there is one.
func within(low, high *float64, print func(float64) string) string {
	if low == nil || high == nil {
		return ""
	}
	from, to := print(*low), print(*high)
	if from == to {
		return ", 95 % interval " + to
	}
	return fmt.Sprintf(", 95 %% interval %s to %s", strings.TrimSuffix(from, " %"), to)
}

// probability prints "p = 0.0079".
func probability(p float64) string {
	if p < 0.0001 {
		return "p < 0.0001"
	}
	return fmt.Sprintf("p = %.2g", p)
}

// oneLine makes a clause of an error's text, which may have several lines.
func oneLine(s string) string {
	return strings.TrimRight(strings.Join(strings.Fields(s), " "), ".")
}

func capital(s string) string {
	return strings.ToUpper(s[:1]) + s[1:]
}
