package regression

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"snatlab/harness/history/historytest"
	"snatlab/harness/result"
)

// A draw makes the mitigated arm of a run as chance will have it.
type armDraw func(*rand.Rand, *result.ArmSummary)

// drawReduced is an arm that is bad in that share of the runs.
func drawReduced(share float64) armDraw {
	return func(r *rand.Rand, a *result.ArmSummary) {
		if r.Float64() < share {
			a.Verdict = result.Reduced
		}
	}
}

// drawFailures is an arm of which some requests fail in each run: as many in the
// median, with a lognormal scatter.
func drawFailures(median, scatter float64) armDraw {
	return func(r *rand.Rand, a *result.ArmSummary) { a.Failed = int(median * math.Exp(scatter*r.NormFloat64())) }
}

// drawAround is an arm of which about as many fail, a third more or less.
func drawAround(about float64) armDraw {
	return func(r *rand.Rand, a *result.ArmSummary) { a.Failed = int(about * (1 + (2*r.Float64()-1)/3)) }
}

// machine is a machine's runs, one after the other.
type machine struct {
	*rand.Rand
	runs []result.RunSummary
}

func (c *machine) drawRun(of armDraw) result.RunSummary {
	day := len(c.runs)
	r := result.RunSummary{ID: strconv.FormatUint(c.Uint64(), 16), Started: historytest.FirstDay.AddDate(0, 0, day), Arms: []result.ArmSummary{
		{Name: "masquerade", Requests: 48000}, {Name: "random-fully", Requests: 48000, Verdict: result.Mitigated}}}
	of(c.Rand, &r.Arms[1])
	return r
}

func (c *machine) addNights(n int, of armDraw) {
	for range n {
		c.runs = append(c.runs, c.drawRun(of))
	}
}

// evaluateNight makes as many attempts as are asked for, keeps them, and gives the number
// of findings.
func (c *machine) evaluateNight(of armDraw, ask func(*night, subject)) int {
	n := night{before: c.runs}
	for attempt := 0; attempt == 0 || attempt < mostAttempts && n.Again != ""; attempt++ {
		n.Evaluation = Evaluation{}
		n.tonight = append(n.tonight, c.drawRun(of))
		ask(&n, subject{arm: "random-fully"})
	}
	c.runs = append(c.runs, n.tonight...)
	return len(n.Findings)
}

// Nights that are all alike, of an arm that is bad now and then by chance: the
// alarms are rarer than what the package comment promises.
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
			machine := machine{Rand: source}
			machine.addNights(20, c.of)
			for range 40 {
				alarms += machine.evaluateNight(c.of, c.ask)
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
		machine := machine{Rand: source}
		machine.addNights(20, drawAround(0))
		for n := 1; 4*20 >= len(machine.runs)+mostAttempts; n++ {
			if machine.evaluateNight(drawAround(60), (*night).askFailures) != 1 {
				t.Fatalf("night %d: not seen, with %d runs before it", n, len(machine.runs))
			}
		}
		if len(machine.runs) < 70 {
			t.Fatalf("seen in %d runs alone", len(machine.runs))
		}
	}
}

// A rise is reported of an arm that always fails a little.
func TestRiseOfFailingArm(t *testing.T) {
	t.Parallel()
	machine := machine{Rand: rand.New(rand.NewPCG(5, 6))}
	machine.addNights(20, drawAround(60))
	if machine.evaluateNight(drawAround(200), (*night).askFailures) != 1 {
		t.Error("200 of 48,000 after 60 are none")
	}
	if machine.evaluateNight(drawAround(60), (*night).askFailures) != 0 {
		t.Error("as many as before are one")
	}
}
