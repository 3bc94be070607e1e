package verdict

import (
	"fmt"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// summarise says in a sentence, two at most, what the run shows.
func summarise(r *result.Result) string {
	trials := 0
	for _, a := range r.Arms {
		trials += len(a.Trials)
	}
	switch {
	case r.Incomplete != "" && trials == 0:
		return fmt.Sprintf("The run ended early, before a trial was finished: %s.", oneLine(r.Incomplete))
	case r.Incomplete != "":
		return fmt.Sprintf("The run ended early, after %d of %s: %s. So far %s.",
			trials, format.Plural(r.Scenario.Rounds*len(r.Arms), "trial", "trials"), oneLine(r.Incomplete), seen(r))
	case trials == 0:
		return "No trial was run."
	case !raceSeen(r) && r.Verdict != result.Fail:
		return capital(seen(r)) + "." + likely(r)
	case !raceShown(r):
		return capital(seen(r)) + "." + unmet(r)
	default:
		return seen(r) + "." + unmet(r) // opens with a name: leave its case alone
	}
}

// seen says what the trials show, as a clause without an end.
func seen(r *result.Result) string {
	if !raceShown(r) {
		return noRace(r)
	}
	return strings.Join(append([]string{loss(r.Arms[0])}, others(r)...), "; ")
}

// others says what each of the other arms makes of the baseline's failures.
func others(r *result.Result) (clauses []string) {
	if len(r.Comparisons) > 3 {
		return byVerdict(r.Comparisons)
	}
	for i, c := range r.Comparisons {
		clauses = append(clauses, effect(c, r.Arms[i+1], r))
	}
	return clauses
}

// noRace says that the baseline shows too little of the race, and what can be said
// about the other arms all the same.
func noRace(r *result.Result) string {
	baseline, n := r.Arms[0], count(r.Arms[0])
	var s string
	switch {
	case len(baseline.Trials) == 0:
		s = fmt.Sprintf("the baseline, %s, has no trial", baseline.Name)
	case n.race == 0:
		s = fmt.Sprintf("the race did not occur in %s: 0 hits in %s", baseline.Name, format.Plural(n.requests, "request", "requests"))
	default:
		s = fmt.Sprintf("the hits in %s are too few to judge: %s in %s, it takes %d",
			baseline.Name, format.Plural(n.race, "hit", "hits"), format.Plural(n.requests, "request", "requests"), result.Floor)
	}
	silent := !slices.ContainsFunc(r.Comparisons, func(c result.Compare) bool { return c.Verdict != result.ArmInconclusive })
	if silent && len(r.Comparisons) > 0 {
		s += ", so nothing can be said about the other arms"
	}
	if rest := n.failed - n.race; rest > 0 {
		s += fmt.Sprintf("; %s failed for other reasons", format.Plural(rest, "request", "requests"))
	}
	if !silent {
		s += "; " + strings.Join(others(r), "; ")
	}
	return s
}

// loss says what the race costs the baseline.
func loss(baseline result.Arm) string {
	n := count(baseline)
	rate := format.Percent(baseline.FailureRate.Median)
	switch {
	case baseline.FailureRate.Median == 0: // a race in fewer than half of the trials
		return fmt.Sprintf("%s lost %s of %s to the source-port race, and in its median trial none",
			baseline.Name, format.Thousands(n.race), format.Plural(n.requests, "connection", "connections"))
	case n.failed > n.race:
		return fmt.Sprintf("%s loses %s of connections, %s of %s to the source-port race",
			baseline.Name, rate, format.Thousands(n.race), format.Thousands(n.failed))
	default:
		return fmt.Sprintf("%s loses %s of connections to the source-port race", baseline.Name, rate)
	}
}

// effect says what an arm makes of it.
func effect(c result.Compare, arm result.Arm, r *result.Result) string {
	switch {
	case len(FailureRates(arm)) == 0:
		return "no trial of " + arm.Name
	case c.Verdict == result.ArmInconclusive:
		return "nothing can be said about " + arm.Name
	}
	n := count(arm)
	failing := format.Percent(arm.FailureRate.Median) + " fail"
	switch {
	case n.failed == 0:
		failing = fmt.Sprintf("none of %s failed", format.Thousands(n.requests))
	case arm.FailureRate.Median == 0:
		failing = fmt.Sprintf("%s of %s failed", format.Thousands(n.failed), format.Thousands(n.requests))
	}
	switch c.Verdict {
	case result.NoDifference:
		return fmt.Sprintf("with %s %s: no difference shown (%s)", arm.Name, failing, format.P(*c.PHolm))
	case result.Undecided:
		return fmt.Sprintf("with %s %s: undecided, %s", arm.Name, failing, undecided(c, arm, r))
	}
	if c.Reduction.Estimate != nil {
		failing += fmt.Sprintf(" (%s)", reduction(c.Reduction))
	}
	return fmt.Sprintf("with %s %s: %s", arm.Name, failing, c.Verdict)
}

// undecided says why neither a difference nor the want of one can be shown.
func undecided(c result.Compare, arm result.Arm, r *result.Result) string {
	p, n, comparisons := format.P(*c.PHolm), pairs(arm, r.Arms[0]), tested(r.Comparisons)
	switch {
	case *c.PHolm < result.Alpha:
		return fmt.Sprintf("as it differs (%s), but its median lies on one side and most of its trials on the other", p)
	case !canDiffer(n, comparisons):
		return fmt.Sprintf("as %s too few to show a difference (%s): it takes %d of each arm",
			format.Plural(n, "trial is", "trials are"), p, Rounds(1+comparisons))
	default:
		return fmt.Sprintf("as too many trials of %s lost nothing to show a difference (%s)", r.Arms[0].Name, p)
	}
}

// tested is the number of comparisons that p is adjusted for.
func tested(comparisons []result.Compare) (n int) {
	for _, c := range comparisons {
		if c.PHolm != nil {
			n++
		}
	}
	return n
}

// byVerdict names the arms under each verdict, where there are too many to
// give every one its figures.
func byVerdict(comparisons []result.Compare) []string {
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
		{result.ArmInconclusive, "nothing can be said about "},
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

// unmet names the first expectation that keeps the run from passing.
func unmet(r *result.Result) string {
	var broken []result.Expect
	lead := ""
	for _, e := range r.Expected {
		switch {
		case r.Verdict == result.Fail && e.Held != nil && !*e.Held:
			lead, broken = "Not as expected", append(broken, e)
		case r.Verdict == result.Inconclusive && e.Held == nil:
			lead, broken = "What was expected could not be decided", append(broken, e)
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
