package regression

import (
	"fmt"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/history/store"
	"snatlab/harness/result"
	"snatlab/harness/stats"
	"snatlab/harness/verdict"
)

// CompareGroups compares the runs of one group with earlier ones, arm by arm. Groups of
// different scenarios, by their hash, are an error, and so is a group without a run
// that ended by itself.
//
// An arm is compared by the share of the failures that remains, of the sums over the
// runs of a side. It is a regression if the decisive interval of the new share lies above
// that of the old one, by more than two ports can differ: see [result.RemainingRose] in
// the package comment. If a side has results without shares, arms are compared by their
// verdicts and failure rates, and where only one side has such results, by their rates.
//
// Failure rates are compared by ranks. If there are enough runs, a value is the median
// failure rate of a run. Otherwise it is the rate of a trial, which shows nothing about
// differences from night to night. The other questions are those of [Evaluate], and the
// evidence is another one: if the runs of each side agree, the change is believed,
// since the user chose the runs on purpose. If they do not, a finding requires
// p < 0.01 (by ranks, two-sided). A rise of failures always does.
func CompareGroups(before, after store.Group) (*result.GroupComparison, error) {
	c := &comparison{GroupComparison: &result.GroupComparison{
		Schema: result.GroupComparisonSchema, Arms: []result.ArmChange{}, Findings: []result.Finding{}, Differs: []result.Difference{}, Warnings: []string{},
	}}
	for _, g := range []*store.Group{&before, &after} {
		if err := c.dropIncomplete(g); err != nil {
			return nil, err
		}
	}
	if err := checkSameScenario(before, after); err != nil {
		return nil, err
	}
	c.Scenario, c.Hash = after.Results[0].Scenario.Name, after.Results[0].Scenario.Hash
	c.Old, c.New = describeSide(before), describeSide(after)
	c.old, c.new = summariseRuns(before), summariseRuns(after)
	c.shares, c.mixed = c.findShares()
	if n := countCommon(c.Old.Runs, c.New.Runs); n > 0 {
		c.addWarning("%s on both sides", format.Plural(n, "run is", "runs are"))
	}
	c.Differs = append(c.Differs, findDifferences(before, after)...)
	c.compareRates(before, after)
	for q, s := range listSubjects(c.new) {
		if c.canAsk(q) {
			q.askGroups(c, s)
		}
	}
	c.setVerdict()
	return c.GroupComparison, nil
}

// comparison is a record in the making.
type comparison struct {
	*result.GroupComparison
	old, new []result.RunSummary
	shares   bool // every run was judged by shares that remain
	mixed    bool // some runs were, and some were not
}

// findShares reports whether all runs were judged by shares that remain, and whether only
// some were.
func (c *comparison) findShares() (all, mixed bool) {
	n := 0
	runs := slices.Concat(c.old, c.new)
	for _, r := range runs {
		if r.HasShares() {
			n++
		}
	}
	return n == len(runs), 0 < n && n < len(runs)
}

// canAsk reports whether a question can be asked about these runs. Verdicts and
// expectations that were judged by different rules cannot be compared.
func (c *comparison) canAsk(q question) bool {
	switch q.kind {
	case result.RemainingRose:
		return c.shares
	case result.VerdictFell:
		return !c.shares && !c.mixed
	case result.FailuresRose:
		return !c.shares
	case result.ExpectationBroken:
		return !c.mixed
	}
	return true
}

func (c *comparison) addWarning(format string, args ...any) {
	c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...))
}

// dropIncomplete leaves out the runs of a group that ended early.
func (c *comparison) dropIncomplete(g *store.Group) error {
	all := len(g.Results)
	g.Results = slices.DeleteFunc(slices.Clone(g.Results), func(r *result.Result) bool { return r.Incomplete != "" || len(r.Arms) == 0 })
	switch left := all - len(g.Results); {
	case len(g.Results) == 0:
		return fmt.Errorf("%s: every run ended early", g.Name)
	case left > 0:
		c.addWarning("%s: %s left out, which ended early", g.Name, format.Plural(left, "run", "runs"))
	}
	return nil
}

