package lockstep

import (
	"math/bits"
	"slices"

	"snatlab/harness/probe"
)

// Clients that start together do not arrive together: a CPU that runs slower brings its
// packet to NAT microseconds later, and the race is possible for a microsecond or two.
// So each client waits for a delay between the barrier and connect(), and the phase
// lock moves the delays after each turn, by what the slots of the control showed. Of
// clients that collide, the one that arrives last loses its packet.
//
// There are no constants of time here. All lengths are shares of the time that
// connect() takes on this machine, which grows with the time from connect() to NAT:
// about 8 µs on a server, and a millisecond in an emulated guest.
const (
	widestSearch  = 4       // half the range of a search, at most
	firstSearch   = 1. / 2  // half the range of the first search
	largestStep   = 1. / 8  // of a delay, after a turn
	firstStep     = 1. / 64 // after a search
	smallestStep  = 1. / 1024
	densestWindow = 1. / 4 // width of the window in which hits of a search are expected
)

// View is what the members of a turn know of each other when it has ended.
type View struct {
	Low, Span int64  // delays: see Aim; a span of 1 is no search
	Fired     uint64 // bit i: the i-th slot of the control was fired in
	Lost      uint64 // bit i: and this member's connection got no answer
}

// Aim is the delays of a client in a turn: low, or between low and low + span while it
// searches for the phase, in ns.
type Aim struct{ Low, Span int64 }

// DelayOf returns the delay of a client for the i-th pair of slots in a turn. Its
// partners compute the same.
func (a Aim) DelayOf(seed uint64, client, i int) int64 {
	if a.Span == 0 {
		return a.Low
	}
	return a.Low + int64(DrawNumber(seed, uint64(client), uint64(i))%uint64(a.Span))
}

