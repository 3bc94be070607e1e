package regression

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// verdictFell asks whether an arm is less than mitigated.
func (n *night) verdictFell(arm string) {
	s, ok := n.streakOf(func(r result.RunSummary) mark { return mitigated(r, arm) })
	if !ok {
		return
	}
	best := lowest(s.attempts, arm)
	n.find(result.VerdictFell, arm, s, s.never(), fmt.Sprintf("%s is no longer mitigated, but %s: it failed %s%s; it was mitigated in %d of %s",
		arm, best.Verdict, share(best.Failed, best.Requests), inEach(s), len(s.earlier)-s.bad, earlier(s)))
}

// mitigated is good. An arm that is undecided answers neither way.
func mitigated(r result.RunSummary, arm string) mark {
	switch a, ok := r.Arm(arm); {
	case !ok, !isDecided(a):
		return untold
	case a.Verdict == result.Mitigated:
		return good
	default:
		return bad
	}
}

// failuresRose asks whether an arm that is mitigated for the most part fails more
// often than it does at its better times.
func (n *night) failuresRose(arm string) {
	usual := n.lowerQuartile(arm)
	of := func(r result.RunSummary) mark { return failsMore(r, arm, usual) }
	s, ok := n.streakOf(of)
	if !ok || !mostlyMitigated(s.earlier, arm) {
		return
	}
	best := lowest(s.attempts, arm)
	n.find(result.FailuresRose, arm, s, false, fmt.Sprintf("%s failed %s%s; %s",
		arm, share(best.Failed, best.Requests), inEach(s), s.atMost(of, arm, func(a result.ArmSummary) int { return a.Failed })))
}

// lowerQuartile is that of an arm's rates in all runs: a quarter of them, or more,
// have no higher one.
func (n *night) lowerQuartile(arm string) float64 {
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

// failsMore is bad.
func failsMore(r result.RunSummary, arm string, usual float64) mark {
	switch a, ok := r.Arm(arm); {
	case !ok:
		return untold
	case a.Failed >= result.Floor && a.FailedShare() > 2*usual:
		return bad
	default:
		return good
	}
}

// isDecided reports whether a run says what an arm makes of the baseline.
func isDecided(a result.ArmSummary) bool {
	return a.Verdict != "" && a.Verdict != result.ArmInconclusive && a.Verdict != result.Undecided
}

func mostlyMitigated(runs []result.RunSummary, arm string) bool {
	mitigated, told := 0, 0
	for _, r := range runs {
		if a, ok := r.Arm(arm); ok && isDecided(a) {
			told++
			if a.Verdict == result.Mitigated {
				mitigated++
			}
		}
	}
	return 2*mitigated > told
}

// notNew are the causes that say nothing of the arm: the race is asked for by its
// effect, and other traffic is no part of it.
var notNew = []string{result.SNATRace, result.CauseForeign}

// newCauses asks, for each cause that requests of an arm failed for, whether they
// ever did.
func (n *night) newCauses(arm string) {
	last, _ := n.last.Arm(arm)
	for _, cause := range slices.Sorted(maps.Keys(last.Causes)) {
		if !slices.Contains(notNew, cause) {
			n.newCause(arm, cause)
		}
	}
}

func (n *night) newCause(arm, cause string) {
	of := func(r result.RunSummary) mark { return hasCause(r, arm, cause) }
	s, ok := n.streakOf(of)
	if !ok {
		return
	}
	best := lowest(s.attempts, arm)
	for _, r := range s.attempts {
		if a, _ := r.Arm(arm); a.Causes[cause] < best.Causes[cause] {
			best = a
		}
	}
	n.find(result.NewCause, arm, s, false, fmt.Sprintf("%s failed %s for %s%s; %s",
		arm, share(best.Causes[cause], best.Requests), cause, inEach(s), s.atMost(of, arm, func(a result.ArmSummary) int { return a.Causes[cause] })))
}

// hasCause is bad, from as many failures on as make the race occur.
func hasCause(r result.RunSummary, arm, cause string) mark {
	switch a, ok := r.Arm(arm); {
	case !ok:
		return untold
	case a.Causes[cause] >= result.Floor:
		return bad
	default:
		return good
	}
}

// expectationsBroken asks of each expectation whether it holds.
func (n *night) expectationsBroken() {
	for _, e := range n.last.Expected {
		s, ok := n.streakOf(func(r result.RunSummary) mark { return held(r, e) })
		if !ok {
			continue
		}
		f := result.Finding{Kind: result.ExpectationBroken, Arm: e.Arm, Claim: wording.Claim(e), P: new(s.p(0))}
		f.Text = fmt.Sprintf("%s: %s did not hold (%s)%s", e.Arm, f.Claim, e.Found, inEach(s))
		if len(s.earlier) == 0 {
			f.Text += ", and never has"
			f.P = nil
		} else {
			f.Text += fmt.Sprintf("; it held in %d of %s%s", len(s.earlier)-s.bad, earlier(s), since(s))
		}
		if !n.raise(f, s, s.never()) {
			n.doubted = append(n.doubted, f)
		}
	}
}

// held finds the same claim in a run. That the race occurs is not broken by a run
// in which it did not, which is inconclusive.
func held(r result.RunSummary, claim result.Expect) mark {
	if r.Verdict == result.Inconclusive && claim.Race == result.Reproduced {
		return untold
	}
	for _, e := range r.Expected {
		if !e.SameClaim(claim) {
			continue
		}
		switch {
		case e.Held == nil:
			return untold
		case *e.Held:
			return good
		default:
			return bad
		}
	}
	return untold
}

// find raises what a streak shows of an arm.
func (n *night) find(kind result.FindingKind, arm string, s streak, certain bool, text string) {
	n.raise(result.Finding{Kind: kind, Arm: arm, Text: text + since(s), P: new(s.p(0))}, s, certain)
}

// atMost prints "in 20 earlier runs at most 2", or "in 19 of 20" where the others
// were bad as well.
func (s streak) atMost(of func(result.RunSummary) mark, arm string, count func(result.ArmSummary) int) string {
	most := 0
	for _, r := range s.earlier {
		if of(r) == good {
			a, _ := r.Arm(arm)
			most = max(most, count(a))
		}
	}
	in := earlier(s)
	if s.bad > 0 {
		in = fmt.Sprintf("%d of %s", len(s.earlier)-s.bad, in)
	}
	return fmt.Sprintf("in %s at most %s", in, format.Thousands(most))
}

// lowest is the arm in the attempt in which it failed least.
func lowest(attempts []result.RunSummary, arm string) (best result.ArmSummary) {
	for i, r := range attempts {
		if a, _ := r.Arm(arm); i == 0 || a.FailedShare() < best.FailedShare() {
			best = a
		}
	}
	return best
}

// share prints "3,105 of 48,000 (6.47 %)".
func share(n, of int) string {
	return fmt.Sprintf("%s of %s (%s)", format.Thousands(n), format.Thousands(of), format.Percent(float64(n)/float64(max(1, of))))
}

// inEach says that every attempt shows it.
func inEach(s streak) string {
	if len(s.attempts) < 2 {
		return ""
	}
	return fmt.Sprintf(", in the best of %d attempts", len(s.attempts))
}

func earlier(s streak) string { return format.Plural(len(s.earlier), "earlier run", "earlier runs") }

// since says when a streak began, if that was not tonight on the kernel of the
// run before.
func since(s streak) string {
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
