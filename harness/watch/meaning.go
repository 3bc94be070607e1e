package watch

import (
	"slices"

	"snatlab/harness/result/watched"
)

// Thresholds of figures that are mentioned before connections are lost.
const (
	nearlyFull = 0.9  // of the table
	mostPorts  = 0.8  // of a destination's source ports
	manyTaken  = 1000 // ports a second that were taken
	allPorts   = 0.97 // of a destination's source ports: a search no longer finds a free one
)

// Explain returns what the counters of w mean, losses first. Counters that only wasted
// time are mentioned as well; search_restart and insert mean nothing.
func Explain(w *watched.State) []watched.Meaning {
	of := func(name string) uint64 { return movedOf(w, name) }
	all := explainFailedInserts(w)
	if n, failed := of("drop"), insertionDrops(w); n > failed {
		all = append(all, watched.Meaning{Code: watched.MeansOtherDrops, Count: n - failed})
	}
	if n := of("early_drop"); n > 0 {
		all = append(all, watched.Meaning{Code: watched.MeansEvicted, Count: n})
	}
	if isNearlyFull(w) {
		all = append(all, watched.Meaning{Code: watched.MeansNearlyFull})
	}
	for _, d := range busyDestinations(w) {
		all = append(all, watched.Meaning{Code: watched.MeansFewPorts, Destination: &d})
	}
	if len(all) == 0 {
		all = append(all, watched.Meaning{Code: watched.MeansNothingLost})
	}
	if w.Seconds > 0 && w.Counters["found"].PerSecond >= manyTaken {
		all = append(all, watched.Meaning{Code: watched.MeansPortsTaken, Count: of("found")})
	}
	if n := of("clash_resolve"); n > 0 {
		all = append(all, watched.Meaning{Code: watched.MeansClashResolved, Count: n})
	}
	if n := of("invalid"); n > 0 {
		all = append(all, watched.Meaning{Code: watched.MeansInvalid, Count: n})
	}
	return all
}

// movedOf returns how far a counter moved in the window, or its total if there is one
// reading only.
func movedOf(w *watched.State, name string) uint64 {
	if w.Seconds == 0 && w.Readings == 0 {
		return w.Counters[name].Total
	}
	return w.Counters[name].Recent
}

// insertionDrops returns how many packets were dropped at insertion without a chain that
// was too long: such a chain counts in insert_failed, and not in drop.
func insertionDrops(w *watched.State) uint64 {
	failed, long := movedOf(w, "insert_failed"), movedOf(w, "chaintoolong")
	return failed - min(failed, long)
}

func explainFailedInserts(w *watched.State) (all []watched.Meaning) {
	if n := insertionDrops(w); n > 0 {
		m := watched.Meaning{Code: watched.MeansRace, Count: n}
		_, splits := w.Counters["clash_resolve"]
		m.Unsplit = !splits
		m.Advice, m.Rule = advise(w.Rules)
		if busy := busyDestinations(w); len(busy) > 0 && portShare(busy[0]) >= allPorts {
			m.Destination = &busy[0]
		}
		all = append(all, m)
	}
	if n := movedOf(w, "chaintoolong"); n > 0 {
		all = append(all, watched.Meaning{Code: watched.MeansChainTooLong, Count: n})
	}
	return all
}

// advise returns what to do against the race, and the rule that it is about: the busiest
// one that does not draw ports at random.
func advise(rules *watched.Rules) (watched.Advice, *watched.Rule) {
	switch {
	case rules == nil:
		return watched.AdviceAnyRandom, nil
	case len(rules.Rules) == 0 && len(rules.Unread) > 0:
		return watched.AdviceAnyRandom, nil
	case len(rules.Rules) == 0:
		return watched.AdviceNoRule, nil
	}
	plain := slices.DeleteFunc(slices.Clone(rules.Rules), func(r watched.Rule) bool { return r.Random })
	if len(plain) == 0 {
		return watched.AdviceIsRandom, nil
	}
	busiest := plain[0]
	for _, r := range plain[1:] {
		if isBusier(r, busiest) {
			busiest = r
		}
	}
	return watched.AdviceRandom, &busiest
}

func isBusier(a, b watched.Rule) bool {
	rate := func(r watched.Rule) float64 {
		if r.PerSecond == nil {
			return 0
		}
		return *r.PerSecond
	}
	packets := func(r watched.Rule) uint64 {
		if r.Packets == nil {
			return 0
		}
		return *r.Packets
	}
	return rate(a) > rate(b) || rate(a) == rate(b) && packets(a) > packets(b)
}

// isNearlyFull reports whether the table is nearly full. A limit of 0 is no limit.
func isNearlyFull(w *watched.State) bool {
	return w.Entries != nil && w.Max != nil && *w.Max > 0 && float64(*w.Entries) >= nearlyFull*float64(*w.Max)
}

// busyDestinations returns the destinations that have used most source ports by
// translation, the busiest first.
func busyDestinations(w *watched.State) (busy []watched.Destination) {
	if w.Destinations == nil {
		return nil
	}
	for _, d := range w.Destinations.Top {
		if d.Translated > 0 && portShare(d) >= mostPorts {
			busy = append(busy, d)
		}
	}
	return busy
}

func portShare(d watched.Destination) float64 {
	return float64(d.Entries) / watched.NATPorts
}
