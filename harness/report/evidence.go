package report

import (
	"fmt"
	"slices"
	"strconv"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// evidence is the evidence of --explain for an arm, summed over its trials.
type evidence struct {
	arm string
	result.Evidence
	trials bool // at least one trial has evidence
}

func sumEvidence(arms []result.Arm) []evidence {
	var all []evidence
	for _, a := range arms {
		sum := evidence{arm: a.Name}
		for _, t := range a.Trials {
			if e := t.Evidence; e != nil {
				sum.trials = true
				sum.Looked += e.Looked
				sum.Dropped += e.Dropped
				sum.Passed += e.Passed
				sum.Other += e.Other
				sum.Gone += e.Gone
				sum.Sample = append(sum.Sample, e.Sample...)
			}
		}
		if sum.trials {
			all = append(all, sum)
		}
	}
	return all
}

func (e evidence) String() string {
	if e.Looked == 0 {
		return e.arm + ": no request was left without an answer"
	}
	return fmt.Sprintf("%s: of %s without an answer %s no conntrack entry: dropped at insertion; "+
		"%s one in SYN_SENT: passed NAT, lost later; %s one in another state%s",
		e.arm, format.Plural(e.Looked, "request", "requests"), format.Plural(e.Dropped, "has", "have"),
		format.Plural(e.Passed, "has", "have"), format.Plural(e.Other, "has", "have"), e.goneClause())
}

// goneClause counts the requests that have neither an entry nor a failed insertion.
func (e evidence) goneClause() string {
	if e.Gone == 0 {
		return ""
	}
	return fmt.Sprintf("; %s none, and no failed insertion accounts for it", format.Plural(e.Gone, "has", "have"))
}

// firstSamples returns at most room samples. Those with an entry come first: they are
// few, and they are the ones to investigate.
func (e evidence) firstSamples(room int) []result.Sample {
	sorted := slices.SortedStableFunc(slices.Values(e.Sample), func(a, b result.Sample) int {
		return sampleRank(a) - sampleRank(b)
	})
	return sorted[:min(len(sorted), room)]
}

// sampleCells returns the row of a sample. Clients are numbered from 0, as in their
// names.
func (e evidence) sampleCells(s result.Sample) []string {
	return []string{e.arm, strconv.Itoa(s.Client), strconv.Itoa(s.Port), entryState(s)}
}

func sampleRank(s result.Sample) int {
	if s.Entry == result.EntryNone {
		return 1
	}
	return 0
}

func entryState(s result.Sample) string {
	if s.Entry == result.EntryNone {
		return "no entry"
	}
	return s.Entry
}

func (e evidence) sumCells() []string {
	return []string{e.arm, format.Thousands(e.Looked), format.Thousands(e.Dropped), format.Thousands(e.Passed), format.Thousands(e.Other)}
}
