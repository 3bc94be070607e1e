package watch

import (
	"testing"
	"time"

	"snatlab/harness/conntrack"
	"snatlab/harness/result/watched"
)

var start = time.Date(2026, 11, 28, 1, 2, 3, 0, time.UTC)

// reading returns counters of drop, one for each CPU.
func reading(drop ...uint32) conntrack.Reading {
	var r conntrack.Reading
	for i, n := range drop {
		r.CPUs = append(r.CPUs, conntrack.CPUReading{CPU: i, Values: map[string]uint32{"drop": n, "found": 5}})
	}
	return r
}

// follow returns what is known after readings that come every ten seconds.
func follow(all ...conntrack.Reading) *watched.State {
	var t Tracker
	w := &watched.State{}
	for i, r := range all {
		t.Add(r, start.Add(time.Duration(i)*10*time.Second))
		t.fill(w) // at each reading, as a watch does
	}
	return w
}

func TestTracker(t *testing.T) {
	t.Parallel()
	const top = 1<<32 - 1
	for name, c := range map[string]struct {
		readings []conntrack.Reading
		want     watched.Counter // of drop, all CPUs
		seconds  float64
		restarts int
	}{
		"the first reading has a total only":    {[]conntrack.Reading{reading(3, 4)}, watched.Counter{Total: 7}, 0, 0},
		"the rate is that of the last interval": {[]conntrack.Reading{reading(0, 0), reading(90, 0), reading(90, 50)}, watched.Counter{Total: 140, PerSecond: 5, Recent: 140}, 20, 0},
		"a counter wraps":                       {[]conntrack.Reading{reading(top-9, 0), reading(10, 0)}, watched.Counter{Total: 10, PerSecond: 2, Recent: 20}, 10, 0},
		"a counter that goes back restarts":     {[]conntrack.Reading{reading(100, 0), reading(200, 0), reading(50, 0)}, watched.Counter{Total: 50}, 0, 1},
		"counting goes on after a restart":      {[]conntrack.Reading{reading(100), reading(50), reading(60)}, watched.Counter{Total: 60, PerSecond: 1, Recent: 10}, 10, 1},
		"another number of CPUs restarts":       {[]conntrack.Reading{reading(100), reading(100, 0)}, watched.Counter{Total: 100}, 0, 1},
		"what is older than a minute is left out": {[]conntrack.Reading{reading(0), reading(1), reading(3), reading(3), reading(3), reading(3), reading(3), reading(3), reading(3)},
			watched.Counter{Total: 3, Recent: 0}, 80, 0},
	} {
		w := follow(c.readings...)
		if got := w.Counters["drop"]; got != c.want || w.Seconds != c.seconds || w.Restarts != c.restarts {
			t.Errorf("%s: got %+v, %v s, %d restarts\nwant %+v, %v s, %d", name, got, w.Seconds, w.Restarts, c.want, c.seconds, c.restarts)
		}
		if w.Counters["found"].Recent != 0 {
			t.Errorf("%s: found moved", name)
		}
	}
}

// The history does not grow.
func TestTrackerForgets(t *testing.T) {
	t.Parallel()
	var tr Tracker
	for i := range 1000 {
		tr.Add(reading(uint32(i)), start.Add(time.Duration(i)*time.Second))
	}
	w := &watched.State{}
	tr.fill(w)
	if len(tr.history) > 62 || w.Window != 60 || w.Counters["drop"].Recent != 60 || w.Seconds != 999 {
		t.Errorf("%d points, %v", len(tr.history), w.Counters["drop"])
	}
}

func TestTrackerPerCPU(t *testing.T) {
	t.Parallel()
	w := follow(reading(0, 100), reading(20, 100))
	for i, want := range []watched.Counter{{Total: 20, PerSecond: 2}, {Total: 100}} {
		if got := w.CPUs[i].Counters["drop"]; got != want || w.CPUs[i].CPU != i {
			t.Errorf("CPU %d: got %+v, want %+v", i, got, want)
		}
	}
}

// A listing that takes long is made less often.
func TestPause(t *testing.T) {
	t.Parallel()
	for took, want := range map[time.Duration]time.Duration{
		0: 2 * time.Second, 10 * time.Millisecond: 2 * time.Second, 300 * time.Millisecond: 19700 * time.Millisecond,
	} {
		if got := pause(took, 2*time.Second); got != want {
			t.Errorf("after %v: %v, want %v", took, got, want)
		}
	}
}
