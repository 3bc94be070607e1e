package verdicttest

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/result"
)

// Every lost request of a simulated run has a cause, no trial loses more than it has slots,
// and a run ends by its rule. The same seed makes the same run.
func TestRun(t *testing.T) {
	t.Parallel()
	for _, m := range Machines {
		r := Run{Machine: m, Remaining: []float64{1, 0.5, 0}, Requests: 1200, Rounds: 5, Until: result.Until{Hits: 300, RoundsMax: 20}}
		res := r.Simulate(rand.New(rand.NewPCG(1, 2)))
		if diff := cmp.Diff(res, r.Simulate(rand.New(rand.NewPCG(1, 2)))); diff != "" {
			t.Errorf("%s: the same seed makes another run:\n%s", m.Name, diff)
		}
		for _, a := range res.Arms {
			rounds, hits := len(a.Trials), 0
			for i, trial := range a.Trials {
				checkTrial(t, m.Name, i, trial)
				hits += trial.Control.Failed
			}
			if rounds < r.Rounds || rounds > r.Until.RoundsMax || rounds < r.Until.RoundsMax && hits < r.Until.Hits {
				t.Errorf("%s, %s: %d rounds with %d hits", m.Name, a.Name, rounds, hits)
			}
		}
		for _, trial := range res.Arms[2].Trials {
			if trial.Failed > 0 {
				t.Errorf("%s: %d failed where nothing remains", m.Name, trial.Failed)
			}
		}
	}
}

func checkTrial(t *testing.T, machine string, i int, trial result.Trial) {
	t.Helper()
	c := trial.Control
	switch {
	case trial.Round != i+1, trial.Requests != c.Requests, trial.Requests < 1200, trial.Requests > mostRequests,
		trial.Failed > trial.Requests/2, c.Failed > c.Requests/2,
		trial.Causes[result.SNATRace] != trial.Failed, c.Causes[result.SNATRace] != c.Failed,
		trial.Failures[result.Timeout] != trial.Failed, c.Failures[result.Timeout] != c.Failed,
		trial.Conntrack.InsertFailed != uint64(trial.Failed+c.Failed), trial.NoHits != (trial.Failed+c.Failed == 0):
		t.Errorf("%s, trial %d: %+v, control %+v", machine, i+1, trial, *c)
	}
}

// Drawn numbers have the mean and the variance of their distribution, to five standard
// errors of 20,000 values.
func TestDraw(t *testing.T) {
	t.Parallel()
	draw := rand.New(rand.NewPCG(3, 4))
	for _, d := range []struct {
		name           string
		draw           func() float64
		mean, variance float64
	}{
		{"rare", func() float64 { return float64(drawBinomial(draw, 100, 0.0005)) }, 0.05, 0.05},
		{"binomial", func() float64 { return float64(drawBinomial(draw, 100, 0.2)) }, 20, 16},
		{"frequent", func() float64 { return float64(drawBinomial(draw, 60, 0.9)) }, 54, 5.4},
		{"beta", func() float64 { return drawBeta(draw, 12.6, 50.4) }, 0.2, 0.0025},
		{"noise", func() float64 { return drawNoise(draw, 0.25) }, 1, math.Exp(0.0625) - 1},
		{"burst", func() float64 { return burstFactors[draw.IntN(len(burstFactors))] }, 1, math.Exp(0.0625) - 1},
	} {
		const n = 20_000
		var sum, squares float64
		for range n {
			x := d.draw() - d.mean
			sum, squares = sum+x, squares+x*x
		}
		if off := sum / math.Sqrt(n*d.variance); math.Abs(off) > 5 {
			t.Errorf("%s: the mean is %.1f standard errors off", d.name, off)
		}
		if v := squares / n / d.variance; v < 0.8 || v > 1.25 {
			t.Errorf("%s: the variance is %.3f of the true one", d.name, v)
		}
	}
}
