package stats

import "math"

// BinomialTest returns the two-sided p of k among n, each of which is counted with a
// chance of share, from 0 to 1: twice the probability of the smaller tail, k included,
// and at most 1. It is exact, and 1 for n = 0. It agrees with [ProportionInterval]: p is
// below alpha where the interval at 1 - alpha does not hold share.
//
// Of two Poisson counts with the same mean, the first is binomial given their sum, with
// a share of 1/2 (Przyborowski and Wilenski, Biometrika 31, 1940). So it tests whether
// two counts differ, too.
func BinomialTest(k, n int, share float64) float64 {
	// Counts on the other side of the mean reach more than half of the distribution,
	// because its median is the mean rounded down or up (Kaas and Buhrman, 1980). So
	// the tail away from the mean is the smaller one.
	if float64(k) > float64(n)*share {
		k, share = n-k, 1-share
	}
	return min(1, 2*atMost(k, n, share))
}

// atMost returns the probability of k of n or fewer, where k/n is at most the
// share. It sums the terms of the binomial distribution from k downwards, which get
// smaller.
func atMost(k, n int, share float64) float64 {
	term, sum := binomialTerm(k, n, share), 0.0
	for ; term > sum*1e-17; k-- {
		sum += term
		term *= float64(k) / float64(n-k+1) * (1 - share) / share
	}
	return sum
}

// binomialTerm returns the probability of exactly k of n. The factorials cancel before
// they are computed, so that it is accurate to some 12 digits for n = 10 million, where
// a difference of their logarithms has 8 (Loader, Fast and accurate computation of
// binomial probabilities, 2000).
func binomialTerm(k, n int, share float64) float64 {
	switch x, rest, all := float64(k), float64(n-k), float64(n); k {
	case 0:
		return math.Exp(all * math.Log1p(-share))
	case n:
		return math.Exp(all * math.Log(share))
	default:
		log := stirlingError(all) - stirlingError(x) - stirlingError(rest) - deviance(x, all*share) - deviance(rest, all*(1-share))
		return math.Exp(log) * math.Sqrt(all/(2*math.Pi*x*rest))
	}
}

// stirlingError returns the logarithm of n! less Stirling's formula for it, for n from 1
// on.
func stirlingError(n float64) float64 {
	if n < 16 {
		log, _ := math.Lgamma(n + 1)
		return log - math.Log(2*math.Pi*n)/2 - n*math.Log(n) + n
	}
	s := 1 / (n * n)
	return (1./12 - s*(1./360-s*(1./1260-s*(1./1680-s/1188)))) / n
}

// deviance returns x log(x/mean) + mean - x, which is 0 where x is the mean, and keeps
// its digits close to it.
func deviance(x, mean float64) float64 {
	v := (x - mean) / (x + mean)
	if math.Abs(v) > 0.1 {
		return x*math.Log(x/mean) + mean - x
	}
	// log(x/mean) is twice the inverse hyperbolic tangent of v.
	sum, power := (x-mean)*v, 2*x*v
	for i := 3.0; ; i += 2 {
		power *= v * v
		next := sum + power/i
		if next == sum {
			return sum
		}
		sum = next
	}
}
