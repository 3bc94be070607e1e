package regression

import (
	"slices"

	"snatlab/harness/history/store"
	"snatlab/harness/result"
)

// leastAttempts is the number of attempts without which no regression is reported.
const leastAttempts = 2

// mostAttempts is the number of attempts that may be asked for. If they cannot show
// that a finding is no chance, another one is not likely to.
const mostAttempts = 3

// Evaluation is what the history of a scenario shows about tonight.
type Evaluation struct {
	Tonight      *result.Result       // all attempts together, judged as one run; nil if there is none
	Findings     []result.Finding     // confirmed by at least two attempts
	Again        string               // why another attempt is needed; empty if none is
	Compared     int                  // earlier runs under the same key
	KernelBefore string               // of the last of them; empty if there is none
	Restarted    string               // why earlier runs under the same key are not compared; empty if all are
	Shares       []result.NightShare  // of the arms but the first
	Machine      *result.MachineState // nil if there is no earlier night
	Doubts       []string             // a sentence for each finding that may be chance
	Warnings     []string             // entries of known that have expired
}

// Evaluate compares the attempts of tonight, in their order, with the earlier runs
// under the same key, without those that ended early. before may contain the
// attempts; they are not compared with themselves. The key is that of the last
// attempt. Attempts under another key are left out: something was upgraded between
// them. Earlier runs that were judged without shares that remain are left out as well.
// known may be nil. Evaluate is called after every attempt, with all of them, and reports
// whether another attempt is needed.
func Evaluate(attempts []*result.Result, before []result.RunSummary, known []KnownFailure) Evaluation {
	n := night{}
	attempts = slices.DeleteFunc(slices.Clone(attempts), func(r *result.Result) bool { return r.Incomplete != "" })
	if len(attempts) == 0 {
		return n.Evaluation
	}
	key := result.KeyOf(attempts[len(attempts)-1])
	attempts = slices.DeleteFunc(attempts, func(r *result.Result) bool { return result.KeyOf(r) != key })
	for _, r := range attempts {
		n.tonight = append(n.tonight, result.NewRunSummary(r))
	}
	n.Tonight = joinAttempts(attempts)
	n.sum = result.NewRunSummary(n.Tonight)
	n.findEarlierRuns(before)
	n.Machine = n.readMachine()
	switch {
	case n.sum.Verdict == result.Inconclusive:
		n.Again = "the verdict is inconclusive"
	case n.sum.Verdict == result.Fail && len(attempts) < leastAttempts:
		n.Again = "an expectation does not hold"
	}
	for q, s := range listSubjects([]result.RunSummary{n.sum}) {
		if q.askNight != nil {
			q.askNight(&n, s)
		}
	}
	n.markKnown(known)
	return n.Evaluation
}

// night is the evaluation of one scenario, in the making.
type night struct {
	Evaluation
	tonight []result.RunSummary // the attempts
	sum     result.RunSummary   // of all of them together
	before  []result.RunSummary // oldest first
	broken  []result.Finding    // expectations that do not hold, perhaps as ever
	chance  []result.Finding    // may be chance, and no further attempt can decide
}

// findEarlierRuns finds the runs before tonight that have tonight's key, did not end
// early, and can be compared.
func (n *night) findEarlierRuns(before []result.RunSummary) {
	own := map[string]bool{}
	for _, r := range n.tonight {
		own[r.ID] = true
	}
	for _, r := range store.DropIncomplete(before) {
		switch {
		case r.Key != n.sum.Key || own[r.ID]:
		case r.HasShares() != n.sum.HasShares():
			n.Restarted = "earlier runs were judged by failure rates, not by the share of the failures that remains"
		default:
			n.before = append(n.before, r)
		}
	}
	if n.Compared = len(n.before); n.Compared > 0 {
		n.KernelBefore = n.before[n.Compared-1].Kernel
	}
}

