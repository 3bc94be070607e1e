package history

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"snatlab/harness/figure"
	"snatlab/harness/report"
	"snatlab/harness/result"
	"snatlab/harness/verdict"
)

// verdictFell asks whether an arm is less than mitigated.
func (n *night) verdictFell(arm string) {
	s, ok := n.streakOf(func(r Run) mark { return mitigated(r, arm) })
	if !ok {
		return
	}
	best := lowest(s.attempts, arm)
	n.find(result.VerdictFell, arm, s, fmt.Sprintf("%s is no longer mitigated, but %s: it failed %s%s; it was mitigated in %d of %s",
		arm, best.Verdict, share(best.Failed, best.Requests), inEach(s), len(s.earlier)-s.bad, earlier(s)))
}

// mitigated is good.
func mitigated(r Run, arm string) mark {
	switch a, ok := armOf(r, arm); {
	case !ok, a.Verdict == "", a.Verdict == result.ArmInconclusive:
		return untold
	case a.Verdict == result.Mitigated:
		return good
	default:
		return bad
	}
}

// failuresRose asks whether an arm that is mitigated for the most part fails as
// often as in the best of tonight's attempts.
func (n *night) failuresRose(arm string) {
	least := 1.0
	for _, r := range n.tonight {
		if a, ok := armOf(r, arm); ok {
			least = min(least, rateOf(a))
		}
	}
	s, ok := n.streakOf(func(r Run) mark {
		switch a, ok := armOf(r, arm); {
		case !ok:
			return untold
		case a.Failed >= verdict.Floor && rateOf(a) >= least:
			return bad
		default:
			return good
		}
	})
	if !ok || !mostlyMitigated(s.earlier, arm) {
		return
	}
	best, before := lowest(s.attempts, arm), 0
	for _, r := range s.earlier {
		a, _ := armOf(r, arm)
		before = max(before, a.Failed)
	}
	n.find(result.FailuresRose, arm, s, fmt.Sprintf("%s failed %s%s; in %s at most %s",
		arm, share(best.Failed, best.Requests), inEach(s), earlier(s), figure.Thousands(before)))
}

func mostlyMitigated(runs []Run, arm string) bool {
	mitigated, told := 0, 0
	for _, r := range runs {
		if a, ok := armOf(r, arm); ok && a.Verdict != result.ArmInconclusive {
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
	last, _ := armOf(n.last, arm)
	for _, cause := range slices.Sorted(maps.Keys(last.Causes)) {
		if !slices.Contains(notNew, cause) {
			n.newCause(arm, cause)
		}
	}
}

func (n *night) newCause(arm, cause string) {
	s, ok := n.streakOf(func(r Run) mark { return hasCause(r, arm, cause) })
	if !ok {
		return
	}
	best, before := lowest(s.attempts, arm), 0
	for _, r := range s.attempts {
		if a, _ := armOf(r, arm); a.Causes[cause] < best.Causes[cause] {
			best = a
		}
	}
	for _, r := range s.earlier {
		a, _ := armOf(r, arm)
		before = max(before, a.Causes[cause])
	}
	n.find(result.NewCause, arm, s, fmt.Sprintf("%s failed %s for %s%s; in %s at most %s",
		arm, share(best.Causes[cause], best.Requests), cause, inEach(s), earlier(s), figure.Thousands(before)))
}

// hasCause is bad, from as many failures on as make the race occur.
func hasCause(r Run, arm, cause string) mark {
	switch a, ok := armOf(r, arm); {
	case !ok:
		return untold
	case a.Causes[cause] >= verdict.Floor:
		return bad
	default:
		return good
	}
}

// expectationsBroken asks of each expectation whether it holds.
func (n *night) expectationsBroken() {
	for _, e := range n.last.Expected {
		s, ok := n.streakOf(func(r Run) mark { return held(r, e) })
		if !ok {
			continue
		}
		f := result.Finding{Kind: result.ExpectationBroken, Arm: e.Arm, P: new(s.p(0))}
		f.Text = fmt.Sprintf("%s: %s did not hold (%s)%s", e.Arm, report.Claim(e), e.Found, inEach(s))
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
func held(r Run, claim result.Expect) mark {
	if r.Verdict == result.Inconclusive && claim.Race == "reproduced" {
		return untold
	}
	for _, e := range r.Expected {
		if e.Arm != claim.Arm || report.Claim(e) != report.Claim(claim) {
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

// find raises what a small p alone can make a finding.
func (n *night) find(kind result.FindingKind, arm string, s streak, text string) {
	n.raise(result.Finding{Kind: kind, Arm: arm, Text: text + since(s), P: new(s.p(0))}, s, false)
}

// lowest is the arm in the attempt in which it failed least.
func lowest(attempts []Run, arm string) (best Arm) {
	for i, r := range attempts {
		if a, _ := armOf(r, arm); i == 0 || rateOf(a) < rateOf(best) {
			best = a
		}
	}
	return best
}

// share prints "3,105 of 48,000 (6.47 %)".
func share(n, of int) string {
	return fmt.Sprintf("%s of %s (%s)", figure.Thousands(n), figure.Thousands(of), figure.Percent(float64(n)/float64(max(1, of))))
}

// inEach says that every attempt shows it.
func inEach(s streak) string {
	if len(s.attempts) < 2 {
		return ""
	}
	return fmt.Sprintf(", in the best of %d attempts", len(s.attempts))
}

func earlier(s streak) string { return figure.Plural(len(s.earlier), "earlier run", "earlier runs") }

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
