package watch

import (
	"slices"
	"time"

	"snatlab/harness/conntrack"
	"snatlab/harness/result/watched"
)

// window is how long counters are added up for "the last minute".
const window = time.Minute

// counts are counters by their names.
type counts map[string]uint64

// Tracker turns readings of counters into rates. The zero value has no reading.
type Tracker struct {
	started  time.Time // of the first reading
	last     conntrack.Reading
	at       time.Time // of the last reading
	moved    counts    // of all CPUs, since the first reading
	rates    counts    // between the last two readings: by how much, and for each CPU
	cpuRates []counts
	elapsed  time.Duration // between the last two readings
	history  []point       // oldest first; the first one is as old as the window, or older
	restarts int
}

// point is how far the counters had moved at an instant.
type point struct {
	at    time.Time
	moved counts
}

// Add adds a reading. If a counter went back, the reading is of another namespace, and
// counting begins again with it.
func (t *Tracker) Add(r conntrack.Reading, at time.Time) {
	switch {
	case t.started.IsZero():
		t.restart(r, at)
		return
	case !continues(t.last, r):
		t.restart(r, at)
		t.restarts++
		return
	}
	t.rates, t.cpuRates, t.elapsed = counts{}, nil, at.Sub(t.at)
	moved := counts{}
	for i, c := range r.CPUs {
		cpu := counts{}
		for name, v := range c.Values {
			n := uint64(v - t.last.CPUs[i].Values[name]) // 32 bits: right across a wrap
			cpu[name] = n
			t.rates[name] += n
		}
		t.cpuRates = append(t.cpuRates, cpu)
	}
	for name, n := range t.rates {
		moved[name] = t.moved[name] + n
	}
	t.last, t.at, t.moved = r, at, moved
	t.history = append(t.history, point{at, moved})
	t.forgetOld()
}

func (t *Tracker) restart(r conntrack.Reading, at time.Time) {
	restarts := t.restarts
	*t = Tracker{started: at, last: r, at: at, moved: counts{}, history: []point{{at, counts{}}}, restarts: restarts}
}

// forgetOld forgets all points older than the window but the youngest of them.
func (t *Tracker) forgetOld() {
	keep := 0
	for keep+1 < len(t.history) && t.at.Sub(t.history[keep+1].at) >= window {
		keep++
	}
	t.history = slices.Delete(t.history, 0, keep)
}

// largestStep is the most that a counter is taken to move between two readings. A 32-bit
// counter that is lower than before has wrapped if it moved by less; otherwise it went
// back.
const largestStep = 1 << 30

// continues reports whether a reading can be a later one of the same counters.
func continues(before, after conntrack.Reading) bool {
	if len(before.CPUs) != len(after.CPUs) {
		return false
	}
	for i, a := range after.CPUs {
		b := before.CPUs[i]
		if a.CPU != b.CPU {
			return false
		}
		for name, v := range a.Values {
			old, known := b.Values[name]
			if !known || v < old && v-old > largestStep {
				return false
			}
		}
	}
	return true
}

// fill writes the counters and their rates to w.
func (t *Tracker) fill(w *watched.State) {
	w.Time, w.Seconds, w.Restarts, w.Entries = t.at, t.at.Sub(t.started).Seconds(), t.restarts, t.last.Entries
	first := t.history[0]
	w.Window = t.at.Sub(first.at).Seconds()
	w.Counters, w.CPUs = map[string]watched.Counter{}, []watched.CPU{}
	for i, c := range t.last.CPUs {
		cpu := watched.CPU{CPU: c.CPU, Counters: map[string]watched.Counter{}}
		for name, v := range c.Values {
			of := watched.Counter{Total: uint64(v)}
			if t.cpuRates != nil {
				of.PerSecond = t.perSecond(t.cpuRates[i][name])
			}
			cpu.Counters[name] = of
			sum := w.Counters[name]
			sum.Total += of.Total
			w.Counters[name] = sum
		}
		w.CPUs = append(w.CPUs, cpu)
	}
	for name, c := range w.Counters {
		c.PerSecond = t.perSecond(t.rates[name])
		c.Recent = t.moved[name] - first.moved[name]
		w.Counters[name] = c
	}
}

func (t *Tracker) perSecond(n uint64) float64 {
	if t.elapsed <= 0 {
		return 0
	}
	return float64(n) / t.elapsed.Seconds()
}
