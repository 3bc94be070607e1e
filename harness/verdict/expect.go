package verdict

import (
	"fmt"
	"slices"

	"snatlab/harness/figure"
	"snatlab/harness/result"
)

// check says whether an expectation held, nil if that cannot be told, and
// what was found instead or in support of it.
func check(r *result.Result, e result.Expect) (held *bool, found string) {
	i := slices.IndexFunc(r.Arms, func(a result.Arm) bool { return a.Name == e.Arm })
	if i < 0 || len(r.Arms[i].Trials) == 0 {
		return nil, "no trial"
	}
	if e.Reduction != nil {
		return checkReduction(r, i, *e.Reduction)
	}
	return checkRace(r, i, e.Race)
}

func checkRace(r *result.Result, arm int, claim string) (*bool, string) {
	n := count(r.Arms[arm])
	found := fmt.Sprintf("%s of %s requests lost to the race", figure.Thousands(n.race), figure.Thousands(n.requests))
	switch {
	case claim == "reproduced":
		return new(n.race >= Floor), found
	case claim == "absent" && raceShown(r):
		return new(n.race == 0), found
	default:
		return nil, found + notShown(r, arm)
	}
}

func checkReduction(r *result.Result, arm int, bound float64) (*bool, string) {
	if arm == 0 {
		return nil, "this is the baseline"
	}
	estimate := r.Comparisons[arm-1].Reduction.Estimate
	switch {
	case estimate == nil:
		return nil, fmt.Sprintf("the median failure rate of %s is 0", r.Arms[0].Name)
	case !raceShown(r):
		return nil, reduction(*estimate) + notShown(r, arm)
	default:
		return new(*estimate >= bound), reduction(*estimate)
	}
}

// notShown says why a figure of an arm does not settle anything. What the
// baseline itself shows, its own figure says.
func notShown(r *result.Result, arm int) string {
	if arm == 0 || raceShown(r) {
		return ""
	}
	return fmt.Sprintf(", but the race did not occur in %s", r.Arms[0].Name)
}
