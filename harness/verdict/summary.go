package verdict

import (
	"fmt"
	"strings"

	"snatlab/harness/figure"
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
		return fmt.Sprintf("The run ended early, after %d of %d trials: %s. So far %s.",
			trials, r.Scenario.Rounds*len(r.Arms), oneLine(r.Incomplete), seen(r))
	case trials == 0:
		return "No trial was run."
	case !raceShown(r):
		return capital(seen(r)) + "." + likely(r)
	default:
		return seen(r) + "." + unmet(r) // opens with a name: leave its case alone
	}
}

// seen says what the trials show, as a clause without an end.
func seen(r *result.Result) string {
	if !raceShown(r) {
		return noRace(r.Arms[0], len(r.Arms) > 1)
	}
	clauses := []string{loss(r.Arms[0])}
	if len(r.Comparisons) > 3 {
		return strings.Join(append(clauses, byVerdict(r.Comparisons)...), "; ")
	}
	for i, c := range r.Comparisons {
		clauses = append(clauses, effect(c, r.Arms[i+1], r))
	}
	return strings.Join(clauses, "; ")
}

func noRace(baseline result.Arm, others bool) string {
	if len(baseline.Trials) == 0 {
		return fmt.Sprintf("the baseline, %s, has no trial, so nothing can be said about the other arms", baseline.Name)
	}
	n := count(baseline)
	s := fmt.Sprintf("the race did not occur in %s: %s in %s requests",
		baseline.Name, figure.Plural(n.race, "hit", "hits"), figure.Thousands(n.requests))
	if n.race > 0 {
		s += fmt.Sprintf(", below the floor of %d", Floor)
	}
	if others {
		s += ", so nothing can be said about the other arms"
	}
	if rest := n.failed - n.race; rest > 0 {
		s += fmt.Sprintf("; %s failed for other reasons", figure.Plural(rest, "request", "requests"))
	}
	return s
}

// loss says what the race costs the baseline.
func loss(baseline result.Arm) string {
	n := count(baseline)
	rate := figure.Percent(baseline.FailureRate.Median)
	switch {
	case baseline.FailureRate.Median == 0: // a race in fewer than half of the trials
		return fmt.Sprintf("%s lost %s of %s connections to the source-port race, and in its median trial none",
			baseline.Name, figure.Thousands(n.race), figure.Thousands(n.requests))
	case n.failed > n.race:
		return fmt.Sprintf("%s loses %s of connections, %s of %s to the source-port race",
			baseline.Name, rate, figure.Thousands(n.race), figure.Thousands(n.failed))
	default:
		return fmt.Sprintf("%s loses %s of connections to the source-port race", baseline.Name, rate)
	}
}

// effect says what an arm makes of it.
func effect(c result.Compare, arm result.Arm, r *result.Result) string {
	if c.Verdict == result.ArmInconclusive {
		return "no trial of " + arm.Name
	}
	n := count(arm)
	failing := figure.Percent(arm.FailureRate.Median) + " fail"
	switch {
	case n.failed == 0:
		failing = fmt.Sprintf("none of %s failed", figure.Thousands(n.requests))
	case arm.FailureRate.Median == 0:
		failing = fmt.Sprintf("%s of %s failed", figure.Thousands(n.failed), figure.Thousands(n.requests))
	}
	if c.Verdict == result.NoDifference {
		return fmt.Sprintf("with %s %s: %s", arm.Name, failing, unproven(c, arm, r))
	}
	if c.Reduction.Estimate != nil {
		failing += fmt.Sprintf(" (%s)", reduction(c.Reduction))
	}
	return fmt.Sprintf("with %s %s: %s", arm.Name, failing, c.Verdict)
}

// unproven says why no difference was shown: there are too few trials for any,
// or none that chance does not explain.
func unproven(c result.Compare, arm result.Arm, r *result.Result) string {
	p := probability(*c.PHolm)
	switch {
	case *c.PHolm < Alpha:
		return fmt.Sprintf("different (%s), but its median lies on one side and most of its trials on the other", p)
	case !canDiffer(min(len(arm.Trials), len(r.Arms[0].Trials)), tested(r.Comparisons)):
		return fmt.Sprintf("too few trials to show a difference (%s)", p)
	default:
		return fmt.Sprintf("no difference shown (%s)", p)
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
		{result.ArmInconclusive, "no trial of "},
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
			lead, broken = "What was expected could not be told", append(broken, e)
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
