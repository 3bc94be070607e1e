// Package wording makes sentences of the values of a result: warnings, settings,
// claims, the answer of a run. No program reads these sentences. A program that has
// to know what they state reads the values.
package wording

import (
	"fmt"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// DescribeResult writes the sentences of a judged result: Found of each expectation,
// Warnings and Summary. A warning without a code, which is of an earlier version,
// keeps its sentence.
func DescribeResult(r *result.Result) {
	for i := range r.Expected {
		r.Expected[i].Found = describeFound(r, r.Expected[i])
	}
	texts := []string{}
	for i, w := range r.WarningValues {
		switch {
		case w.Code != "":
			texts = append(texts, describeWarning(r, w))
		case i < len(r.Warnings):
			texts = append(texts, r.Warnings[i])
		}
	}
	r.Warnings = texts
	r.Summary = summariseRun(r)
}

// findArm returns the arm of that name, or one without a trial where there is none.
func findArm(r *result.Result, name string) result.Arm {
	for _, a := range r.Arms {
		if a.Name == name {
			return a
		}
	}
	return result.Arm{Name: name}
}

// baselineOf returns the first arm, or one without a trial where there is none.
func baselineOf(r *result.Result) result.Arm {
	if len(r.Arms) == 0 {
		return result.Arm{}
	}
	return r.Arms[0]
}

// findComparison returns the comparison of the arm of that name.
func findComparison(r *result.Result, arm string) result.Comparison {
	for _, c := range r.Comparisons {
		if c.Arm == arm {
			return c
		}
	}
	return result.Comparison{Arm: arm}
}

// describeLatency returns "p99 +4.10 %, 95 % interval -2.00 to +9.30 %".
func describeLatency(c result.LatencyChange) string {
	return c.Percentile + " " + format.Signed(*c.Estimate) + describeInterval(c.Low, c.High, format.Signed)
}

// describeInterval returns an interval as a clause, or nothing where there is none.
func describeInterval(low, high *float64, print func(float64) string) string {
	if low == nil || high == nil {
		return ""
	}
	return ", 95 % interval " + format.FromTo(low, high, print)
}

// describePorts returns "32768-32999 and 34000-34767".
func describePorts(ranges []result.Ports) string {
	var texts []string
	for _, p := range ranges {
		texts = append(texts, fmt.Sprintf("%d-%d", p.First, p.Last))
	}
	return strings.Join(texts, " and ")
}

// describeRange returns a range of ports, or "-" where there is none.
func describeRange(p *result.Ports) string {
	if p == nil {
		return format.None
	}
	return describePorts([]result.Ports{*p})
}

// joinLines makes a clause of an error's text, which may have several lines.
func joinLines(s string) string {
	return strings.TrimRight(strings.Join(strings.Fields(s), " "), ".")
}

func capitalise(s string) string {
	return strings.ToUpper(s[:1]) + s[1:]
}
