package verdict

import (
	"fmt"
	"slices"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// check says whether an expectation held, nil if that cannot be decided, and what
// was found instead or in support of it. A bound is held by the interval, not by
// the estimate: what may just be chance does not hold it.
func check(r *result.Result, e result.Expect) (held *bool, found string) {
	i := slices.IndexFunc(r.Arms, func(a result.Arm) bool { return a.Name == e.Arm })
	switch {
	case i < 0 || len(FailureRates(r.Arms[i])) == 0:
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
	found := fmt.Sprintf("%s of %s lost to the race", format.Thousands(n.race), format.Plural(n.requests, "request", "requests"))
	if claim == result.Absent {
		return checkAbsent(r, arm, found)
	}
	switch {
	case n.race >= result.Floor:
		return new(true), found
	case arm > 0 && raceShown(r):
		return new(false), found
	default: // that it was not hit does not say that it cannot be
		return nil, found + tooFew(n.race)
	}
}

// checkAbsent sets the arm against the one that loses most to the race. Without
// the race in any arm, nothing shows that it could be hit in this run.
func checkAbsent(r *result.Result, arm int, found string) (*bool, string) {
	n, most := count(r.Arms[arm]), counts{requests: 1}
	for _, a := range r.Arms {
		if other := count(a); occurred(a) && other.raceRate() > most.raceRate() {
			most = other
		}
	}
	switch {
	case n.race >= result.Floor:
		return new(false), found
	case most.race == 0:
		return nil, found + ", but no arm of this run lost enough to judge: it takes " + fmt.Sprint(result.Floor)
	default:
		return new(float64(n.race) <= (1-mitigatedFrom)*most.raceRate()*float64(n.requests)), found
	}
}

// tooFew says that there are hits, but not enough of them.
func tooFew(hits int) string {
	if hits == 0 {
		return ""
	}
	return fmt.Sprintf(", too few to judge: it takes %d", result.Floor)
}

// checkReduction holds the lower end of the interval against the bound. An arm
// that is worse reduces nothing, whatever the baseline shows.
func checkReduction(r *result.Result, arm int, bound float64) (*bool, string) {
	if arm == 0 {
		return nil, "this is the baseline"
	}
	c := r.Comparisons[arm-1].Reduction
	switch {
	case r.Comparisons[arm-1].Verdict == result.Worse && bound > 0 && (c.Low == nil || !raceShown(r)):
		return new(false), worseThan(r.Arms[0], r.Arms[arm]) // which no interval is needed to see
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
	return new(share <= bound), fmt.Sprintf("%s of %s unexplained, %s",
		format.Thousands(n.unexplained), format.Plural(n.requests, "request", "requests"), format.Percent(share))
}

// notShown says why a figure of an arm does not settle anything. What the
// baseline itself shows, its own figure says.
func notShown(r *result.Result, arm int) string {
	if arm == 0 || raceShown(r) {
		return ""
	}
	baseline := r.Arms[0]
	if hits := count(baseline).race; hits > 0 {
		return fmt.Sprintf(", but the hits in %s are too few to judge: %d, it takes %d", baseline.Name, hits, result.Floor)
	}
	return fmt.Sprintf(", but the race did not occur in %s", baseline.Name)
}

// worseThan says how much more an arm fails than the baseline.
func worseThan(baseline, arm result.Arm) string {
	of := func(a result.Arm) string {
		n := count(a)
		return fmt.Sprintf("%s of %s", format.Thousands(n.failed), format.Thousands(n.requests))
	}
	return fmt.Sprintf("worse than %s: %s failed, and %s", baseline.Name, of(arm), of(baseline))
}

// noInterval says why a change has none: there are too few trials, or the
// baseline's figure may be 0, of which nothing is a share.
func noInterval(r *result.Result, arm int) string {
	if n := min(len(r.Arms[arm].Trials), len(r.Arms[0].Trials)); n < RoundsForInterval() {
		return fmt.Sprintf(", but %s no 95 %% interval: it takes %d", format.Plural(n, "trial gives", "trials give"), RoundsForInterval())
	}
	return fmt.Sprintf(", but no 95 %% interval: that of %s reaches down to 0", r.Arms[0].Name)
}
