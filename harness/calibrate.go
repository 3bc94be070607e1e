package harness

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"snatlab/harness/lab"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/verdict"
)

// Calibration is how often verdicts were wrong where the truth is known.
type Calibration struct {
	Runs         int       `json:"runs"`
	Inconclusive int       `json:"inconclusive"` // runs in which the race did not occur in the baseline, or too rarely to judge
	Itself       Tally     `json:"itself"`       // the baseline against itself: any difference is false
	Arms         []Tally   `json:"arms"`         // every other arm: it is known to mitigate
	Seconds      []float64 `json:"seconds"`      // of each run
}

// Tally counts the verdicts of one comparison over all runs. One that is undecided
// says nothing, and is neither right nor wrong.
type Tally struct {
	Arm      string                    `json:"arm"`
	Verdicts map[result.ArmVerdict]int `json:"verdicts"` // of conclusive runs
	Wrong    int                       `json:"wrong"`
}

// Decided returns the number of verdicts that can be right or wrong.
func (t Tally) Decided() (n int) {
	for v, runs := range t.Verdicts {
		if v.IsDecided() {
			n += runs
		}
	}
	return n
}

// Undecided returns the number of conclusive runs without such a verdict.
func (t Tally) Undecided() (n int) {
	for _, runs := range t.Verdicts {
		n += runs
	}
	return n - t.Decided()
}

// again is the name of the baseline's second self.
const again = "baseline-again"

// Twice gives a scenario the baseline of which stands in it twice, first and
// second.
func Twice(s *scenario.Scenario) *scenario.Scenario {
	twice := *s
	twice.Expect = nil
	second := s.Arms[0]
	second.Name = again
	twice.Arms = slices.Concat(s.Arms[:1], []scenario.Arm{second}, s.Arms[1:])
	return &twice
}

// Calibrate runs a scenario that Twice gave many times, each in a lab of its own,
// and counts the wrong verdicts: of the baseline against itself, and against each
// other arm. Each comparison is judged as that of a run with two arms; they share
// the baseline's trials. A run in which the race did not occur says nothing, and
// counts for none of them; a comparison that is undecided counts for no verdict.
func Calibrate(ctx context.Context, s *scenario.Scenario, runs int, open func(ctx context.Context, run int) (lab.Lab, error), done func(*Calibration)) (*Calibration, error) {
	twice := *s
	c := &Calibration{Itself: Tally{Arm: s.Arms[0].Name, Verdicts: map[result.ArmVerdict]int{}}, Arms: []Tally{}}
	for _, a := range s.Arms[2:] {
		c.Arms = append(c.Arms, Tally{Arm: a.Name, Verdicts: map[result.ArmVerdict]int{}})
	}
	for run := range runs {
		twice.Seed = s.Seed + uint64(run)
		r, err := Run(ctx, &twice, func(ctx context.Context) (lab.Lab, error) { return open(ctx, run) }, silent{}, Options{})
		if err != nil {
			return c, fmt.Errorf("run %d of %d: %w", run+1, runs, err)
		}
		if err := c.count(r); err != nil {
			return c, err
		}
		done(c)
	}
	return c, nil
}

// count adds the verdicts of one run.
func (c *Calibration) count(r *result.Result) error {
	c.Runs++
	c.Seconds = append(c.Seconds, r.Seconds)
	itself, err := judgePair(r, 1)
	if err != nil {
		return err
	}
	if itself == result.ArmInconclusive {
		c.Inconclusive++
		return nil
	}
	c.Itself.add(itself, result.NoDifference)
	for i := range c.Arms {
		v, err := judgePair(r, 2+i)
		if err != nil {
			return err
		}
		c.Arms[i].add(v, result.Mitigated)
	}
	return nil
}

func (t *Tally) add(v, right result.ArmVerdict) {
	t.Verdicts[v]++
	if v != right && v.IsDecided() {
		t.Wrong++
	}
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

// silent watches nothing.
type silent struct{}

func (silent) Start(int, int, string)               {}
func (silent) Done(int, int, string, *result.Trial) {}
