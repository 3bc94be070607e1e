package history

import (
	"slices"

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
func Judge(attempts []*result.Result, before []Run, known []Known) Judgement {
	n := night{}
	for _, r := range attempts {
		n.tonight = append(n.tonight, Summarise(r))
	}
	n.tonight = whole(n.tonight)
	if len(n.tonight) == 0 {
		return n.Judgement
	}
	n.last = n.tonight[len(n.tonight)-1]
	n.tonight = slices.DeleteFunc(n.tonight, func(r Run) bool { return r.Key != n.last.Key })
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
	tonight []Run            // its attempts
	last    Run              // the last of them
	before  []Run            // oldest first
	doubted []result.Finding // expectations that do not hold, which nothing shows to be new
	chance  []result.Finding // what may be chance, and no further attempt can settle
}

// alike are the runs that tonight is set against.
func alike(before, tonight []Run) (runs []Run) {
	own := map[string]bool{}
	for _, r := range tonight {
		own[r.ID] = true
	}
	for _, r := range whole(before) {
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
func marksOf(runs []Run, of func(Run) mark) (told []Run, marks []mark) {
	for _, r := range runs {
		if m := of(r); m != untold {
			told, marks = append(told, r), append(marks, m)
		}
	}
	return told, marks
}

// streakOf finds the bad runs that end with tonight's attempts. There is none
// where one of these is good, or all are untold.
func (n *night) streakOf(of func(Run) mark) (s streak, ok bool) {
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
	attempts []Run // of tonight
	runs     []Run // all of them, attempts included
	earlier  []Run // before them, oldest first; the last one was good
	bad      int   // of the earlier ones
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