// checkSameScenario reports groups that cannot be compared: under another load, or
// with other arms, rates have another meaning.
func checkSameScenario(before, after store.Group) error {
	first := before.Results[0].Scenario
	for _, g := range []store.Group{before, after} {
		for _, r := range g.Results {
			if s := r.Scenario; s.Hash != first.Hash {
				return fmt.Errorf("%s and %s are of different scenarios, and nothing can be compared: %s (%s) and %s (%s)",
					before.Name, g.Name, first.Name, first.Hash, s.Name, s.Hash)
			}
			if !slices.EqualFunc(r.Arms, before.Results[0].Arms, func(a, b result.Arm) bool { return a.Name == b.Name }) {
				return fmt.Errorf("%s: %s has other arms than %s", g.Name, r.ID, before.Results[0].ID)
			}
		}
	}
	return nil
}

// describeSide returns what the record contains about a group.
func describeSide(g store.Group) result.Side {
	s := result.Side{Name: g.Name, First: g.Results[0].Started, Last: g.Results[0].Started}
	for _, r := range g.Results {
		s.Runs = append(s.Runs, r.ID)
		if !slices.Contains(s.Kernels, r.Environment.Kernel) {
			s.Kernels = append(s.Kernels, r.Environment.Kernel)
		}
		if r.Started.Before(s.First) {
			s.First = r.Started
		}
		if r.Started.After(s.Last) {
			s.Last = r.Started
		}
	}
	return s
}

// countCommon counts the strings that are in both lists.
func countCommon(a, b []string) (n int) {
	for _, s := range a {
		if slices.Contains(b, s) {
			n++
		}
	}
	return n
}

func summariseRuns(g store.Group) (runs []result.RunSummary) {
	for _, r := range g.Results {
		runs = append(runs, result.NewRunSummary(r))
	}
	slices.SortStableFunc(runs, func(a, b result.RunSummary) int { return a.Started.Compare(b.Started) })
	return runs
}

// compareRates compares the failure rates of the arms.
func (c *comparison) compareRates(before, after store.Group) {
	names := store.ArmNames(c.new)
	c.Unit = result.UnitTrial
	switch {
	case stats.CanDiffer(len(c.old), len(c.new), len(names), result.RunAlpha):
		c.Unit = result.UnitRun
	case len(c.old)+len(c.new) > 2:
		c.addWarning("%s and %s are too few to compare runs: a failure rate is that of a trial, and its p does not cover differences from night to night",
			format.Plural(len(c.old), "run", "runs"), format.Plural(len(c.new), "run", "runs"))
	case c.shares:
		c.addWarning("two single runs are compared: the share of the failures that remains is measured within each run, but the failure rates " +
			"also differ with the state of the machine, which two runs cannot show; they are information")
	default:
		c.addWarning("two single runs are compared: p does not cover differences from night to night, nor between states of the machine")
	}
	switch {
	case c.mixed:
		c.addWarning("some of the runs were judged by failure rates, not by the share of the failures that remains: verdicts and expectations are not compared")
	case !c.shares:
		c.addWarning("the runs were judged by failure rates, not by the share of the failures that remains, and are compared in the same way")
	}
	var old, new [][]float64
	for i, name := range names {
		old, new = append(old, c.listRates(before, c.old, i, name)), append(new, c.listRates(after, c.new, i, name))
	}
	changes := verdict.CompareRates(old, new)
	for i, name := range names {
		c.Arms = append(c.Arms, result.ArmChange{Name: name, Old: store.SumArm(name, c.old), New: store.SumArm(name, c.new), Rate: changes[i]})
	}
	c.warnUndecided(c.Old.Name, c.old)
	c.warnUndecided(c.New.Name, c.new)
}

// warnUndecided names the arms that a side leaves undecided. If a side leaves every
// arm undecided, the summary says so.
func (c *comparison) warnUndecided(side string, runs []result.RunSummary) {
	if c.mixed || c.explainBlindSide(side, runs) != "" {
		return
	}
	var arms []string
	for _, a := range c.Arms[1:] {
		if !c.isDecidedBy(runs, a.Name) {
			arms = append(arms, a.Name)
		}
	}
	switch {
	case len(arms) == 0:
	case c.shares:
		c.addWarning("%s lost too little to show how much of the failures remains under %s: that is not compared", side, strings.Join(arms, ", "))
	default:
		c.addWarning("no run of %s decided whether %s mitigates: that is not compared", side, strings.Join(arms, ", "))
	}
}

