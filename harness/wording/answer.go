package wording

import (
	"fmt"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// The headlines of an answer. None of them says more than the result shows.
const (
	Affected    = "AFFECTED"     // the baseline lost connections to the race
	NotAffected = "NOT AFFECTED" // it lost none, or next to none, where its control shows that it could have
	CannotTell  = "CANNOT TELL"
)

// The labels of the arms in an answer.
const (
	FixedBy    = "FIXED BY"
	ReducedBy  = "reduced by"
	NotFixedBy = "not fixed by"
	NotDecided = "not decided"
)

// RunAnswer is the answer of a run, for a reader in a hurry: are connections lost, which
// arm stops it at what cost, and what keeps the figures from being trusted.
type RunAnswer struct {
	Headline string      // Affected, NotAffected or CannotTell
	Sentence string      // why, in one sentence
	Arms     []ArmAnswer // of every arm but the baseline, the arms that fix it first
	Caveat   string      // the warning that matters most, as a sentence; empty if there is none
	More     int         // warnings beside it
}

// ArmAnswer is the answer about one arm.
type ArmAnswer struct {
	Arm     string
	Label   string // FixedBy, ReducedBy, NotFixedBy or NotDecided
	Verdict result.ArmVerdict
	Effect  string // "none of 16,000 failed, at least 99.8 % of the failures are gone"
	Cost    string // "latency p99 +7.69 %", "no cost was proven (...)" or "cost not known (...)"
}

// Text returns the answer about an arm as a sentence that follows its label.
func (a ArmAnswer) Text() string {
	switch a.Label {
	case FixedBy, ReducedBy:
		return fmt.Sprintf("%s: %s; %s", a.Arm, a.Effect, a.Cost)
	case NotFixedBy:
		return fmt.Sprintf("%s: %s, %s", a.Arm, a.Verdict, a.Effect)
	}
	return a.Arm + ": " + a.Effect
}

// Answer returns the answer of a judged result.
func Answer(r *result.Result) RunAnswer {
	a := RunAnswer{Headline: headline(r)}
	a.Sentence = answerSentence(r, a.Headline)
	for _, label := range []string{FixedBy, ReducedBy, NotFixedBy, NotDecided} {
		for _, c := range r.Comparisons {
			if labelArm(c) == label {
				a.Arms = append(a.Arms, ArmAnswer{Arm: c.Arm, Label: label, Verdict: c.Verdict, Effect: describeEffect(r, c), Cost: describeCost(c, findArm(r, c.Arm))})
			}
		}
	}
	a.Caveat, a.More = caveat(r)
	return a
}

// sparedFrom is the number of hits in its control from which on an arm that lost nothing
// leaves at most 1 % of the race, at [result.DecisiveConfidence]: (1 - 1/101)^764 is below
// 0.0005.
const sparedFrom = 764

// headline returns the first words of the answer. A claim about the race in the baseline
// that was decided takes precedence over the counts.
func headline(r *result.Result) string {
	baseline := baselineOf(r)
	for _, e := range r.Expected {
		if e.Arm == baseline.Name && e.Race != "" && e.Held != nil {
			if *e.Held == (e.Race == result.Reproduced) {
				return Affected
			}
			return NotAffected
		}
	}
	n, control := baseline.SumTotals(), baseline.SumControl()
	hits := n.Race
	if r.Instrument != nil { // both pass the same rule
		hits += control.Race
	}
	switch {
	case hits >= result.Floor:
		return Affected
	case n.Race == 0 && control.Race >= sparedFrom && r.Instrument == nil:
		return NotAffected
	}
	return CannotTell
}

// answerSentence returns what the baseline lost, and in which window.
func answerSentence(r *result.Result, headline string) string {
	if len(r.Arms) == 0 || !r.HasTrials() {
		return "No trial was finished."
	}
	text, lost, control := baselineLoss(r.Scenario, r.Arms[0]), r.Arms[0].SumTotals().Race, r.Arms[0].SumControl().Race
	switch {
	case lost > 0 && headline == CannotTell:
		text += ", too few to tell them from chance"
	case lost > 0 && headline == NotAffected && control > 0:
		text += fmt.Sprintf(", next to none of the %s that its control lost", format.Thousands(control))
	}
	if n := r.Environment.Widened; n > 0 && r.ShowsRace() {
		text += fmt.Sprintf(", in a window widened by %s (so the rate is this lab's, not that of your traffic)", format.Plural(n, "idle rule", "idle rules"))
	}
	if lost == 0 { // else it begins with a name: leave its case alone
		text = capitalise(text)
	}
	return text + "."
}

// labelArm returns the label of the arm of a comparison.
func labelArm(c result.Comparison) string {
	switch c.Verdict {
	case result.Mitigated:
		return FixedBy
	case result.Reduced:
		return ReducedBy
	case result.Equal, result.Worse, result.NoDifference:
		return NotFixedBy
	}
	return NotDecided
}

// describeEffect returns what failed under an arm, and what the verdict claims.
func describeEffect(r *result.Result, c result.Comparison) string {
	arm, share := findArm(r, c.Arm), c.Remaining
	text := failedOf(arm) + " failed, "
	switch {
	case len(arm.FailureRates()) == 0:
		return "it has no trial"
	case share == nil && c.Reduction.Estimate != nil && c.Verdict.IsDecided():
		return text + fmt.Sprintf("reduction %s (by medians of trials)", format.Percent(*c.Reduction.Estimate))
	case share == nil:
		return failedOf(arm) + " failed"
	case (c.Verdict == result.Mitigated || c.Verdict == result.Reduced) && share.DecisiveHigh != nil:
		if more := needed(c.Why, c.Least, share, "say 99 %"); more != "" {
			return fmt.Sprintf("%s%s (%s%s)", text, gone(share), hits(share, otherOf(c)), more)
		}
		return text + gone(share)
	case c.Verdict == result.Worse:
		return text + times(share, otherOf(c))
	case c.Verdict == result.Equal:
		return text + remains(share) + " of the failures remain"
	case c.Verdict == result.Undecided:
		return text + "but " + WhyUndecided(c)
	}
	return failedOf(arm) + " failed"
}

// describeCost returns the changes of latency that are told apart from none, or how large
// one may be that is not.
func describeCost(c result.Comparison, arm result.Arm) string {
	var changes, bounds []string
	for _, l := range c.Latency {
		switch {
		case l.Estimate == nil || l.Low == nil || l.High == nil:
		case *l.Low > 0 || *l.High < 0:
			changes = append(changes, l.Percentile+" "+format.Signed(*l.Estimate))
		default:
			bounds = append(bounds, l.Percentile+" at most "+format.Signed(*l.High))
		}
	}
	switch {
	case !arm.ComparesLatency():
		return "its latency is not compared (its packets are sent in another way)"
	case len(changes) > 0:
		return "latency " + strings.Join(changes, ", ")
	case len(bounds) > 0:
		return fmt.Sprintf("no cost was proven (%s)", strings.Join(bounds, ", "))
	}
	return "cost not known (too few trials for an interval of the latency)"
}
