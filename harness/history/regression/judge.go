// Package regression judges runs by earlier ones: [Judge] a run by the history of
// its scenario, [Set] two groups of runs.
//
// # What a regression is
//
// Every kind of regression is a question with the answer bad or good for each
// run: is the arm less than mitigated? Of N runs under the key, those of tonight
// included, M are bad, and the last K without exception. Were the runs all alike,
// each order of them were as likely as any other, and the last K all bad in
//
//	p = C(M, K) / C(N, K)
//
// of all orders. That is an exact permutation test; the unit is the run, and it asks
// for no distribution. There is a regression where p < [result.Alpha], 0.01, and
// at least two attempts were made tonight of which every one is bad.
//
// Attempts guard against what differs within a night, and against nothing else:
// they count as runs like any others, and the runs of a night are more alike than
// those of different nights. A disturbance that lasts the night is an alarm.
//
// Bad runs that lead up to tonight without a good one in between count with
// tonight's: so a regression stays one in the nights after the first, until it is
// mended or written down as known. One good attempt ends that: from then on all
// bad runs before it are what this machine does now and then, and later nights are
// measured by them. What is bad most of the time, but not always, is so reported
// at first, and less and less.
//
// What is bad:
//
//   - [result.VerdictFell]: the arm is less than mitigated
//   - [result.FailuresRose]: an arm that was mitigated in most earlier runs has at
//     least [result.Floor] failures, and more than twice the lower quartile of
//     the rates of all N runs. Tonight's are among them, as p is exact only where
//     what is bad does not depend on the order of the runs. Mitigated arms have 0,
//     1 or 2 failures in 48,000 requests, since two random draws can meet: the
//     quartile is next to nothing, and the floor decides. A rise that lasts is
//     seen for as long as a quarter of the runs that are kept are without it.
//   - [result.NewCause]: at least Floor requests of an arm failed for this cause.
//     The race is not asked for, which the two above are about, nor is what other
//     traffic may have done.
//   - [result.ExpectationBroken]: the expectation does not hold.
//
// With n good runs before, k attempts reach p = 1 / C(n+k, k): two attempts take
// 13 earlier runs, three take 7. A verdict or an expectation that was good in
// every earlier run needs no small p: it takes one such run. Of the other kinds a
// shorter history can only give doubts; see [Judgement].
//
// By design at most 1 night in 100 raises an alarm by chance: for each arm and
// kind, and for causes for each arm and cause. That bound is for arms that are at
// the edge of bad in many runs. One that is bad in 1 run of 20 by chance takes two
// or three such runs in a row: 1 night in 500 or fewer. One that never is raises
// none. Verdicts and expectations without a small p stand outside of that bound:
// chance can make two attempts bad before any run was, in one streak under a key.
//
// [store.Policy] thins runs out that are older than some days, and keeps those next to a
// change of a verdict: among old runs the bad ones are more than they were. So
// thinning makes p larger, and errs towards silence.
//
// A [result.Shift] is a change of the baseline's own rate by a fifth or more: of
// the last runs, at most 7, since the last change of kernel, against the 20 before
// them, by ranks, two-sided, p < Alpha. It moves with timing, and is no regression.
package regression

import (
	"slices"

	"snatlab/harness/history/store"
	"snatlab/harness/result"
)

// leastAttempts are made before a regression is believed.
const leastAttempts = 2

// mostAttempts is how many may be asked for: where so many could not show that a
// thing is no chance, no further one is.
const mostAttempts = 3

// Judgement is what its history says about a scenario tonight.
type Judgement struct {
	Findings     []result.Finding // that every attempt confirmed
	Again        string           // what another attempt is to confirm or to refute; empty if none is needed
	Compared     int              // runs under the same key that tonight was set against
	KernelBefore string           // of the last of them; empty if there is none
	Doubts       []string         // what every attempt shows as well, and may be chance; a sentence each
	Warnings     []string         // entries of known that have run out
}

