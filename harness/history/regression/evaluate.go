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
	Findings     []result.Finding // confirmed by every attempt
	Again        string           // why another attempt is needed; empty if none is
	Compared     int              // earlier runs under the same key
	KernelBefore string           // of the last of them; empty if there is none
	Doubts       []string         // a sentence for each finding of every attempt that may be chance
	Warnings     []string         // entries of known that have expired
}

// Evaluate compares the attempts of tonight, in their order, with the earlier runs
// under the same key, without those that ended early. before may contain the
// attempts; they are not compared with themselves. The key is that of the last
// attempt. Attempts under another key are left out: something was upgraded between
// them. known may be nil. Evaluate is called after every attempt, with all of them,
// and reports whether another attempt is needed.
func Evaluate(attempts []*result.Result, before []result.RunSummary, known []KnownFailure) Evaluation {
	n := night{}
	for _, r := range attempts {
		n.tonight = append(n.tonight, result.NewRunSummary(r))
	}
	n.tonight = store.DropIncomplete(n.tonight)
	if len(n.tonight) == 0 {
		return n.Evaluation
	}
	n.last = n.tonight[len(n.tonight)-1]
	n.tonight = slices.DeleteFunc(n.tonight, func(r result.RunSummary) bool { return r.Key != n.last.Key })
	n.before = findEarlierRuns(before, n.tonight)
	n.Compared = len(n.before)
	if n.Compared > 0 {
		n.KernelBefore = n.before[n.Compared-1].Kernel
	}
	if n.last.Verdict == result.Inconclusive {
		n.Again = "the verdict is inconclusive"
	}
	for q, s := range listSubjects([]result.RunSummary{n.last}) {
		q.askNight(&n, s)
	}
	n.markKnown(known)
	return n.Evaluation
}

// night is the evaluation of one scenario, in the making.
type night struct {
	Evaluation
	tonight []result.RunSummary // the attempts
	last    result.RunSummary   // the last of them
	before  []result.RunSummary // oldest first
	broken  []result.Finding    // expectations that do not hold, perhaps as ever
	chance  []result.Finding    // may be chance, and no further attempt can decide
}

// findEarlierRuns returns the runs before tonight that have tonight's key and did not
// end early.
func findEarlierRuns(before, tonight []result.RunSummary) (runs []result.RunSummary) {
	own := map[string]bool{}
	for _, r := range tonight {
		own[r.ID] = true
	}
	for _, r := range store.DropIncomplete(before) {
		if r.Key == tonight[0].Key && !own[r.ID] {
			runs = append(runs, r)
		}
	}
	return runs
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
	runs     []result.RunSummary // all runs of the streak, attempts included
	earlier  []result.RunSummary // before the streak, oldest first; the last one was good
	bad      int                 // of the earlier runs
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

// isFirst reports whether there were runs before the streak, all of them good.
func (s streak) isFirst() bool { return s.bad == 0 && len(s.earlier) > 0 }

// raiseFinding reports a finding about a streak, asks for another attempt, or records that
// the finding may be chance. A certain finding needs no small p. raiseFinding returns
// whether it has reported the finding.
func (n *night) raiseFinding(f result.Finding, s streak, certain bool) bool {
	k := len(s.attempts)
	isProven := func(more int) bool { return certain || s.pValue(more) < result.Alpha }
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

// askAgain asks for another attempt. The first reason is kept.
func (n *night) askAgain(reason string) {
	if n.Again == "" {
		n.Again = reason
	}
}
