// Package calibrated makes sentences of what `snatlab calibrate` found.
package calibrated

import (
	"fmt"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// verdictOrder is the order in which verdicts are counted in a sentence.
var verdictOrder = []result.ArmVerdict{
	result.Mitigated, result.Reduced, result.Equal, result.Worse, result.NoDifference, result.Undecided, result.ArmInconclusive,
}

// DescribeTally says what a calibration found about one arm: the truth, the false verdicts,
// the verdicts, the coverage of the intervals, and the share over all runs.
func DescribeTally(t result.Tally) []string {
	runs := len(t.Outcomes)
	lines := []string{
		fmt.Sprintf("in truth %s of the failures remain", RemainingShare(t.Remaining)),
		fmt.Sprintf("false verdicts: %d of %d (95 %% interval %s)", t.Wrong, runs, shareRange(t.Low, t.High)),
		"verdicts: " + CountVerdicts(t.Verdicts),
	}
	if t.Missed > 0 {
		lines = append(lines, fmt.Sprintf("verdicts that say less than the truth: %d", t.Missed))
	}
	for _, c := range t.Intervals {
		lines = append(lines, DescribeCoverage(c))
	}
	if p := t.Pooled; p != nil && p.Estimate != nil && p.High != nil {
		lines = append(lines, fmt.Sprintf("over all runs %s remain (95 %% interval %s): %s failed requests against %s of the control",
			format.Percent(*p.Estimate), shareRange(p.Low, *p.High), format.Thousands(p.Failed), format.Thousands(p.ControlFailed)))
	}
	return lines
}

// DescribeCoverage says in how many runs an interval held the truth.
func DescribeCoverage(c result.Coverage) string {
	name := Level(c.Confidence) + " interval"
	if c.Runs == 0 {
		return name + ": no run had one"
	}
	return fmt.Sprintf("%s: held the truth in %d of %s (95 %% interval %s)", name, c.Held, format.Plural(c.Runs, "run", "runs"), shareRange(c.Low, c.High))
}

// Level prints a level of confidence, "99.9 %".
func Level(share float64) string { return fmt.Sprintf("%.4g %%", 100*share) }

// CountVerdicts returns "mitigated 18, undecided 2".
func CountVerdicts(verdicts map[result.ArmVerdict]int) string {
	var all []string
	for _, v := range verdictOrder {
		if n := verdicts[v]; n > 0 {
			all = append(all, fmt.Sprintf("%s %d", v, n))
		}
	}
	if all == nil {
		return "none"
	}
	return strings.Join(all, ", ")
}

// RemainingShare prints a share that remains in truth. A chance collision of two drawn
// ports is next to nothing.
func RemainingShare(share float64) string { return format.Percent(share) }

func shareRange(low, high float64) string {
	return format.Percent(low) + " to " + format.Percent(high)
}

// verdictWords are the verdicts of a calibration.
var verdictWords = map[result.Verdict]string{
	result.Pass:         "no more is wrong than chance explains",
	result.Fail:         "more is wrong than is promised, and chance does not explain it",
	result.Inconclusive: "for some arm, most runs measured nothing",
}

// Headline returns the answer of a calibration in a few words.
func Headline(c *result.Calibration) string {
	switch c.Verdict {
	case result.Pass:
		return "AS PROMISED"
	case result.Fail:
		return "MORE WRONG THAN PROMISED"
	}
	return wording.CannotTell
}

// DescribeLoad returns what a run of a calibration sends, and where.
func DescribeLoad(c *result.Calibration) string {
	s := c.Scenario
	return fmt.Sprintf("%s of %s x %s or more, kernel %s, %s", format.Plural(s.Rounds, "round", "rounds"), format.Plural(s.Clients, "client", "clients"),
		format.Plural(s.Requests, "request", "requests"), format.OrNone(c.Environment.Kernel), format.OrNone(c.Environment.Driver))
}

// Summarise says what a calibration found as a whole. How often the intervals
// held the truth assumes runs that are independent, which runs in a row are not.
func Summarise(c *result.Calibration) []string {
	decided := "every run measured something"
	if c.Inconclusive > 0 {
		decided = fmt.Sprintf("%d of %s measured nothing of any arm", c.Inconclusive, format.Plural(c.Runs, "run", "runs"))
	}
	return []string{
		fmt.Sprintf("%s; %s", verdictWords[c.Verdict], decided),
		"runs in a row share the state of the machine, so they are not independent, and the intervals of these counts are too narrow",
		fmt.Sprintf("promised: a false verdict in at most %s of runs, the truth in %s and %s of the intervals",
			Level(result.Alpha), Level(result.Confidence), Level(result.DecisiveConfidence)),
	}
}

// NameTally returns the name of an arm in a calibration.
func NameTally(c *result.Calibration, i int) string {
	if i == 0 {
		return c.Itself.Arm + " against itself"
	}
	return c.Arms[i-1].Arm
}
