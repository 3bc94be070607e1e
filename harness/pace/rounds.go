// Package pace decides how a run goes on: the order of its arms, the size of its trials,
// and when it ends.
package pace

import (
	"slices"
	"time"

	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// Rounds decides when a run ends, and how large its trials are. It looks at the control
// alone, never at what an arm lost: a run that ended as soon as an arm looked good
// would find more good arms than there are.
type Rounds struct {
	until       scenario.Until
	least, most int
	done        int
	trials      int // that are finished
	requests    int // of each client, in the trials of this round

	largest int      // requests of each client in the largest trial
	names   []string // of the arms
	waited  []bool   // for each arm: the run waits for the hits of its control
	hits    []int    // of the control of each arm
	gained  []int    // of them, those of the last round

	elapsed time.Duration // since the first round began
	took    time.Duration // the last round
}

// NewRounds returns the rounds of a scenario, whose largest trial has so many requests of
// each client. Where it turned out that there is no control, because too few source ports
// are left for one, the least number of rounds is that of scenarios without.
func NewRounds(s *scenario.Scenario, control bool, largest int) *Rounds {
	r := &Rounds{
		until: s.Until, least: s.Rounds, most: s.MostRounds(), requests: s.Load.Requests, largest: largest,
		waited: make([]bool, len(s.Arms)), hits: make([]int, len(s.Arms)), gained: make([]int, len(s.Arms)),
	}
	for i, a := range s.Arms {
		r.names = append(r.names, a.Name)
		r.waited[i] = !s.HasFixedRounds() && control && s.HasOwnControl(a)
	}
	if s.HasControl() && !control {
		r.least = max(r.least, min(scenario.UncontrolledRounds, r.most))
	}
	return r
}

// Requests returns the requests of each client in the trials of this round.
func (r *Rounds) Requests() int { return r.requests }

// AreOver reports whether the run ends now, at the end of a round. A round that would
// end after the time that the run may take is not begun.
func (r *Rounds) AreOver() bool {
	switch {
	case r.done < r.least:
		return false
	case r.done >= r.most || !r.haveTime(r.took):
		return true
	case r.done >= 2*r.least && r.requests == r.largest && !slices.ContainsFunc(r.hits, isHit):
		return true // there is no race to wait for: one CPU, for instance
	}
	return r.countMissing() == 0
}

func isHit(hits int) bool { return hits > 0 }

// haveTime reports whether a round of such a length ends within the run's time.
func (r *Rounds) haveTime(round time.Duration) bool { return r.elapsed+round <= r.until.TimeMax }

// countMissing returns the number of hits that are missing, of the control that lacks
// most.
func (r *Rounds) countMissing() (missing int) {
	for arm, waited := range r.waited {
		if waited {
			missing = max(missing, r.until.Hits-r.hits[arm])
		}
	}
	return missing
}

// Add counts a trial of an arm.
func (r *Rounds) Add(arm int, t *result.Trial) {
	r.trials++
	r.gained[arm] = 0
	if t.Control != nil {
		r.gained[arm] = t.Control.Failed
	}
	r.hits[arm] += r.gained[arm]
}

// End ends a round, so long after the first one began. If at this rate the hits are not
// complete when the least number of rounds is done, or after it in the next round, the
// trials of the next round are twice as large.
func (r *Rounds) End(elapsed time.Duration) {
	r.took, r.elapsed = elapsed-r.elapsed, elapsed
	r.done++
	larger := min(2*r.requests, r.largest)
	left := max(1, r.least-r.done)
	for arm, waited := range r.waited {
		if waited && r.hits[arm]+left*r.gained[arm] < r.until.Hits && larger > r.requests && r.haveTime(2*r.took) {
			r.requests, r.took = larger, 2*r.took
			return
		}
	}
}

// Progress returns how far the run is at a trial of an arm.
func (r *Rounds) Progress(arm int) result.Progress {
	p := result.Progress{Arm: r.names[arm], Round: r.done + 1, Hits: r.hits[arm], TrialsDone: r.trials, Share: r.share()}
	if r.waited[arm] {
		p.HitsWanted = r.until.Hits
	}
	if r.least == r.most {
		p.Rounds = r.most
		p.Trials = r.most * len(r.names)
	}
	return p
}

// share returns how much of the run is done: of the least number of rounds, and of the
// hits of the control that lacks most; or of the most rounds, if that is more.
func (r *Rounds) share() float64 {
	part := func(done, all int) float64 { return min(1, float64(done)/float64(max(1, all))) }
	least := part(r.trials, r.least*len(r.hits))
	for arm, waited := range r.waited {
		if waited {
			least = min(least, part(r.hits[arm], r.until.Hits))
		}
	}
	return max(least, part(r.trials, r.most*len(r.hits)))
}
