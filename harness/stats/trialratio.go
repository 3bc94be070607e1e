package stats

import "math"

// Trial is what was counted in a trial of one arm.
type Trial struct{ Failed, Requests int }

// TrialRatio returns the ratio of the share of an arm's requests that failed to that of
// the baseline, where their trials are independent of each other and the requests of a
// trial are not: sums over sums.
//
// The interval is on the scale of the logarithm. The share f of a side is the ratio of
// two sums over its n trials. The variance of its logarithm is n/(n-1) times the sum of
// the squares of failed - f requests, over the square of the sum of failed (Cochran,
// Sampling Techniques, 6.3-6.4). Those of both sides are added, and Student's distribution
// has as many degrees of freedom as the side with fewer trials, less one. Those of Welch
// and Satterthwaite would be more, but too many where a few trials have most failures:
// in simulations with log-normal trials (sigma 1), the interval at 99.9 % missed the ratio
// in 0.35 % of runs.
//
// A side that lost fewer than 10 requests does not show how much its trials scatter: that
// of the other side stands for it, relative to its mean. No end lies within the interval
// that the counts would have if requests were independent: see [RatioInterval]. Where the
// arm lost nothing, the interval of the counts is widened by that of the scatter.
func TrialRatio(arm, baseline []Trial, confidence float64) Ratio {
	a, b := sumTrials(arm), sumTrials(baseline)
	r := countsRatio(a.Failed, b.Failed, a.Requests, b.Requests, confidence)
	if r.Estimate == nil || max(a.Failed, b.Failed) < fewestToScatter {
		return r
	}
	own, other := scatterOfTrials(arm, a), scatterOfTrials(baseline, b)
	switch {
	case a.Failed < fewestToScatter:
		own.variance = other.variance
	case b.Failed < fewestToScatter:
		other.variance = own.variance
	}
	if own.freedom < 1 || other.freedom < 1 {
		return Ratio{Estimate: r.Estimate, Scattered: true} // a trial alone does not scatter
	}
	sum := own.variance + other.variance
	if sum == 0 {
		return r
	}
	distance := math.Sqrt(sum) * StudentQuantile(confidence, min(own.freedom, other.freedom))
	if a.Failed == 0 {
		return Ratio{Estimate: r.Estimate, High: finite(*r.High * math.Exp(distance)), Scattered: true}
	}
	return r.widen(distance)
}

func sumTrials(trials []Trial) (sum Trial) {
	for _, t := range trials {
		sum.Failed, sum.Requests = sum.Failed+t.Failed, sum.Requests+t.Requests
	}
	return sum
}

// scatter is how far the logarithm of the share of a side is known by its trials.
type scatter struct{ variance, freedom float64 }

func scatterOfTrials(trials []Trial, sum Trial) scatter {
	share, squares, n := float64(sum.Failed)/float64(sum.Requests), 0.0, float64(len(trials))
	for _, t := range trials {
		residual := float64(t.Failed) - share*float64(t.Requests)
		squares += residual * residual
	}
	return scatter{variance: n / (n - 1) * squares / (float64(sum.Failed) * float64(sum.Failed)), freedom: n - 1}
}
