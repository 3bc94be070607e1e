package verdict

import (
	"fmt"
	"slices"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/stats"
)

// MinRounds returns the least number of rounds in which an arm that is compared by trials
// can be found different, one of so many comparisons. With fewer rounds, the p of arms
// that lie entirely apart is not below [result.Alpha] after Holm's adjustment. Arms that
// are compared with their control take 1, as does no comparison.
func MinRounds(comparisons int) int {
	if comparisons < 1 {
		return 1
	}
	return stats.MinToDiffer(comparisons, result.Alpha)
}

// canDiffer reports whether that many rounds can show a difference between the trials of
// two arms, where there are that many comparisons.
func canDiffer(rounds, comparisons int) bool {
	return stats.CanDiffer(rounds, rounds, comparisons, result.Alpha)
}

// couldDiffer reports whether the trials of an arm would be found different from those of
// the baseline if it had lost nothing: they would not if there are few, or if too many of
// the baseline lost nothing either.
func couldDiffer(arm, baseline result.Arm, comparisons int) bool {
	p := stats.RankSum(make([]float64, len(sentTrials(arm))), baseline.FailureRates())
	return p != nil && float64(comparisons)**p < result.Alpha
}

// MinRoundsForInterval returns the least number of rounds with which a change of latency
// has an interval. An expectation of a latency cannot be decided without an interval.
func MinRoundsForInterval() int { return stats.MinForChangeByControl(result.Confidence) }

// A Plan is what a run is to decide, and with how many rounds.
type Plan struct {
	Rounds   int // at least
	Arms     int
	ByTrials int // arms besides the baseline that are compared by trials, see [result.Method]
	Expected []result.Expectation
}

// A FewRoundsError is the error of a run that has too few rounds to decide what it is
// for.
type FewRoundsError struct {
	Plan
	Least int // rounds that can decide it
	test  int // rounds that the comparison of the arms takes
}

func (e *FewRoundsError) Error() string {
	n := format.Plural(e.Rounds, "round", "rounds")
	if e.Rounds < e.test {
		return fmt.Sprintf("%s cannot reach a verdict with %s no control: use at least %d", n,
			format.Plural(e.ByTrials, "arm that has", "arms that have"), e.Least)
	}
	return fmt.Sprintf("%s cannot decide an expected latency: use at least %d", n, e.Least)
}

// CheckRounds returns a [*FewRoundsError] if a run cannot decide what it is for, whatever
// its trials show. It is for its expectations, and without any for the comparison of
// its arms. Where every arm has a control, hits decide and not rounds.
func CheckRounds(p Plan) error {
	e := &FewRoundsError{Plan: p, test: 1}
	if p.ByTrials > 0 && (len(p.Expected) == 0 || slices.ContainsFunc(p.Expected, comparesArms)) {
		e.test = MinRounds(p.Arms - 1)
	}
	e.Least = e.test
	if slices.ContainsFunc(p.Expected, needsInterval) {
		e.Least = max(e.Least, MinRoundsForInterval())
	}
	if p.Rounds >= e.Least {
		return nil
	}
	return e
}

// comparesArms reports whether an expectation is about more than the failures of
// its own arm.
func comparesArms(e result.Expectation) bool { return e.Reduction != nil || needsInterval(e) }

func needsInterval(e result.Expectation) bool { return e.P50 != nil || e.P99 != nil }
