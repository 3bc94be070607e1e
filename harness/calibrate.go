package harness

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"

	"snatlab/harness/lab"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/stats"
)

// secondBaseline is the name of the arm that repeats the baseline.
const secondBaseline = "baseline-again"

// WithDuplicateBaseline returns a copy of s whose baseline appears twice, first and
// second. The copy expects nothing.
func WithDuplicateBaseline(s *scenario.Scenario) *scenario.Scenario {
	duplicate := *s
	duplicate.Expect = nil
	second := s.Arms[0]
	second.Name = secondBaseline
	duplicate.Arms = slices.Concat(s.Arms[:1], []scenario.Arm{second}, s.Arms[1:])
	return &duplicate
}

// UnknownTruthError reports an arm about which nothing is known that verdicts could be
// held against.
type UnknownTruthError struct{ Arm string }

func (e *UnknownTruthError) Error() string {
	return fmt.Sprintf("arm %s: which share of the failures remains under it is not known beforehand, so its verdicts cannot be checked; "+
		"a calibration takes the plain rule as its baseline, and arms with masquerade: {random_fully: true}, {random: true} or {random_fully: true, removes: SHARE}", e.Arm)
}

// CheckTruth returns an [UnknownTruthError] if a scenario cannot be calibrated.
func CheckTruth(s *scenario.Scenario) error {
	for i, a := range s.Arms {
		if remaining, known := trueRemaining(a); !known || i == 0 && remaining != 1 {
			return &UnknownTruthError{a.Name}
		}
	}
	return nil
}

// trueRemaining returns the share of the baseline's failures that remains under an arm.
// Under a rule that draws every port, two clients still draw the same one by chance.
func trueRemaining(a scenario.Arm) (remaining float64, known bool) {
	if !reflect.DeepEqual(a, scenario.Arm{Name: a.Name, Masquerade: a.Masquerade}) || a.Masquerade.ToPorts != (scenario.PortRange{}) {
		return 0, false
	}
	switch m := a.Masquerade; {
	case m.Removes > 0:
		return math.Round(1e5*(1-float64(m.Removes))) / 1e5, true // 1 - 0.99 is not 0.01
	case m.Random || m.RandomFully:
		return 1.0 / scenario.NATPorts, true
	}
	return 1, true
}

// Calibrate runs a scenario many times, each in a lab of its own, with the baseline as a
// second arm as well, and holds the verdicts against the truth. A run judges its arms
// together, as every run does. CheckTruth must accept the scenario.
//
// open gets the number of each run, from 1, and its ID, which is that of the options with
// the number. watch is called at each trial, and done after each run.
func Calibrate(ctx context.Context, s *scenario.Scenario, runs int, open func(ctx context.Context, run int, id string) (lab.Lab, error),
	watch Watcher, done func(*result.Calibration), o RunOptions) (*result.Calibration, error) {
	repeated := WithDuplicateBaseline(s)
	c := newCalibration(s, o)
	for run := range runs {
		if s.Seed != nil {
			repeated.Seed = new(*s.Seed + uint64(run))
		}
		of := o
		of.ID = fmt.Sprintf("%s-%d", o.ID, run+1)
		r, err := Run(ctx, repeated, func(ctx context.Context) (lab.Lab, error) { return open(ctx, run+1, of.ID) }, watch, of)
		if err != nil {
			return c, fmt.Errorf("run %d of %d: %w", run+1, runs, err)
		}
		countRun(c, r)
		done(c)
	}
	return c, nil
}

func newCalibration(s *scenario.Scenario, o RunOptions) *result.Calibration {
	c := &result.Calibration{Schema: result.CalibrationSchema, Version: o.Version, Scenario: s.Summary(), Itself: newTally(s.Arms[0]), Arms: []result.Tally{}}
	for _, a := range s.Arms[1:] {
		c.Arms = append(c.Arms, newTally(a))
	}
	return c
}

func newTally(a scenario.Arm) result.Tally {
	remaining, _ := trueRemaining(a)
	return result.Tally{
		Arm: a.Name, Remaining: remaining, Verdicts: map[result.ArmVerdict]int{}, High: 1, Outcomes: []result.CalibratedRun{},
		Intervals: []result.Coverage{{Confidence: result.Confidence, High: 1}, {Confidence: result.DecisiveConfidence, High: 1}},
	}
}

// countRun adds a run, whose arms are the baseline, the baseline again, and those of the
// calibration.
func countRun(c *result.Calibration, r *result.Result) {
	c.Runs++
	c.Seconds = append(c.Seconds, r.Seconds)
	c.Environment = r.Environment
	told := false
	for i, comparison := range r.Comparisons {
		t := &c.Itself
		if i > 0 {
			t = &c.Arms[i-1]
		}
		o := result.CalibratedRun{Verdict: comparison.Verdict, Why: comparison.Why, Remaining: comparison.Remaining}
		countOutcome(t, o)
		told = told || hasFigure(o)
	}
	if !told {
		c.Inconclusive++
	}
	c.Verdict = judgeCalibration(c)
}

