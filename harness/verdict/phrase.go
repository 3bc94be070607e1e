package verdict

import (
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// reduction prints "reduction 99.5 %, 95 % interval 98.8 to 100 %".
func reduction(c result.Reduction) string {
	return "reduction " + format.Percent(*c.Estimate) + within(c.Low, c.High, format.Percent)
}

// latency prints "p99 +4.10 %, 95 % interval -2.00 to +9.30 %".
func latency(c result.LatencyChange) string {
	return c.Percentile + " " + format.Signed(*c.Estimate) + within(c.Low, c.High, format.Signed)
}

// within prints an interval, if there is one.
func within(low, high *float64, print func(float64) string) string {
	if low == nil || high == nil {
		return ""
	}
	return ", 95 % interval " + format.FromTo(low, high, print)
}

// oneLine makes a clause of an error's text, which may have several lines.
func oneLine(s string) string {
	return strings.TrimRight(strings.Join(strings.Fields(s), " "), ".")
}

func capital(s string) string {
	return strings.ToUpper(s[:1]) + s[1:]
}
