package verdict

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"snatlab/harness/result"
)

// counts are sums over the trials of an arm, in requests.
type counts struct{ requests, failed, race int }

func count(arm result.Arm) counts {
	var n counts
	for _, t := range arm.Trials {
		n.requests += t.Requests
		n.failed += t.Failed
		n.race += t.Causes[result.SNATRace]
	}
	return n
}

// failureRate is the spread of failed / requests over trials.
func failureRate(trials []result.Trial) result.Spread {
	var rates []float64
	for _, t := range trials {
		if t.Requests > 0 {
			rates = append(rates, float64(t.Failed)/float64(t.Requests))
		}
	}
	if len(rates) == 0 {
		return result.Spread{}
	}
	slices.Sort(rates)
	return result.Spread{Median: median(rates), Low: rates[0], High: rates[len(rates)-1]}
}

// median of at least one sorted value.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// The functions below have twins in package report: neither package may see
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
func thousands(n int) string {
	s := strconv.Itoa(n)
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