// hasFigure reports whether a run measured the share that remains.
func hasFigure(o result.CalibratedRun) bool {
	return o.Remaining != nil && o.Remaining.Estimate != nil && o.Why != result.WhyInstrument
}

// countOutcome adds what a run said about an arm.
func countOutcome(t *result.Tally, o result.CalibratedRun) {
	t.Outcomes = append(t.Outcomes, o)
	t.Verdicts[o.Verdict]++
	switch {
	case !isTrue(o.Verdict, t.Remaining):
		t.Wrong++
	case o.Verdict != bestVerdict(t.Remaining):
		t.Missed++
	}
	t.Low, t.High = stats.ProportionInterval(t.Wrong, len(t.Outcomes), result.Confidence)
	if hasFigure(o) {
		r := o.Remaining
		countInterval(&t.Intervals[0], r.Low, r.High, t.Remaining)
		countInterval(&t.Intervals[1], r.DecisiveLow, r.DecisiveHigh, t.Remaining)
	}
	t.Pooled = poolOutcomes(t.Outcomes)
}

// countInterval adds an interval. One without an upper end holds everything from the
// lower one on.
func countInterval(c *result.Coverage, low float64, high *float64, truth float64) {
	c.Runs++
	if low <= truth && (high == nil || truth <= *high) {
		c.Held++
	}
	c.Low, c.High = stats.ProportionInterval(c.Held, c.Runs, result.Confidence)
}

// poolOutcomes returns the share that remains over all runs that have a figure. Runs are
// to it what trials are to a run.
func poolOutcomes(all []result.CalibratedRun) *result.Remaining {
	var pairs []stats.Pair
	sum := &result.Remaining{}
	for _, o := range all {
		if !hasFigure(o) {
			continue
		}
		pairs = append(pairs, stats.Pair{A: o.Remaining.Failed, B: o.Remaining.ControlFailed})
		sum.Failed += o.Remaining.Failed
		sum.Requests += o.Remaining.Requests
		sum.ControlFailed += o.Remaining.ControlFailed
		sum.ControlRequests += o.Remaining.ControlRequests
	}
	if len(pairs) == 0 {
		return nil
	}
	sum.Trials = len(pairs)
	printed := stats.RatioInterval(pairs, sum.Requests, sum.ControlRequests, result.Confidence)
	decisive := stats.RatioInterval(pairs, sum.Requests, sum.ControlRequests, result.DecisiveConfidence)
	sum.Estimate, sum.Low, sum.High = printed.Estimate, printed.Low, printed.High
	sum.DecisiveLow, sum.DecisiveHigh = decisive.Low, decisive.High
	sum.Scattered = printed.Scattered
	return sum
}

// isTrue reports whether what a verdict says holds where this share remains. To say less
// than could be said is not wrong.
func isTrue(v result.ArmVerdict, remaining float64) bool {
	switch v {
	case result.Mitigated:
		return remaining <= result.MitigatedUpTo
	case result.Reduced:
		return remaining < result.ReducedBelow
	case result.Equal:
		return remaining >= result.ReducedBelow && remaining <= result.WorseAbove
	case result.Worse:
		return remaining > result.WorseAbove
	}
	return true
}

// bestVerdict returns the verdict that says most where this share remains.
func bestVerdict(remaining float64) result.ArmVerdict {
	for _, v := range []result.ArmVerdict{result.Mitigated, result.Reduced, result.Equal} {
		if isTrue(v, remaining) {
			return v
		}
	}
	return result.Worse
}

// judgeCalibration fails what is wrong more often than is promised, beyond what chance
// explains at DecisiveConfidence. Verdicts are promised to be wrong with a chance of Alpha
// at most, and intervals to hold the truth with their confidence. If for some arm most runs
// had no figure, it is inconclusive.
func judgeCalibration(c *result.Calibration) result.Verdict {
	v := result.Pass
	for _, t := range c.Tallies() {
		if isBeyond(t.Wrong, len(t.Outcomes), result.Alpha) {
			return result.Fail
		}
		for _, i := range t.Intervals {
			if isBeyond(i.Runs-i.Held, i.Runs, 1-i.Confidence) {
				return result.Fail
			}
			if 2*i.Runs < c.Runs {
				v = result.Inconclusive
			}
		}
	}
	return v
}

// isBeyond reports whether k of n are more than chance explains, if each one has this
// chance at most.
func isBeyond(k, n int, promised float64) bool {
	low, _ := stats.ProportionInterval(k, n, result.DecisiveConfidence)
	return low > promised
}
