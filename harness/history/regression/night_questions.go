package regression

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// askVerdict asks whether an arm is less than mitigated tonight.
func (n *night) askVerdict(about subject) {
	s, ok := n.findStreak(func(r result.RunSummary) answer { return judgeMitigation(r, about.arm) })
	if !ok {
		return
	}
	best := findLowestRate(s.attempts, about.arm)
	n.raiseArm(about, s, s.isFirst(), fmt.Sprintf("%s is no longer mitigated, but %s: it failed %s%s; it was mitigated in %d of %s",
		about.arm, best.Verdict, describeShare(best.Failed, best.Requests), describeAttempts(s), len(s.earlier)-s.bad, describeEarlier(s)))
}

// askFailures asks whether an arm that is mostly mitigated fails more often tonight
// than in its better runs.
func (n *night) askFailures(about subject) {
	usual := n.findLowerQuartile(about.arm)
	ask := func(r result.RunSummary) answer { return judgeRate(r, about.arm, usual) }
	s, ok := n.findStreak(ask)
	if !ok || !isMostlyMitigated(s.earlier, about.arm) {
		return
	}
	best := findLowestRate(s.attempts, about.arm)
	n.raiseArm(about, s, false, fmt.Sprintf("%s failed %s%s; %s", about.arm, describeShare(best.Failed, best.Requests), describeAttempts(s),
		s.describeMost(ask, about.arm, func(a result.ArmSummary) int { return a.Failed })))
}

// findLowerQuartile returns the lower quartile of an arm's rates in all runs, tonight's
// included.
func (n *night) findLowerQuartile(arm string) float64 {
	var rates []float64
	for _, r := range slices.Concat(n.before, n.tonight) {
		if a, ok := r.Arm(arm); ok {
			rates = append(rates, a.FailedShare())
		}
	}
	if len(rates) == 0 {
		return 0
	}
	slices.Sort(rates)
	return rates[(len(rates)-1)/4]
}

// judgeRate returns bad if the arm has at least [result.Floor] failures, and its rate
// is more than twice the usual one.
func judgeRate(r result.RunSummary, arm string, usual float64) answer {
	switch a, ok := r.Arm(arm); {
	case !ok:
		return unanswered
	case a.Failed >= result.Floor && a.FailedShare() > 2*usual:
		return bad
	default:
		return good
	}
}

// askCause asks whether a cause of failure of tonight is new.
func (n *night) askCause(about subject) {
	ask := func(r result.RunSummary) answer { return judgeCause(r, about.arm, about.cause) }
	s, ok := n.findStreak(ask)
	if !ok {
		return
	}
	best := findLowestRate(s.attempts, about.arm)
	for _, r := range s.attempts {
		if a, _ := r.Arm(about.arm); a.Causes[about.cause] < best.Causes[about.cause] {
			best = a
		}
	}
	n.raiseArm(about, s, false, fmt.Sprintf("%s failed %s for %s%s; %s",
		about.arm, describeShare(best.Causes[about.cause], best.Requests), about.cause, describeAttempts(s),
		s.describeMost(ask, about.arm, func(a result.ArmSummary) int { return a.Causes[about.cause] })))
}

// askExpectation asks whether an expectation does not hold tonight.
func (n *night) askExpectation(about subject) {
	e := about.expectation
	s, ok := n.findStreak(func(r result.RunSummary) answer { return judgeExpectation(r, e) })
	if !ok {
		return
	}
	f := result.Finding{Kind: about.kind, Arm: e.Arm, Claim: wording.Claim(e), Expectation: e.Key(), P: new(s.pValue(0))}
	f.Text = fmt.Sprintf("%s: %s did not hold (%s)%s", e.Arm, f.Claim, e.Found, describeAttempts(s))
	if len(s.earlier) == 0 {
		f.Text += ", and never has"
		f.P = nil
	} else {
		f.Text += fmt.Sprintf("; it held in %d of %s%s", len(s.earlier)-s.bad, describeEarlier(s), describeSince(s))
	}
	if !n.raiseFinding(f, s, s.isFirst()) {
		n.broken = append(n.broken, f)
	}
}

// raiseArm raises a finding about the arm of a subject.
func (n *night) raiseArm(about subject, s streak, certain bool, text string) {
	n.raiseFinding(result.Finding{Kind: about.kind, Arm: about.arm, Text: text + describeSince(s), P: new(s.pValue(0))}, s, certain)
}

// describeMost returns "in 20 earlier runs at most 2", or "in 19 of 20" if the others
// were bad as well.
func (s streak) describeMost(ask func(result.RunSummary) answer, arm string, count func(result.ArmSummary) int) string {
	most := 0
	for _, r := range s.earlier {
		if ask(r) == good {
			a, _ := r.Arm(arm)
			most = max(most, count(a))
		}
	}
	in := describeEarlier(s)
	if s.bad > 0 {
		in = fmt.Sprintf("%d of %s", len(s.earlier)-s.bad, in)
	}
	return fmt.Sprintf("in %s at most %s", in, format.Thousands(most))
}

// findLowestRate returns the arm in the attempt in which it failed least.
func findLowestRate(attempts []result.RunSummary, arm string) (best result.ArmSummary) {
	for i, r := range attempts {
		if a, _ := r.Arm(arm); i == 0 || a.FailedShare() < best.FailedShare() {
			best = a
		}
	}
	return best
}

// describeShare returns "3,105 of 48,000 (6.47 %)".
func describeShare(n, of int) string {
	return fmt.Sprintf("%s of %s (%s)", format.Thousands(n), format.Thousands(of), format.Percent(float64(n)/float64(max(1, of))))
}

// describeAttempts returns ", in the best of 2 attempts", and nothing for one attempt.
func describeAttempts(s streak) string {
	if len(s.attempts) < 2 {
		return ""
	}
	return fmt.Sprintf(", in the best of %d attempts", len(s.attempts))
}

// describeEarlier returns "20 earlier runs".
func describeEarlier(s streak) string {
	return format.Plural(len(s.earlier), "earlier run", "earlier runs")
}

// describeSince returns the kernel and the day on which a streak began. It returns
// nothing for a streak that began tonight on the kernel of the run before.
func describeSince(s streak) string {
	if len(s.earlier) == 0 {
		return ""
	}
	first, before := s.runs[0], s.earlier[len(s.earlier)-1]
	var parts []string
	if first.Kernel != before.Kernel {
		parts = append(parts, fmt.Sprintf("since kernel %s (%s before it)", first.Kernel, before.Kernel))
	}
	if len(s.runs) > len(s.attempts) {
		parts = append(parts, "since "+first.Started.UTC().Format(time.DateOnly))
	}
	if len(parts) == 0 {
		return ""
	}
	return ", " + strings.Join(parts, ", ")
}