// DrawNumber returns a number that looks random, the same for the same arguments
// (splitmix64).
func DrawNumber(seed, client, i uint64) uint64 {
	x := seed*0x9e3779b97f4a7c15 + client*0xbf58476d1ce4e5b9 + i*0x94d049bb133111eb
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// PhaseLock is the lock of one client in a trial.
type PhaseLock struct {
	client int
	places []placeLock // by the client's place in a turn, which is that of its CPU
	Unit   float64     // ns that connect() takes; 0: not known yet
	Phase  probe.Phase
	values [TurnLength]int64 // of estimatePhase
}

// placeLock is the lock of a client on one CPU.
type placeLock struct {
	delay  float64 // ns
	known  bool    // the phase is known; else the next turn searches for it
	step   float64 // share of the unit
	side   float64 // the sign of the last step
	best   float64 // share of slots that were hit, at best
	missed int     // turns in a row in which few slots were hit
	spared int     // turns in a row in which others lost, and this member did not
	search float64 // half the range of the next search, in units
}

// NewPhaseLock returns the lock of a client. Delays are those of the trial before, by
// place; without them, the lock searches.
func NewPhaseLock(client, places int, delays []int64) *PhaseLock {
	l := &PhaseLock{client: client, places: make([]placeLock, places)}
	l.Phase.Delays = make([]int64, places)
	for i := range l.places {
		l.places[i] = placeLock{step: firstStep, search: firstSearch, known: i == 0 && places > 2}
		if i < len(delays) {
			l.places[i] = placeLock{delay: float64(delays[i]), known: true, step: smallestStep, search: firstSearch}
		}
	}
	return l
}

// Hold keeps the delays as they are: the clients cannot see each other's losses.
func (l *PhaseLock) Hold() {
	for i := range l.places {
		l.places[i].known = true
	}
}

// AimAt returns the delays of the next turn, of so many members, at a place. Before the
// first turn the unit is not known: all fire without a delay.
//
// Of two members that do not know the phase, both search. Of more, only the first to
// arrive takes the port, so one of them searches at a time, and others that do not know
// the phase stay out of the way: they arrive late.
func (l *PhaseLock) AimAt(place, members int, seed uint64) Aim {
	p := &l.places[place]
	if p.known || l.Unit == 0 {
		return Aim{Low: int64(p.delay)}
	}
	if members > 2 && int(seed%uint64(members)) != place {
		return Aim{Low: int64(p.delay + 2*widestSearch*l.Unit), Span: 1}
	}
	l.Phase.Searches++
	half := p.search * l.Unit
	return Aim{Low: int64(max(0, p.delay-half)), Span: int64(2*half) + 1}
}

// SetUnit sets the time that connect() took in the turn that has ended. Durations are
// sorted.
func (l *PhaseLock) SetUnit(durations []int64) {
	if len(durations) == 0 {
		return
	}
	slices.Sort(durations)
	l.Unit = float64(max(1, durations[len(durations)/2]))
}

// Learn moves the delay at a place by what the members of a turn saw. Members and views
// are in the order of the places.
func (l *PhaseLock) Learn(place int, seed uint64, members []int, views []View) {
	fired, hits := ^uint64(0), uint64(0)
	for _, v := range views {
		fired &= v.Fired
		hits |= v.Lost
	}
	hits &= fired
	l.Phase.Turns++
	if hits != 0 {
		l.Phase.Locked++
	}
	if fired != 0 && len(members) > 1 {
		p := &l.places[place]
		switch {
		case views[place].Span > 1:
			l.endSearch(p, place, seed, members, views, hits)
		case !slices.ContainsFunc(views, func(v View) bool { return v.Span > 1 }):
			l.track(p, place, views, fired, hits)
		}
		p.delay = min(max(0, p.delay), float64(probe.MaxDelay))
	}
	l.record(place)
}

// record notes the delay at a place for the report.
func (l *PhaseLock) record(place int) {
	delay := int64(l.places[place].delay)
	if l.Phase.Turns == 1 {
		l.Phase.DelayLow, l.Phase.DelayHigh = delay, delay
	}
	l.Phase.DelayLow, l.Phase.DelayHigh = min(l.Phase.DelayLow, delay), max(l.Phase.DelayHigh, delay)
	l.Phase.Delays[place] = delay
}

// endSearch sets the delay to where the race was hit. Without a hit, the next search is
// wider.
func (l *PhaseLock) endSearch(p *placeLock, place int, seed uint64, members []int, views []View, hits uint64) {
	estimate := l.estimateOfMany
	if len(members) == 2 {
		estimate = l.estimateOfTwo
	}
	delay, found := estimate(place, seed, members, views, hits)
	if !found {
		if p.search *= 2; p.search > widestSearch {
			p.search = firstSearch
		}
		return
	}
	p.delay, p.known, p.step, p.side, p.best, p.search = delay, true, firstStep, 0, 0, firstSearch
}

// track moves the delay a step: a member that lost more than its share came too late.
func (l *PhaseLock) track(p *placeLock, place int, views []View, fired, hits uint64) {
	slots, hit := float64(bits.OnesCount64(fired)), float64(bits.OnesCount64(hits))
	share := hit / slots
	p.best = max(share, p.best*0.95)
	if hit == 0 || share < p.best/4 {
		// One bad turn may be an accident, such as a client that lost its CPU.
		if p.missed++; p.missed > 1 || p.best == 0 {
			l.loseLock(p, place, len(views))
		}
		return
	}
	p.missed = 0
	p.known = true // in the first turn it may not have been
	own, all := 0., 0.
	for i, v := range views {
		n := float64(bits.OnesCount64(v.Lost & fired))
		all += n
		if i == place {
			own = n
		}
	}
	late := (own - all/float64(len(views))) / all * 2 // -1 to 1 for two members
	late *= min(1, all/8)                             // few losses show little
	if late*p.side < 0 {
		p.step = max(p.step/2, smallestStep)
	} else if late*p.side > 0 {
		p.step = min(p.step*1.5, largestStep)
	}
	p.side = late
	// Of three members and more, one that never loses may be too early or too late.
	if p.spared++; own > 0 || len(views) == 2 {
		p.spared = 0
	} else if p.spared > 2 {
		p.spared, p.known = 0, false
		return
	}
	step := late * p.step * l.Unit
	if len(views) > 2 || step > 0 || views[0].Low > 0 && views[1].Low > 0 {
		step /= 2 // the others move the other half, unless their delay is 0 already
	}
	p.delay -= step
}

// loseLock begins a search in the next turn.
func (l *PhaseLock) loseLock(p *placeLock, place, members int) {
	p.known, p.missed = false, 0
	if members > 2 && place == 0 {
		// Of many, this one stays, late enough that the others can find it.
		p.known, p.delay = true, max(p.delay, widestSearch/2*l.Unit)
	}
}

// estimateOfTwo returns the delay at which a member meets its partner, by the difference
// of their delays in slots that were hit. Only the difference matters: a partner that
// does not search keeps its delay, or the smaller of the two becomes 0.
func (l *PhaseLock) estimateOfTwo(place int, seed uint64, members []int, views []View, hits uint64) (delay float64, found bool) {
	mine, other := views[place].aim(), views[1-place].aim()
	n := 0
	for left := hits; left != 0; left &= left - 1 {
		i := bits.TrailingZeros64(left)
		l.values[n] = mine.DelayOf(seed, members[place], i) - other.DelayOf(seed, members[1-place], i)
		n++
	}
	ahead, dense := densestMean(l.values[:n], int64(densestWindow*l.Unit))
	found = isDense(dense, n)
	if other.Span == 0 {
		return float64(other.Low) + ahead, found
	}
	return max(0, ahead), found
}

// isDense reports whether hits of a search show the phase. On a busy machine clients
// meet by accident at any delay, so hits that are scattered show nothing.
func isDense(dense, hits int) bool { return dense > 1 && 3*dense >= hits }

// estimateOfMany returns the delay at which a member that searches alone arrives just
// after the first of the others: the slots that it lost.
func (l *PhaseLock) estimateOfMany(place int, seed uint64, members []int, views []View, hits uint64) (delay float64, found bool) {
	n := 0
	for left := hits & views[place].Lost; left != 0; left &= left - 1 {
		l.values[n] = views[place].aim().DelayOf(seed, members[place], bits.TrailingZeros64(left))
		n++
	}
	mean, dense := densestMean(l.values[:n], int64(densestWindow*l.Unit))
	return mean, isDense(dense, n)
}

func (v View) aim() Aim { return Aim{v.Low, v.Span} }

// densestMean sorts the values and returns the mean of those in the window of a width
// that holds most of them, and their number.
func densestMean(values []int64, width int64) (mean float64, n int) {
	slices.Sort(values)
	from, to := 0, 0
	for i, j := 0, 0; i < len(values); i++ {
		for j < len(values) && values[j]-values[i] <= width {
			j++
		}
		if j-i > to-from {
			from, to = i, j
		}
	}
	sum := int64(0)
	for _, v := range values[from:to] {
		sum += v
	}
	return float64(sum) / float64(max(1, to-from)), to - from
}