// Judge sets the attempts of tonight, in their order, against the runs before
// them: those with the same key that did not end early, without the attempts
// themselves. The key is that of the last attempt, and attempts with another one
// are left out: something was upgraded in between. known may be nil. It is asked
// after every attempt, with all of them, and says whether there is to be another
// one.
func Judge(attempts []*result.Result, before []result.RunSummary, known []Known) Judgement {
	n := night{}
	for _, r := range attempts {
		n.tonight = append(n.tonight, result.NewRunSummary(r))
	}
	n.tonight = store.Completed(n.tonight)
	if len(n.tonight) == 0 {
		return n.Judgement
	}
	n.last = n.tonight[len(n.tonight)-1]
	n.tonight = slices.DeleteFunc(n.tonight, func(r result.RunSummary) bool { return r.Key != n.last.Key })
	n.before = alike(before, n.tonight)
	n.Compared = len(n.before)
	if n.Compared > 0 {
		n.KernelBefore = n.before[n.Compared-1].Kernel
	}
	if n.last.Verdict == result.Inconclusive {
		n.Again = "the verdict is inconclusive"
	}
	for i, a := range n.last.Arms {
		if i > 0 {
			n.verdictFell(a.Name)
			n.failuresRose(a.Name)
		}
		n.newCauses(a.Name)
	}
	n.expectationsBroken()
	n.shifted()
	n.excuse(known)
	return n.Judgement
}

// night is a scenario tonight.
type night struct {
	Judgement
	tonight []result.RunSummary // its attempts
	last    result.RunSummary   // the last of them
	before  []result.RunSummary // oldest first
	doubted []result.Finding    // expectations that do not hold, which nothing shows to be new
	chance  []result.Finding    // what may be chance, and no further attempt can settle
}

// alike are the runs that tonight is set against.
func alike(before, tonight []result.RunSummary) (runs []result.RunSummary) {
	own := map[string]bool{}
	for _, r := range tonight {
		own[r.ID] = true
	}
	for _, r := range store.Completed(before) {
		if r.Key == tonight[0].Key && !own[r.ID] {
			runs = append(runs, r)
		}
	}
	return runs
}

// A mark is what a run is with regard to one question.
type mark int

const (
	untold mark = iota // left out: the run does not answer it
	good
	bad
)

// marksOf marks runs, and leaves out those that do not answer.
func marksOf(runs []result.RunSummary, of func(result.RunSummary) mark) (told []result.RunSummary, marks []mark) {
	for _, r := range runs {
		if m := of(r); m != untold {
			told, marks = append(told, r), append(marks, m)
		}
	}
	return told, marks
}

// streakOf finds the bad runs that end with tonight's attempts. There is none
// where one of these is good, or all are untold.
func (n *night) streakOf(of func(result.RunSummary) mark) (s streak, ok bool) {
	attempts, now := marksOf(n.tonight, of)
	if slices.Contains(now, good) {
		return s, false
	}
	past, marks := marksOf(n.before, of)
	start := len(past)
	for start > 0 && marks[start-1] == bad {
		start--
	}
	s = streak{attempts: attempts, runs: slices.Concat(past[start:], attempts), earlier: past[:start]}
	for _, m := range marks[:start] {
		if m == bad {
			s.bad++
		}
	}
	return s, len(attempts) > 0
}

// A streak is bad runs in a row, the last of which are tonight's.
type streak struct {
	attempts []result.RunSummary // of tonight
	runs     []result.RunSummary // all of them, attempts included
	earlier  []result.RunSummary // before them, oldest first; the last one was good
	bad      int                 // of the earlier ones
}

// p is that of the streak after some more bad attempts; see the package comment.
func (s streak) p(more int) float64 {
	k := len(s.runs) + more
	all, bad := float64(len(s.earlier)+k), float64(s.bad+k)
	p := 1.0
	for i := range k {
		p *= (bad - float64(i)) / (all - float64(i))
	}
	return p
}

// never reports whether no run before the streak was bad, and that there is one.
func (s streak) never() bool { return s.bad == 0 && len(s.earlier) > 0 }

// raise makes a finding of a streak, asks for another attempt, or leaves it at a
// doubt. What is certain needs no small p. It reports whether there is a finding.
func (n *night) raise(f result.Finding, s streak, certain bool) bool {
	k := len(s.attempts)
	proven := func(more int) bool { return certain || s.p(more) < result.Alpha }
	switch {
	case len(s.earlier) == 0: // it has never been otherwise
	case proven(0) && k >= leastAttempts:
		n.Findings = append(n.Findings, f)
		return true
	case k < mostAttempts && proven(mostAttempts-k):
		n.again(f.Text)
	default:
		n.chance = append(n.chance, f)
	}
	return false
}

// again asks for another attempt; the first reason is enough.
func (n *night) again(reason string) {
	if n.Again == "" {
		n.Again = reason
	}
}
