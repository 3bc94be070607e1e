package regression

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"snatlab/harness/history/historytest"
	"snatlab/harness/result"
)

// An armDraw sets the figures of the mitigated arm of a run by chance.
type armDraw func(*rand.Rand, *result.ArmSummary)

// drawReduced draws an arm that is bad in that share of the runs.
func drawReduced(share float64) armDraw {
	return func(r *rand.Rand, a *result.ArmSummary) {
		if r.Float64() < share {
			a.Verdict = result.Reduced
		}
	}
}

// drawFailures draws an arm with that median of failed requests in a run, and a
// lognormal scatter.
func drawFailures(median, scatter float64) armDraw {
	return func(r *rand.Rand, a *result.ArmSummary) { a.Failed = int(median * math.Exp(scatter*r.NormFloat64())) }
}

// drawAround draws an arm with about that many failed requests, a third more or less.
func drawAround(about float64) armDraw {
	return func(r *rand.Rand, a *result.ArmSummary) { a.Failed = int(about * (1 + (2*r.Float64()-1)/3)) }
}

// simulation is the runs of one machine, one after the other.
type simulation struct {
	*rand.Rand
	runs []result.RunSummary
}

func (m *simulation) drawRun(of armDraw) result.RunSummary {
	day := len(m.runs)
	r := result.RunSummary{ID: strconv.FormatUint(m.Uint64(), 16), Started: historytest.FirstDay.AddDate(0, 0, day), Arms: []result.ArmSummary{
		{Name: "masquerade", Requests: 48000}, {Name: "random-fully", Requests: 48000, Verdict: result.Mitigated}}}
	of(m.Rand, &r.Arms[1])
	return r
}

func (m *simulation) addNights(n int, of armDraw) {
	for range n {
		m.runs = append(m.runs, m.drawRun(of))
	}
}

// evaluateNight makes as many attempts as the evaluation requires, keeps them, and
// returns the number of findings.
func (m *simulation) evaluateNight(of armDraw, ask func(*night, subject)) int {
	n := night{before: m.runs}
	for attempt := 0; attempt == 0 || attempt < mostAttempts && n.Again != ""; attempt++ {
		n.Evaluation = Evaluation{}
		n.tonight = append(n.tonight, m.drawRun(of))
		ask(&n, subject{arm: "random-fully"})
	}
	m.runs = append(m.runs, n.tonight...)
	return len(n.Findings)
}

// If all nights are alike, and an arm is bad now and then by chance, alarms are as rare
// as the package comment promises.
func TestFalseAlarms(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		of      armDraw
		ask     func(*night, subject)
		allowed float64
	}{
		"never reduced":            {drawReduced(0), (*night).askVerdict, 0},
		"reduced in 5 %":           {drawReduced(0.05), (*night).askVerdict, 0.002},
		"reduced in 20 %":          {drawReduced(0.2), (*night).askVerdict, 0.01},
		"reduced in 50 %":          {drawReduced(0.5), (*night).askVerdict, 0.01},
		"0 failures or few":        {drawFailures(1, 1), (*night).askFailures, 0.002},
		"about 20 failures":        {drawFailures(20, 0.5), (*night).askFailures, 0.01},
		"about 60, little scatter": {drawFailures(60, 0.3), (*night).askFailures, 0.01},
		"about 60, some scatter":   {drawFailures(60, 0.7), (*night).askFailures, 0.01},
		"about 60, much scatter":   {drawFailures(60, 1.5), (*night).askFailures, 0.01},
	} {
		alarms, nights, source := 0, 0, rand.New(rand.NewPCG(1, 2))
		for range 100 {
			m := simulation{Rand: source}
			m.addNights(20, c.of)
			for range 40 {
				alarms += m.evaluateNight(c.of, c.ask)
				nights++
			}
		}
		got := float64(alarms) / float64(nights)
		t.Logf("%s: an alarm in %v of nights", name, got)
		if got > c.allowed {
			t.Errorf("%s: more than %v", name, c.allowed)
		}
	}
}

// A lasting rise is reported every night for as long as a quarter of the runs is
// good.
func TestLastingRise(t *testing.T) {
	t.Parallel()
	source := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		m := simulation{Rand: source}
		m.addNights(20, drawAround(0))
		for n := 1; 4*20 >= len(m.runs)+mostAttempts; n++ {
			if m.evaluateNight(drawAround(60), (*night).askFailures) != 1 {
				t.Fatalf("night %d: not reported, after %d runs", n, len(m.runs))
			}
		}
		if len(m.runs) < 70 {
			t.Fatalf("reported in %d runs only", len(m.runs))
		}
	}
}

// A rise is reported of an arm that always fails a little.
func TestRiseOfFailingArm(t *testing.T) {
	t.Parallel()
	m := simulation{Rand: rand.New(rand.NewPCG(5, 6))}
	m.addNights(20, drawAround(60))
	if m.evaluateNight(drawAround(200), (*night).askFailures) != 1 {
		t.Error("200 of 48,000 after 60 is no rise")
	}
	if m.evaluateNight(drawAround(60), (*night).askFailures) != 0 {
		t.Error("as many as before is a rise")
	}
}