// isDecidedBy reports whether runs show anything about an arm.
func (c *comparison) isDecidedBy(runs []result.RunSummary, arm string) bool {
	if !c.shares {
		_, answers := collectAnswers(runs, func(r result.RunSummary) answer { return judgeMitigation(r, arm) })
		return len(answers) > 0
	}
	sum := store.SumCounts(arm, store.DropShareless(arm, runs))
	return sum.ControlFailed > 0 && sum.Failed+sum.ControlFailed >= leastHits
}

// leastHits is the number of failed requests, of an arm and its control together, from
// which on the two can differ at the level of a verdict: all on one side, 11 at 0.001.
const leastHits = 11

// listRates returns the values of an arm: a rate for each run, or for each trial.
func (c *comparison) listRates(g store.Group, runs []result.RunSummary, arm int, name string) (all []float64) {
	if c.Unit == result.UnitRun {
		return store.MedianRates(name, runs)
	}
	for _, r := range g.Results {
		all = append(all, r.Arms[arm].FailureRates()...)
	}
	return all
}

// setVerdict sets the verdict. A regression is a failure even if something else could
// not be decided.
func (c *comparison) setVerdict() {
	regressions := 0
	for _, f := range c.Findings {
		if f.Kind != result.Shift {
			regressions++
		}
	}
	switch blind := c.explainBlind(); {
	case regressions > 0:
		c.Verdict = result.Fail
		c.Summary = format.Plural(regressions, "regression", "regressions") + " from " + c.Old.Name + " to " + c.New.Name + "."
	case blind != "":
		c.Verdict, c.Summary = result.Inconclusive, blind
	default:
		c.Verdict, c.Summary = result.Pass, "No regression from "+c.Old.Name+" to "+c.New.Name+"."
	}
}

// explainBlind returns the reason why a regression would not have been seen; empty if
// it would.
func (c *comparison) explainBlind() string {
	for _, side := range []struct {
		result.Side
		runs []result.RunSummary
	}{{c.Old, c.old}, {c.New, c.new}} {
		if text := c.explainBlindSide(side.Name, side.runs); text != "" {
			return text
		}
	}
	if c.shares && len(c.Arms) > 1 {
		return ""
	}
	old, new := len(c.old), len(c.new)
	if c.Unit == result.UnitTrial {
		old, new = countBaselineTrials(c.old), countBaselineTrials(c.new)
	}
	if !stats.CanDiffer(old, new, len(c.Arms), result.RunAlpha) {
		return fmt.Sprintf("Too few trials, %d and %d, to show that failures rose.", old, new)
	}
	return ""
}

// explainBlindSide returns the reason why runs do not show whether an arm mitigates;
// empty if they do.
func (c *comparison) explainBlindSide(name string, runs []result.RunSummary) string {
	arms := c.Arms
	if c.shares {
		if len(arms) < 2 || slices.ContainsFunc(arms[1:], func(a result.ArmChange) bool { return c.isDecidedBy(runs, a.Name) }) {
			return ""
		}
		return fmt.Sprintf("Too few requests failed in %s to compare an arm: %d at most, of an arm and its control together; it takes %d.",
			name, mostHits(arms[1:], runs), leastHits)
	}
	baseline, hits, others := arms[0].Name, 0, false
	for _, r := range runs {
		hits = max(hits, r.Arms[0].Causes[result.SNATRace])
		others = others || slices.ContainsFunc(r.Arms[1:], isDecided)
	}
	switch {
	case others:
		return ""
	case hits == 0:
		return fmt.Sprintf("The race did not occur in %s of %s, so nothing can be said about a mitigation.", baseline, name)
	case hits < result.Floor:
		return fmt.Sprintf("The hits in %s of %s are too few to judge, %d in a run at most, so nothing can be said about a mitigation: it takes %d.",
			baseline, name, hits, result.Floor)
	case len(arms) > 1:
		return fmt.Sprintf("No run of %s decided whether an arm mitigates, so nothing can be said about a mitigation.", name)
	}
	return ""
}

// mostHits returns the most requests that failed under an arm and its control together.
func mostHits(arms []result.ArmChange, runs []result.RunSummary) (most int) {
	for _, a := range arms {
		sum := store.SumCounts(a.Name, store.DropShareless(a.Name, runs))
		most = max(most, sum.Failed+sum.ControlFailed)
	}
	return most
}

// countBaselineTrials counts the trials of the baseline.
func countBaselineTrials(runs []result.RunSummary) (n int) {
	for _, r := range runs {
		n += r.Arms[0].Trials
	}
	return n
}
