package regression

import (
	"fmt"
	"slices"

	"snatlab/harness/format"
	"snatlab/harness/history/store"
	"snatlab/harness/result"
	"snatlab/harness/stats"
	"snatlab/harness/wording"
)

// addFinding adds a finding.
func (c *comparison) addFinding(about subject, p *float64, format string, args ...any) {
	c.Findings = append(c.Findings, result.Finding{Kind: about.kind, Arm: about.arm, P: p, Text: fmt.Sprintf(format, args...)})
}

// sideAnswers counts the answers of both groups.
type sideAnswers struct {
	oldBad, old, newBad, new int
	p                        *float64 // nil: it rests on what the runs say themselves
}

// compareAnswers asks the runs of both groups, and reports whether they got worse.
func (c *comparison) compareAnswers(ask func(result.RunSummary) answer) (n sideAnswers, worse bool) {
	_, old := collectAnswers(c.old, ask)
	_, new := collectAnswers(c.new, ask)
	n = sideAnswers{old: len(old), new: len(new), oldBad: countBad(old), newBad: countBad(new), p: stats.RankSum(asValues(old), asValues(new))}
	if n.p == nil || n.oldBad*n.new >= n.newBad*n.old {
		return n, false
	}
	agreed := n.oldBad == 0 && n.newBad == n.new
	if agreed && *n.p >= result.RunAlpha {
		n.p = nil
	}
	return n, agreed || *n.p < result.RunAlpha
}

// asValues returns 0 for a good answer and 1 for a bad one.
func asValues(answers []answer) (all []float64) {
	for _, a := range answers {
		all = append(all, float64(a-good))
	}
	return all
}

func countBad(answers []answer) (n int) {
	for _, a := range answers {
		if a == bad {
			n++
		}
	}
	return n
}

// findArm returns the figures of an arm that both groups have.
func (c *comparison) findArm(name string) result.ArmChange {
	return c.Arms[slices.IndexFunc(c.Arms, func(a result.ArmChange) bool { return a.Name == name })]
}

// askRemaining asks whether more of the failures remain under an arm than before.
func (c *comparison) askRemaining(about subject) {
	a := c.findArm(about.arm)
	old, new := store.DropShareless(a.Name, c.old), store.DropShareless(a.Name, c.new)
	if a.Old.Remaining == nil || a.Old.Remaining.DecisiveHigh == nil || a.New.Remaining == nil {
		return
	}
	r := rise{earlier: store.GroupNights(old), nights: store.GroupNights(new), share: a.New.Remaining, allowed: *a.Old.Remaining.DecisiveHigh}
	if len(r.earlier) >= store.LeastNights {
		r.allowed = *allowedShare(a.Name, r.earlier, len(r.nights))
	}
	if r.isProven() {
		c.addFinding(about, nil, "%s: %s of the failures remain, and %s before", a.Name, describeRemaining(r.share), describeRemaining(a.Old.Remaining))
	}
}

// describeRemaining returns "4.98 % (2.94 to 8.10 %, 99.9 % interval)".
func describeRemaining(r *result.Remaining) string {
	estimate := "more than any share"
	if r.Estimate != nil {
		estimate = format.Percent(*r.Estimate)
	}
	return fmt.Sprintf("%s (99.9 %% interval %s)", estimate, format.Between(r.DecisiveLow, r.DecisiveHigh))
}

// askVerdict asks whether an arm is mitigated in fewer runs than before.
func (c *comparison) askVerdict(about subject) {
	a := c.findArm(about.arm)
	n, worse := c.compareAnswers(func(r result.RunSummary) answer { return judgeMitigation(r, a.Name) })
	if worse {
		c.addFinding(about, n.p, "%s was mitigated in %d of %s, and is in %d of %s: it failed %s, and %s before", a.Name,
			n.old-n.oldBad, format.Plural(n.old, "run", "runs"), n.new-n.newBad, format.Plural(n.new, "run", "runs"),
			describeShare(a.New.Failed, a.New.Requests), describeShare(a.Old.Failed, a.Old.Requests))
	}
}

// askFailures asks whether a mitigated arm fails more often than before.
func (c *comparison) askFailures(about subject) {
	a := c.findArm(about.arm)
	p := a.Rate.PHolm
	rose := a.New.Failed*a.Old.Requests > a.Old.Failed*a.New.Requests
	many := 0 // runs with enough failures
	for _, r := range c.new {
		if of, ok := r.Arm(a.Name); ok && of.Failed >= result.Floor {
			many++
		}
	}
	if p == nil || *p >= result.RunAlpha || !rose || 2*many <= len(c.new) || !isMostlyMitigated(c.old, a.Name) {
		return
	}
	c.addFinding(about, p, "%s failed %s, and %s before", a.Name,
		describeShare(a.New.Failed, a.New.Requests), describeShare(a.Old.Failed, a.Old.Requests))
}

// askCause asks whether requests of an arm fail for a cause that is new.
func (c *comparison) askCause(about subject) {
	n, worse := c.compareAnswers(func(r result.RunSummary) answer { return judgeCause(r, about.arm, about.cause) })
	if !worse {
		return
	}
	sum := func(runs []result.RunSummary) (failed, requests int) {
		for _, r := range runs {
			a, _ := r.Arm(about.arm)
			failed, requests = failed+a.Causes[about.cause], requests+a.Requests
		}
		return failed, requests
	}
	failed, requests := sum(c.new)
	failedBefore, requestsBefore := sum(c.old)
	c.addFinding(about, n.p, "%s failed %s for %s, and %s before", about.arm,
		describeShare(failed, requests), about.cause, describeShare(failedBefore, requestsBefore))
}

// askExpectation asks whether an expectation holds in fewer runs than before.
func (c *comparison) askExpectation(about subject) {
	e := about.expectation
	n, worse := c.compareAnswers(func(r result.RunSummary) answer { return judgeExpectation(r, e) })
	if worse {
		c.addFinding(about, n.p, "%s: %s held in %d of %s, and in %d of %s (%s)", e.Arm, wording.Claim(e),
			n.old-n.oldBad, format.Plural(n.old, "run", "runs"), n.new-n.newBad, format.Plural(n.new, "run", "runs"), c.lastFound(e))
	}
}

// lastFound returns what the last run found for an expectation.
func (c *comparison) lastFound(expected result.Expectation) string {
	if e, ok := findExpectation(c.new[len(c.new)-1], expected); ok {
		return e.Found
	}
	return expected.Found
}
