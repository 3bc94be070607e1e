package verdict

import (
	"fmt"
	"slices"

	"snatlab/harness/figure"
	"snatlab/harness/result"
)

// check says whether an expectation held, nil if that cannot be told, and what
// was found instead or in support of it. A bound is held by the interval, not by
// the estimate: what may just be chance does not hold it.
func check(r *result.Result, e result.Expect) (held *bool, found string) {
	i := slices.IndexFunc(r.Arms, func(a result.Arm) bool { return a.Name == e.Arm })
	switch {
	case i < 0 || len(r.Arms[i].Trials) == 0:
		return nil, "no trial"
	case e.Reduction != nil:
		return checkReduction(r, i, *e.Reduction)
	case e.P50 != nil:
		return checkLatency(r, i, 0, *e.P50)
	case e.P99 != nil:
		return checkLatency(r, i, 1, *e.P99)
	case e.Unexplained != nil:
		return checkUnexplained(r.Arms[i], *e.Unexplained)
	default:
		return checkRace(r, i, e.Race)
	}
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

// checkReduction holds the lower end of the interval against the bound.
func checkReduction(r *result.Result, arm int, bound float64) (*bool, string) {
	if arm == 0 {
		return nil, "this is the baseline"
	}
	c := r.Comparisons[arm-1].Reduction
	switch {
	case c.Estimate == nil:
		return nil, fmt.Sprintf("the median failure rate of %s is 0", r.Arms[0].Name)
	case !raceShown(r):
		return nil, reduction(c) + notShown(r, arm)
	case c.Low == nil:
		return nil, reduction(c) + noInterval(r, arm)
	default:
		return new(*c.Low >= bound), reduction(c)
	}
}

// checkLatency holds the upper end of the interval against the bound.
func checkLatency(r *result.Result, arm, percentile int, bound float64) (*bool, string) {
	if arm == 0 {
		return nil, "this is the baseline"
	}
	c := r.Comparisons[arm-1].Latency[percentile]
	switch {
	case c.Estimate == nil:
		return nil, fmt.Sprintf("%s has no %s to compare with", r.Arms[0].Name, c.Percentile)
	case c.High == nil:
		return nil, latency(c) + noInterval(r, arm)
	default:
		return new(*c.High <= bound), latency(c)
	}
}

func checkUnexplained(arm result.Arm, bound float64) (*bool, string) {
	n := count(arm)
	if n.requests == 0 {
		return nil, "no request"
	}
	share := float64(n.unexplained) / float64(n.requests)
	return new(share <= bound), fmt.Sprintf("%s of %s requests unexplained, %s",
		figure.Thousands(n.unexplained), figure.Thousands(n.requests), figure.Percent(share))
}

// notShown says why a figure of an arm does not settle anything. What the
// baseline itself shows, its own figure says.
func notShown(r *result.Result, arm int) string {
	if arm == 0 || raceShown(r) {
		return ""
	}
	return fmt.Sprintf(", but the race did not occur in %s", r.Arms[0].Name)
}

// noInterval says why a change has none: there are too few trials, or the
// baseline's figure may be 0, of which nothing is a share.
func noInterval(r *result.Result, arm int) string {
	if n := min(len(r.Arms[arm].Trials), len(r.Arms[0].Trials)); n < RoundsForInterval() {
		return fmt.Sprintf(", but %s no 95 %% interval: it takes %d", figure.Plural(n, "trial gives", "trials give"), RoundsForInterval())
	}
	return fmt.Sprintf(", but no 95 %% interval: that of %s reaches down to 0", r.Arms[0].Name)
}
