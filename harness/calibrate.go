package harness

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"snatlab/harness/lab"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/stats"
	"snatlab/harness/verdict"
)

// maxWrong is the share of verdicts that may be wrong: of false ones it is what the
// test promises, of missed ones what is asked of the smallest scenario.
const maxWrong = result.Alpha

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

// Calibrate runs a scenario many times, each in a lab of its own, with the baseline
// as a second arm as well. It counts the wrong verdicts: of the baseline against
// itself, and against each other arm. Each comparison is judged as that of a run
// with two arms; they share the baseline's trials. A run in which the race did not
// occur counts for none of them. A comparison that is undecided counts for no
// verdict.
//
// open gets the ID of each run, which is that of the options with its number. done
// is called after each run.
func Calibrate(ctx context.Context, s *scenario.Scenario, runs int, open func(ctx context.Context, id string) (lab.Lab, error),
	done func(*result.Calibration), o RunOptions) (*result.Calibration, error) {
	repeated := WithDuplicateBaseline(s)
	c := newCalibration(s, o)
	for run := range runs {
		repeated.Seed = s.Seed + uint64(run)
		of := o
		of.ID = fmt.Sprintf("%s-%d", o.ID, run+1)
		r, err := Run(ctx, repeated, func(ctx context.Context) (lab.Lab, error) { return open(ctx, of.ID) }, noWatcher{}, of)
		if err == nil {
			err = countVerdicts(c, r)
		}
		if err != nil {
			return c, fmt.Errorf("run %d of %d: %w", run+1, runs, err)
		}
		done(c)
	}
	return c, nil
}

func newCalibration(s *scenario.Scenario, o RunOptions) *result.Calibration {
	c := &result.Calibration{
		Version: o.Version, Scenario: s.Summary(), Itself: newTally(s.Arms[0].Name), Arms: []result.Tally{},
	}
	for _, a := range s.Arms[1:] {
		c.Arms = append(c.Arms, newTally(a.Name))
	}
	return c
}

func newTally(arm string) result.Tally {
	return result.Tally{Arm: arm, Verdicts: map[result.ArmVerdict]int{}, High: 1}
}

// countVerdicts adds the verdicts of one run.
func countVerdicts(c *result.Calibration, r *result.Result) error {
	c.Runs++
	c.Seconds = append(c.Seconds, r.Seconds)
	defer func() { c.Verdict = judgeCalibration(c) }()
	itself, err := judgePair(r, 1)
	if err != nil {
		return err
	}
	if itself == result.ArmInconclusive {
		c.Inconclusive++
		return nil
	}
	countVerdict(&c.Itself, itself, result.NoDifference)
	for i := range c.Arms {
		v, err := judgePair(r, 2+i)
		if err != nil {
			return err
		}
		countVerdict(&c.Arms[i], v, result.Mitigated)
	}
	return nil
}

func countVerdict(t *result.Tally, v, right result.ArmVerdict) {
	t.Verdicts[v]++
	if v != right && v.IsDecided() {
		t.Wrong++
	}
	t.Low, t.High = stats.ProportionInterval(t.Wrong, t.CountDecided(), result.Confidence)
}

// judgePair judges one arm against the baseline as if there were no others.
func judgePair(r *result.Result, arm int) (result.ArmVerdict, error) {
	pair := *r
	pair.Arms = []result.Arm{r.Arms[0], r.Arms[arm]}
	pair.Expected, pair.WarningValues = nil, nil
	verdict.Judge(&pair)
	if len(pair.Comparisons) != 1 {
		return "", errors.New("two arms, and not one comparison")
	}
	return pair.Comparisons[0].Verdict, nil
}

// judgeCalibration fails verdicts that are wrong more often than they may be, beyond
// what chance explains. Where most runs decided nothing of an arm, it is
// inconclusive.
func judgeCalibration(c *result.Calibration) result.Verdict {
	all := append([]result.Tally{c.Itself}, c.Arms...)
	switch {
	case slices.ContainsFunc(all, func(t result.Tally) bool { return 2*t.CountDecided() < c.Runs }):
		return result.Inconclusive
	case slices.ContainsFunc(all, func(t result.Tally) bool { return t.Low > maxWrong }):
		return result.Fail
	default:
		return result.Pass
	}
}

// noWatcher watches nothing.
type noWatcher struct{}

func (noWatcher) Start(int, int, string)               {}
func (noWatcher) Done(int, int, string, *result.Trial) {}
