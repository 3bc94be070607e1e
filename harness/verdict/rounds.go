package verdict

import (
	"fmt"
	"slices"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/stats"
)

// MinRounds returns the least number of rounds in which a comparison of that many
// arms, the baseline included, can show a difference. With fewer rounds, the p of arms
// that lie entirely apart is not below [result.Alpha] after Holm's adjustment. A single
// arm, which is compared with nothing, takes 1.
func MinRounds(arms int) int {
	if arms <= 1 {
		return 1
	}
	return stats.MinToDiffer(arms-1, result.Alpha)
}

// canDiffer reports whether that many rounds can show a difference between two arms,
// where there are that many comparisons.
func canDiffer(rounds, comparisons int) bool {
	return stats.CanDiffer(rounds, rounds, comparisons, result.Alpha)
}

// countCommonRounds returns the number of rounds that an arm and the baseline both
// have.
func countCommonRounds(arm, baseline result.Arm) int {
	return min(len(arm.FailureRates()), len(baseline.FailureRates()))
}

// canShowReduction reports whether an arm without any failure would be found
// different from this baseline in the rounds that both have. It would not if too many
// of the baseline's trials have no failure either.
func canShowReduction(arm, baseline result.Arm, comparisons int) bool {
	n := countCommonRounds(arm, baseline)
	p := stats.MannWhitney(make([]float64, n), baseline.FailureRates())
	return p != nil && float64(comparisons)**p < result.Alpha
}

// MinRoundsForInterval returns the least number of rounds with which a reduction or a
// change of latency has an interval. An expectation of a reduction or a latency cannot
// be decided without an interval.
func MinRoundsForInterval() int { return stats.MinForChange(result.Confidence) }

// A FewRoundsError is the error of a run that has too few rounds to decide what it is
// for.
type FewRoundsError struct {
	Rounds int
	Arms   int
	Least  int // rounds that can decide it
	test   int // rounds that the comparison of the arms takes
}

func (e *FewRoundsError) Error() string {
	n := format.Plural(e.Rounds, "round", "rounds")
	if e.Rounds < e.test {
		return fmt.Sprintf("%s cannot reach a verdict with %d arms: use at least %d", n, e.Arms, e.Least)
	}
	return fmt.Sprintf("%s cannot decide an expected reduction or latency: use at least %d", n, e.Least)
}

// CheckRounds returns a [*FewRoundsError] if a run of that many rounds cannot
// decide what it is for, whatever its trials show. It is for its expectations, and
// without any for the comparison of its arms.
func CheckRounds(rounds, arms int, expected []result.Expectation) error {
	e := &FewRoundsError{Rounds: rounds, Arms: arms, test: 1}
	if len(expected) == 0 || slices.ContainsFunc(expected, comparesArms) {
		e.test = MinRounds(arms)
	}
	e.Least = e.test
	if slices.ContainsFunc(expected, needsInterval) {
		e.Least = max(e.Least, MinRoundsForInterval())
	}
	if rounds >= e.Least {
		return nil
	}
	return e
}

// comparesArms reports whether an expectation is about more than the failures of
// its own arm. An absent race is evidence only where another arm has it.
func comparesArms(e result.Expectation) bool { return e.Race == result.Absent || needsInterval(e) }

func needsInterval(e result.Expectation) bool {
	return e.Reduction != nil || e.P50 != nil || e.P99 != nil
}
