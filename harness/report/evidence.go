package report

import (
	"fmt"
	"slices"
	"strconv"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// evidence is what --explain found out about an arm, summed over its trials.
type evidence struct {
	arm string
	result.Evidence
	trials bool // there is a trial that was looked into
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
	return fmt.Sprintf("%s: of %s without an answer %s no conntrack entry: dropped when it was to be inserted; "+
		"%s one in SYN_SENT: passed NAT, lost later; %s one in another state%s",
		e.arm, format.Plural(e.Looked, "request", "requests"), format.Plural(e.Dropped, "has", "have"),
		format.Plural(e.Passed, "has", "have"), format.Plural(e.Other, "has", "have"), e.goneClause())
}

// goneClause tells of requests that have no entry, and no failed insertion either.
func (e evidence) goneClause() string {
	if e.Gone == 0 {
		return ""
	}
	return fmt.Sprintf("; %s none, and no failed insertion accounts for it", format.Plural(e.Gone, "has", "have"))
}

// firstSamples are as many of an arm's as there is room for. Those that have an entry
// come first: they are few, and what is to be looked into.
func (e evidence) firstSamples(room int) []result.Sample {
	sorted := slices.SortedStableFunc(slices.Values(e.Sample), func(a, b result.Sample) int {
		return sampleRank(a) - sampleRank(b)
	})
	return sorted[:min(len(sorted), room)]
}

// The client of a sample counts from 0, as in its name.
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
