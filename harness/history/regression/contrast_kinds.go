package regression

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/stats"
	"snatlab/harness/wording"
)

func (c *contrast) findings() {
	for i, a := range c.Arms {
		if i > 0 {
			c.verdictFell(a)
			c.failuresRose(a)
		}
		for _, cause := range causesOf(a.Name, c.new) {
			c.newCause(a.Name, cause)
		}
	}
	for _, e := range c.new[0].Expected {
		c.expectationBroken(e)
	}
	if a := c.Arms[0]; shifted(a.Rate) {
		c.find(result.Shift, a.Name, a.Rate.PHolm, "%s lost %s (median), and before it %s",
			a.Name, format.Percent(a.Rate.New.Median), format.Percent(a.Rate.Old.Median))
	}
}

// shifted reports whether a rate has moved by enough to be told.
func shifted(r result.RateChange) bool {
	return r.PHolm != nil && *r.PHolm < result.Alpha && math.Abs(r.New.Median-r.Old.Median) >= leastShift*r.Old.Median
}

func (c *contrast) find(kind result.FindingKind, arm string, p *float64, format string, args ...any) {
	c.Findings = append(c.Findings, result.Finding{Kind: kind, Arm: arm, P: p, Text: fmt.Sprintf(format, args...)})
}

// A turn is how many runs of each side are bad.
type turn struct {
	oldBad, old, newBad, new int
	p                        *float64
}

// turn marks the runs of both sides, and reports whether they got worse.
func (c *contrast) turn(of func(result.RunSummary) mark) (t turn, worse bool) {
	_, old := marksOf(c.old, of)
	_, new := marksOf(c.new, of)
	before, after := ones(old), ones(new)
	t = turn{old: len(old), new: len(new), oldBad: count(old), newBad: count(new), p: stats.RankSum(before, after)}
	if t.p == nil || t.oldBad*t.new >= t.newBad*t.old {
		return t, false
	}
	agreed := t.oldBad == 0 && t.newBad == t.new
	if agreed && *t.p >= result.Alpha {
		t.p = nil // it rests on what the runs say themselves
	}
	return t, agreed || *t.p < result.Alpha
}

func ones(marks []mark) (all []float64) {
	for _, m := range marks {
		all = append(all, float64(m-good))
	}
	return all
}

func count(marks []mark) (n int) {
	for _, m := range marks {
		if m == bad {
			n++
		}
	}
	return n
}

func (c *contrast) verdictFell(a result.ArmContrast) {
	t, worse := c.turn(func(r result.RunSummary) mark { return mitigated(r, a.Name) })
	if worse {
		c.find(result.VerdictFell, a.Name, t.p, "%s was mitigated in %d of %s, and is in %d of %s: it failed %s, and before it %s", a.Name,
			t.old-t.oldBad, format.Plural(t.old, "run", "runs"), t.new-t.newBad, format.Plural(t.new, "run", "runs"),
			share(a.New.Failed, a.New.Requests), share(a.Old.Failed, a.Old.Requests))
	}
}

func (c *contrast) failuresRose(a result.ArmContrast) {
	p := a.Rate.PHolm
	rose := a.New.Failed*a.Old.Requests > a.Old.Failed*a.New.Requests
	many := 0 // runs with failures enough
	for _, r := range c.new {
		if of, ok := r.Arm(a.Name); ok && of.Failed >= result.Floor {
			many++
		}
	}
	if p == nil || *p >= result.Alpha || !rose || 2*many <= len(c.new) || !mostlyMitigated(c.old, a.Name) {
		return
	}
	c.find(result.FailuresRose, a.Name, p, "%s failed %s, and before it %s", a.Name,
		share(a.New.Failed, a.New.Requests), share(a.Old.Failed, a.Old.Requests))
}

// causesOf lists what requests of an arm failed for, if that says something of it.
func causesOf(arm string, runs []result.RunSummary) []string {
	all := map[string]bool{}
	for _, r := range runs {
		a, _ := r.Arm(arm)
		for cause := range a.Causes {
			all[cause] = !slices.Contains(notNew, cause)
		}
	}
	maps.DeleteFunc(all, func(_ string, asked bool) bool { return !asked })
	return slices.Sorted(maps.Keys(all))
}

func (c *contrast) newCause(arm, cause string) {
	t, worse := c.turn(func(r result.RunSummary) mark { return hasCause(r, arm, cause) })
	if !worse {
		return
	}
	sum := func(runs []result.RunSummary) (failed, requests int) {
		for _, r := range runs {
			a, _ := r.Arm(arm)
			failed, requests = failed+a.Causes[cause], requests+a.Requests
		}
		return failed, requests
	}
	failed, requests := sum(c.new)
	failedBefore, requestsBefore := sum(c.old)
	c.find(result.NewCause, arm, t.p, "%s failed %s for %s, and before it %s", arm,
		share(failed, requests), cause, share(failedBefore, requestsBefore))
}

func (c *contrast) expectationBroken(e result.Expect) {
	t, worse := c.turn(func(r result.RunSummary) mark { return held(r, e) })
	if worse {
		c.find(result.ExpectationBroken, e.Arm, t.p, "%s: %s held in %d of %s, and in %d of %s (%s)", e.Arm, wording.Claim(e),
			t.old-t.oldBad, format.Plural(t.old, "run", "runs"), t.new-t.newBad, format.Plural(t.new, "run", "runs"), foundIn(c.new, e))
	}
}

// foundIn is what the last run found for a claim.
func foundIn(runs []result.RunSummary, claim result.Expect) string {
	for _, e := range runs[len(runs)-1].Expected {
		if e.SameClaim(claim) {
			return e.Found
		}
	}
	return claim.Found
}
