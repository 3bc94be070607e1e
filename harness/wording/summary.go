package wording

import (
	"fmt"
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
	case r.Incomplete != "" && r.Scenario.Until != nil: // how many there would have been is not known
		return fmt.Sprintf("The run ended early, after %s: %s. So far %s.", format.Plural(trials, "trial", "trials"), joinLines(r.Incomplete), describeTrials(r))
	case r.Incomplete != "":
		return fmt.Sprintf("The run ended early, after %d of %s: %s. So far %s.",
			trials, format.Plural(r.Scenario.Rounds*len(r.Arms), "trial", "trials"), joinLines(r.Incomplete), describeTrials(r))
	case trials == 0:
		return "No trial was run."
	}
	text := describeTrials(r) + "."
	if r.Arms[0].SumTotals().Race == 0 { // else it opens with a name: leave its case alone
		text = capitalise(text)
	}
	return text + unmetExpectation(r) + likelyCauses(r)
}

// describeTrials returns what the trials show, as a clause without an end.
func describeTrials(r *result.Result) string {
	return strings.Join(append([]string{baselineLoss(r.Scenario, r.Arms[0])}, armClauses(r)...), "; ")
}

// armClauses returns the effect of each of the other arms.
func armClauses(r *result.Result) (clauses []string) {
	if len(r.Comparisons) > 3 {
		return clausesByVerdict(r.Comparisons)
	}
	for i, c := range r.Comparisons {
		clauses = append(clauses, armEffect(c, r.Arms[i+1]))
	}
	return clauses
}

// baselineLoss states what the race costs the baseline, over all trials.
func baselineLoss(of result.ScenarioSummary, baseline result.Arm) string {
	n, control := baseline.SumTotals(), baseline.SumControl()
	switch {
	case n.Requests == 0:
		return fmt.Sprintf("the baseline, %s, has no trial", baseline.Name)
	case n.Race == 0:
		return noRaceIn(baseline.Name, n, control)
	case n.Failed > n.Race:
		return fmt.Sprintf("%s lost %s of %s (%s), %s of them to the source-port race", baseline.Name, format.Thousands(n.Failed), requests(of, n),
			format.Percent(float64(n.Failed)/float64(n.Requests)), format.Thousands(n.Race))
	default:
		return fmt.Sprintf("%s lost %s of %s (%s) to the source-port race", baseline.Name, format.Thousands(n.Race), requests(of, n), format.Percent(n.RaceRate()))
	}
}

// requests counts the requests of an arm: connections, datagrams, or look-ups.
func requests(of result.ScenarioSummary, n result.Totals) string {
	switch {
	case of.Pattern == result.DNS:
		return format.Plural(n.Requests, "look-up", "look-ups")
	case of.Protocol == result.UDP:
		return format.Plural(n.Requests, "datagram", "datagrams")
	}
	return format.Plural(n.Requests, "connection", "connections")
}

// noRaceIn states that the baseline lost nothing to the race.
func noRaceIn(name string, n, control result.Totals) string {
	s := fmt.Sprintf("the race did not occur in %s: 0 hits in %s", name, format.Plural(n.Requests, "request", "requests"))
	if control.Requests > 0 {
		s += fmt.Sprintf(", and %s in %s of its control", format.Thousands(control.Race), format.Thousands(control.Requests))
	}
	if n.Failed > 0 {
		s += fmt.Sprintf("; %s failed for other reasons", format.Plural(n.Failed, "request", "requests"))
	}
	return s
}

// armEffect states what fails under an arm, and the verdict.
func armEffect(c result.Comparison, arm result.Arm) string {
	if len(arm.FailureRates()) == 0 {
		return "no trial of " + arm.Name
	}
	return fmt.Sprintf("with %s %s failed: %s", arm.Name, failedOf(arm), verdictClause(c))
}

// clausesByVerdict returns the names of the arms under each verdict, where there
// are too many to state the figures of every one.
func clausesByVerdict(comparisons []result.Comparison) []string {
	var clauses []string
	for _, v := range []result.ArmVerdict{result.Mitigated, result.Reduced, result.Equal, result.Worse, result.Undecided} {
		var names []string
		for _, c := range comparisons {
			switch {
			case c.Verdict != v:
			case v == result.Reduced:
				names = append(names, fmt.Sprintf("%s (at least %s of the failures are gone)", c.Arm, format.AtLeast(1-*c.Remaining.DecisiveHigh)))
			default:
				names = append(names, c.Arm)
			}
		}
		if len(names) > 0 {
			clauses = append(clauses, fmt.Sprintf("%s with %s", v, strings.Join(names, ", ")))
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
