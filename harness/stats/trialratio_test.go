package stats

import (
	"math"
	"testing"
)

// The interval of the scatter is the one computed by hand.
//
// The arm's share is 30/300; the residuals of 5, 10 and 15 are -5, 0 and 5, so the variance
// of its logarithm is 3/2 times 50/30². The baseline's share is 240/400, the residuals of
// 50, 60, 70 and 60 are -10, 0, 10 and 0, and the variance 4/3 times 200/240². The
// degrees of freedom are those of the arm, 2.
func TestTrialRatio(t *testing.T) {
	t.Parallel()
	arm := []Trial{{5, 100}, {10, 100}, {15, 100}}
	baseline := []Trial{{50, 100}, {60, 100}, {70, 100}, {60, 100}}
	r := TrialRatio(arm, baseline, 0.95)
	v, w := 1.5*50/900, 4./3*200/57600
	distance := math.Sqrt(v+w) * 4.302652729911275
	if !r.Scattered || !isClose(*r.Estimate, 1./6) || !isClose(r.Low, math.Exp(-distance)/6) || !isClose(*r.High, math.Exp(distance)/6) {
		t.Errorf("%v, %v to %v, scattered: %v", *r.Estimate, r.Low, *r.High, r.Scattered)
	}
}

// Trials that do not scatter leave the interval of the counts.
func TestTrialRatioCounts(t *testing.T) {
	t.Parallel()
	arm, baseline := []Trial{{20, 100}, {20, 100}}, []Trial{{50, 100}, {50, 100}, {50, 100}}
	counts := RatioInterval([]Pair{{40, 150}}, 200, 300, 0.999)
	if r := TrialRatio(arm, baseline, 0.999); r.Scattered || r.Low != counts.Low || *r.High != *counts.High {
		t.Errorf("%v to %v, want %v to %v", r.Low, *r.High, counts.Low, *counts.High)
	}
}

// An arm that lost nothing scatters as the baseline does: that nothing remains cannot be
// said where the baseline's hits are those of one trial.
func TestTrialRatioNone(t *testing.T) {
	t.Parallel()
	none := make([]Trial, 12)
	steady, burst := make([]Trial, 12), make([]Trial, 12)
	for i := range none {
		none[i].Requests, steady[i], burst[i].Requests = 1000, Trial{200 + i, 1000}, 1000
	}
	burst[3].Failed = 1000
	if r := TrialRatio(none, steady, 0.999); r.Low != 0 || *r.Estimate != 0 || *r.High > 0.01 {
		t.Errorf("against steady trials: %v to %v", r.Low, *r.High)
	}
	if r := TrialRatio(none, burst, 0.999); r.Low != 0 || *r.High < 1 {
		t.Errorf("against one burst: %v to %v", r.Low, *r.High)
	}
}

// A single trial of a side says nothing of how trials scatter, and no side without a hit
// or without a trial is compared.
func TestTrialRatioFew(t *testing.T) {
	t.Parallel()
	many := []Trial{{50, 100}, {60, 100}}
	if r := TrialRatio([]Trial{{50, 100}}, many, 0.95); r.Estimate == nil || r.Low != 0 || r.High != nil {
		t.Errorf("one trial: %+v", r)
	}
	if r := TrialRatio(nil, many, 0.95); r != (Ratio{}) {
		t.Errorf("no trial: %+v", r)
	}
	if r := TrialRatio(many, []Trial{{0, 100}, {0, 100}}, 0.95); r.Estimate != nil || r.High != nil {
		t.Errorf("a baseline without a hit: %+v", r)
	}
}
