package regression

import (
	"fmt"
	"strings"
	"time"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

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
//
// A claim about the race is decided by an interval of the sums over all attempts, so
// nights are compared. Any other claim is decided run by run, so every attempt has to
// break it, and runs are compared.
func (n *night) askExpectation(about subject) {
	e := about.expectation
	find, raise := n.findStreak, func(f result.Finding, s streak) bool { return n.raiseFinding(f, s, s.isFirst()) }
	if e.Reduction != nil || e.Race != "" {
		find, raise = n.findNightStreak, n.raiseNights
	}
	s, ok := find(func(r result.RunSummary) answer { return judgeExpectation(r, e) })
	if !ok {
		return
	}
	f := result.Finding{Kind: about.kind, Arm: e.Arm, Claim: wording.Claim(e), Expectation: e.Key(), P: new(s.pValue(0))}
	f.Text = fmt.Sprintf("%s: %s did not hold (%s)%s", e.Arm, f.Claim, strings.TrimSuffix(e.Found, "."), describeAttempts(s))
	if len(s.earlier) == 0 {
		f.Text += ", and never has"
		f.P = nil
	} else {
		f.Text += fmt.Sprintf("; it held in %d of %s%s", len(s.earlier)-s.bad, describeEarlier(s), describeSince(s))
	}
	if !raise(f, s) {
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
	switch {
	case len(s.attempts) < 2:
		return ""
	case s.nights:
		return fmt.Sprintf(", in %d attempts together", len(s.attempts))
	}
	return fmt.Sprintf(", in the best of %d attempts", len(s.attempts))
}

// describeEarlier returns "20 earlier runs", or nights.
func describeEarlier(s streak) string {
	if s.nights {
		return format.Plural(len(s.earlier), "earlier night", "earlier nights")
	}
	return format.Plural(len(s.earlier), "earlier run", "earlier runs")
}

// formatDay returns the day on which a run began.
func formatDay(r result.RunSummary) string { return r.Started.UTC().Format(time.DateOnly) }

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
	if s.nights && len(s.runs) > 1 || !s.nights && len(s.runs) > len(s.attempts) {
		parts = append(parts, "since "+formatDay(first))
	}
	if len(parts) == 0 {
		return ""
	}
	return ", " + strings.Join(parts, ", ")
}
