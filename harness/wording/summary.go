package wording

import (
	"fmt"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// summariseRun returns, in a sentence or two, what the run shows.
func summariseRun(r *result.Result) string {
	trials := 0
	for _, a := range r.Arms {
		trials += len(a.Trials)
	}
	switch {
	case r.Incomplete != "" && trials == 0:
		return fmt.Sprintf("The run ended early, before a trial was finished: %s.", joinLines(r.Incomplete))
	case r.Incomplete != "":
		return fmt.Sprintf("The run ended early, after %d of %s: %s. So far %s.",
			trials, format.Plural(r.Scenario.Rounds*len(r.Arms), "trial", "trials"), joinLines(r.Incomplete), describeTrials(r))
	case trials == 0:
		return "No trial was run."
	case !r.ShowsRace() && r.Verdict != result.Fail:
		return capitalise(describeTrials(r)) + "." + likelyCauses(r)
	case !r.BaselineShowsRace():
		return capitalise(describeTrials(r)) + "." + unmetExpectation(r)
	default:
		return describeTrials(r) + "." + unmetExpectation(r) // opens with a name: leave its case alone
	}
}

// describeTrials returns what the trials show, as a clause without an end.
func describeTrials(r *result.Result) string {
	if !r.BaselineShowsRace() {
		return noRaceInBaseline(r)
	}
	return strings.Join(append([]string{baselineLoss(r.Arms[0])}, armClauses(r)...), "; ")
}

// armClauses returns the effect of each of the other arms.
func armClauses(r *result.Result) (clauses []string) {
	if len(r.Comparisons) > 3 {
		return clausesByVerdict(r.Comparisons)
	}
	for i, c := range r.Comparisons {
		clauses = append(clauses, armEffect(c, r.Arms[i+1], r.Arms[0]))
	}
	return clauses
}

// noRaceInBaseline states that the baseline shows too little of the race, and the
// effects of the other arms if they can be judged.
func noRaceInBaseline(r *result.Result) string {
	baseline, n := r.Arms[0], r.Arms[0].SumTotals()
	var s string
	switch {
	case len(baseline.Trials) == 0:
		s = fmt.Sprintf("the baseline, %s, has no trial", baseline.Name)
	case n.Race == 0:
		s = fmt.Sprintf("the race did not occur in %s: 0 hits in %s", baseline.Name, format.Plural(n.Requests, "request", "requests"))
	default:
		s = fmt.Sprintf("the hits in %s are too few to judge: %s in %s (at least %d are needed)",
			baseline.Name, format.Plural(n.Race, "hit", "hits"), format.Plural(n.Requests, "request", "requests"), result.Floor)
	}
	silent := !slices.ContainsFunc(r.Comparisons, func(c result.Comparison) bool { return c.Verdict != result.ArmInconclusive })
	if silent && len(r.Comparisons) > 0 {
		s += ", so the other arms cannot be judged"
	}
	if rest := n.Failed - n.Race; rest > 0 {
		s += fmt.Sprintf("; %s failed for other reasons", format.Plural(rest, "request", "requests"))
	}
	if !silent {
		s += "; " + strings.Join(armClauses(r), "; ")
	}
	return s
}

// baselineLoss states what the race costs the baseline.
func baselineLoss(baseline result.Arm) string {
	n := baseline.SumTotals()
	rate := format.Percent(baseline.FailureRate.Median)
	switch {
	case baseline.FailureRate.Median == 0: // a race in fewer than half of the trials
		return fmt.Sprintf("%s lost %s of %s to the source-port race, and in its median trial none",
			baseline.Name, format.Thousands(n.Race), format.Plural(n.Requests, "connection", "connections"))
	case n.Failed > n.Race:
		return fmt.Sprintf("%s loses %s of connections, %s of %s to the source-port race",
			baseline.Name, rate, format.Thousands(n.Race), format.Thousands(n.Failed))
	default:
		return fmt.Sprintf("%s loses %s of connections to the source-port race", baseline.Name, rate)
	}
}

// armEffect states what an arm makes of the baseline's failures.
func armEffect(c result.Comparison, arm, baseline result.Arm) string {
	switch {
	case len(arm.FailureRates()) == 0:
		return "no trial of " + arm.Name
	case c.Verdict == result.ArmInconclusive:
		return arm.Name + " cannot be judged"
	}
	n := arm.SumTotals()
	failing := format.Percent(arm.FailureRate.Median) + " fail"
	switch {
	case n.Failed == 0:
		failing = fmt.Sprintf("none of %s failed", format.Thousands(n.Requests))
	case arm.FailureRate.Median == 0:
		failing = fmt.Sprintf("%s of %s failed", format.Thousands(n.Failed), format.Thousands(n.Requests))
	}
	switch c.Verdict {
	case result.NoDifference:
		return fmt.Sprintf("with %s %s: no difference shown (%s)", arm.Name, failing, format.P(*c.PHolm))
	case result.Undecided:
		return fmt.Sprintf("with %s %s: undecided, %s", arm.Name, failing, whyUndecided(c, arm, baseline))
	}
	if c.Reduction.Estimate != nil {
		failing += fmt.Sprintf(" (%s)", describeReduction(c.Reduction))
	}
	return fmt.Sprintf("with %s %s: %s", arm.Name, failing, c.Verdict)
}

// whyUndecided states why neither a difference nor its absence can be shown.
func whyUndecided(c result.Comparison, arm, baseline result.Arm) string {
	p := format.P(*c.PHolm)
	switch c.Why {
	case result.WhyRanksAndMedians:
		return fmt.Sprintf("as it differs (%s), but its median lies on one side and most of its trials on the other", p)
	case result.WhyFewTrials:
		n := min(len(arm.FailureRates()), len(baseline.FailureRates()))
		return fmt.Sprintf("as %s too few to show a difference (%s): at least %d of each arm are needed",
			format.Plural(n, "trial is", "trials are"), p, c.Least)
	default:
		return fmt.Sprintf("as too many trials of %s lost nothing to show a difference (%s)", baseline.Name, p)
	}
}

// clausesByVerdict returns the names of the arms under each verdict, where there
// are too many to state the figures of every one.
func clausesByVerdict(comparisons []result.Comparison) []string {
	var clauses []string
	for _, v := range []struct {
		verdict result.ArmVerdict
		text    string
	}{
		{result.Mitigated, "mitigated with "},
		{result.Reduced, "reduced with "},
		{result.NoDifference, "no difference shown with "},
		{result.Worse, "worse with "},
		{result.Undecided, "undecided with "},
		{result.ArmInconclusive, "not judged: "},
	} {
		var names []string
		for _, c := range comparisons {
			if c.Verdict == v.verdict {
				names = append(names, c.Arm)
			}
		}
		if len(names) > 0 {
			clauses = append(clauses, v.text+strings.Join(names, ", "))
		}
	}
	return clauses
}

// unmetExpectation names the first expectation that keeps the run from passing.
func unmetExpectation(r *result.Result) string {
	var broken []result.Expectation
	lead := ""
	for _, e := range r.Expected {
		switch {
		case r.Verdict == result.Fail && e.Held != nil && !*e.Held:
			lead, broken = "Not as expected", append(broken, e)
		case r.Verdict == result.Inconclusive && e.Held == nil:
			lead, broken = "An expectation could not be decided", append(broken, e)
		}
	}
	if len(broken) == 0 {
		return ""
	}
	s := fmt.Sprintf(" %s: %s, %s", lead, broken[0].Arm, broken[0].Found)
	if len(broken) > 1 {
		s += fmt.Sprintf(", and %d more", len(broken)-1)
	}
	return s + "."
}