// findNightStreak returns the bad nights that end with tonight, whose answer is that of
// all attempts together. An earlier night is good or bad if its runs agree. There is none
// if tonight is good, or does not answer.
func (n *night) findNightStreak(ask func(result.RunSummary) answer) (s streak, ok bool) {
	if ask(n.sum) != bad {
		return s, false
	}
	s = streak{attempts: n.tonight, nights: true}
	var answers []answer
	for _, runs := range store.GroupNights(n.before) {
		answered, all := collectAnswers(runs, ask)
		if len(all) > 0 && countBad(all)%len(all) == 0 {
			s.earlier, answers = append(s.earlier, answered[0]), append(answers, all[0])
		}
	}
	start := len(answers)
	for start > 0 && answers[start-1] == bad {
		start--
	}
	s.runs, s.earlier = append(s.earlier[start:len(answers):len(answers)], n.sum), s.earlier[:start]
	s.bad = countBad(answers[:start])
	return s, true
}

// findStreak returns the bad runs that end with tonight's attempts. There is none if
// an attempt is good, or if no attempt answers.
func (n *night) findStreak(ask func(result.RunSummary) answer) (s streak, ok bool) {
	attempts, now := collectAnswers(n.tonight, ask)
	if slices.Contains(now, good) {
		return s, false
	}
	past, answers := collectAnswers(n.before, ask)
	start := len(past)
	for start > 0 && answers[start-1] == bad {
		start--
	}
	s = streak{attempts: attempts, runs: slices.Concat(past[start:], attempts), earlier: past[:start]}
	s.bad = countBad(answers[:start])
	return s, len(attempts) > 0
}

// A streak is bad runs in a row, up to the last attempt of tonight.
type streak struct {
	attempts []result.RunSummary // of tonight
	runs     []result.RunSummary // all runs of the streak, attempts included; of nights: one for each
	earlier  []result.RunSummary // before the streak, oldest first; the last one was good
	bad      int                 // of the earlier ones
	nights   bool                // whether a value is a night
}

// pValue returns the probability of the streak, if it has some more bad attempts; see
// the package comment.
func (s streak) pValue(more int) float64 {
	k := len(s.runs) + more
	all, bad := float64(len(s.earlier)+k), float64(s.bad+k)
	p := 1.0
	for i := range k {
		p *= (bad - float64(i)) / (all - float64(i))
	}
	return p
}

// isFirst reports whether there were runs or nights before the streak, enough of them, all
// of them good.
func (s streak) isFirst() bool { return s.bad == 0 && len(s.earlier) >= store.LeastNights }

// raiseFinding reports a finding about a streak, asks for another attempt, or records that
// the finding may be chance. A certain finding needs no small p. raiseFinding returns
// whether it has reported the finding.
func (n *night) raiseFinding(f result.Finding, s streak, certain bool) bool {
	k := len(s.attempts)
	isProven := func(more int) bool { return certain || s.pValue(more) < result.RunAlpha }
	switch {
	case len(s.earlier) == 0: // there was never a good run
	case isProven(0) && k >= leastAttempts:
		n.Findings = append(n.Findings, f)
		return true
	case k < mostAttempts && isProven(mostAttempts-k):
		n.askAgain(f.Text)
	default:
		n.chance = append(n.chance, f)
	}
	return false
}

// raiseNights reports a finding about a streak of nights, or records that it may be
// chance. Further attempts add no night. It returns whether it has reported the finding.
func (n *night) raiseNights(f result.Finding, s streak) bool {
	switch {
	case len(s.earlier) == 0:
	case len(n.tonight) < leastAttempts:
		n.askAgain(f.Text)
	case s.isFirst() || s.pValue(0) < result.RunAlpha:
		n.Findings = append(n.Findings, f)
		return true
	default:
		n.chance = append(n.chance, f)
	}
	return false
}

// askAgain asks for another attempt. The first reason is kept.
func (n *night) askAgain(reason string) {
	if n.Again == "" {
		n.Again = reason
	}
}
