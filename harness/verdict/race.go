package verdict

import (
	"sort"

	"snatlab/harness/result"
	"snatlab/harness/stats"
)

// chanceMeeting is the chance that two ports that are drawn are equal: one of 64,512, the
// ports from 1024 on (net/netfilter/nf_nat_core.c).
const chanceMeeting = 1.0 / 64512

// showsRace reports whether so many requests were lost to the race that ports which are
// drawn do not explain them. It is the claim that the race is reproduced, where there is
// nothing to compare with.
func showsRace(n result.Totals) bool {
	return isPossible(n.Race, n.Requests) && float64(n.Race) > chanceMeeting*float64(n.Requests) &&
		stats.BinomialTest(n.Race, n.Requests, chanceMeeting) < result.Alpha
}

// checkRace returns whether a claim about the race in an arm holds.
//
// The share of the race that remains decides, against the arm's control, or against the
// arm that loses most: the race is reproduced where more than 1 % remains, and absent up
// to it. A rule that draws ports leaves one in 64,512 of the losses, so 0 would be too
// much to ask. Where there is nothing to compare with, and for a baseline that is plain
// masquerade as its control is, the race is reproduced if more was lost than
// ports that are drawn would. Then it is never refuted: the race may still be hit.
func checkRace(r *result.Result, arm int, claim string) claimOutcome {
	share, p, against := raceShare(r, arm)
	if claim == result.Reproduced && arm == 0 && isPlain(r.Arms[0]) {
		share = nil
	}
	var o claimOutcome
	switch {
	case share == nil:
		o = outcomeOfHits(r.Arms[arm].SumTotals())
	case against == "" && isInstrumentBroken(r.Instrument):
		o = undecidedFor(result.WhyInstrument)
	default:
		o = outcomeOfShare(share)
		if against != "" && o.held != nil && !*o.held && *p >= result.Alpha { // few trials show no absence, whatever they lost
			o = claimOutcome{why: result.WhyFewTrials, least: MinRounds(1)}
		}
		o.race, o.against = share, against
	}
	if claim == result.Absent && o.held != nil {
		o.held = new(!*o.held)
	}
	return o
}

// raceShare returns the share of the race that remains in an arm with its p, and the name
// of the arm that it is compared with; empty for its own control. It returns nil where
// nothing is there to compare with.
func raceShare(r *result.Result, arm int) (share *result.Remaining, p *float64, against string) {
	a := r.Arms[arm]
	if hasOwnControl(a, r.Arms[0]) {
		share, p = shareByControl(a, races, dividing(r.Instrument))
		return share, p, ""
	}
	most := a
	for _, other := range r.Arms {
		if other.SumTotals().RaceRate() > most.SumTotals().RaceRate() {
			most = other
		}
	}
	if most.Name == a.Name {
		return nil, nil, ""
	}
	share, p = shareByTrials(a, most, races)
	return share, p, most.Name
}

// outcomeOfShare returns whether the race is reproduced by the share that remains.
func outcomeOfShare(share *result.Remaining) claimOutcome {
	if share.Failed+share.ControlFailed == 0 {
		return undecidedFor(result.WhyNoRace)
	}
	absent := outcomeOfBound(share, result.MitigatedUpTo)
	if absent.held != nil {
		return decidedAs(!*absent.held)
	}
	return absent
}

// outcomeOfHits returns whether the race is reproduced by what was lost alone.
func outcomeOfHits(n result.Totals) claimOutcome {
	switch {
	case showsRace(n):
		return decidedAs(true)
	case n.Race == 0 || !isPossible(n.Race, n.Requests):
		return undecidedFor(result.WhyNoRace)
	}
	more := sort.Search(n.Requests-n.Race, func(more int) bool {
		return showsRace(result.Totals{Requests: n.Requests, Race: n.Race + more})
	})
	return claimOutcome{why: result.WhyFewHits, least: n.Race + more}
}

// outcomeOfBound returns whether at most the given share of the failures remains: the whole
// interval has to lie on one side.
func outcomeOfBound(share *result.Remaining, bound float64) claimOutcome {
	switch {
	case share.DecisiveHigh != nil && isAtMost(*share.DecisiveHigh, bound):
		return decidedAs(true)
	case !isAtMost(share.DecisiveLow, bound):
		return decidedAs(false)
	}
	why, least := missingForBound(share, bound)
	return claimOutcome{why: why, least: least}
}
