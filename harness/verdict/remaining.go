package verdict

import (
	"slices"

	"snatlab/harness/result"
	"snatlab/harness/stats"
)

// counting is what is counted as lost in a trial and in its control.
type counting struct {
	ofTrial   func(result.Trial) int
	ofControl func(result.Control) int
}

var (
	// failures are all failed requests, whatever the cause: an arm that makes
	// requests fail in another way mitigates nothing.
	failures = counting{
		func(t result.Trial) int { return t.Failed },
		func(c result.Control) int { return c.Failed },
	}
	// races are the requests that were lost to the race, for claims about it.
	races = counting{
		func(t result.Trial) int { return t.Causes[result.SNATRace] },
		func(c result.Control) int { return c.Causes[result.SNATRace] },
	}
)

// methodOf returns what an arm is compared with. Its control stands for the baseline
// where the baseline is plain masquerade, as the control is, and where the arm leaves
// the conditions of the control as they are in the baseline: a sysctl of the arm acts on
// both.
func methodOf(arm, baseline result.Arm) result.Method {
	controlled := arm
	if len(sentTrials(arm)) == 0 {
		controlled = baseline
	}
	if hasOwnControl(controlled, baseline) && isPlain(baseline) {
		return result.ByControl
	}
	return result.ByTrials
}

// hasOwnControl reports whether an arm has a control, whose conditions are those of the
// baseline's.
func hasOwnControl(arm, baseline result.Arm) bool {
	return hasControl(arm) && slices.Equal(sysctlsOf(arm), sysctlsOf(baseline))
}

// sentTrials returns the trials of an arm that sent requests, and lost no more than they
// sent: a result from elsewhere may hold any numbers.
func sentTrials(a result.Arm) (all []result.Trial) {
	for _, t := range a.Trials {
		lost := t.Causes[result.SNATRace]
		if isPossible(t.Failed, t.Requests) && isPossible(lost, t.Requests) {
			all = append(all, t)
		}
	}
	return all
}

// mostRequests is more than any trial sends.
const mostRequests = 1 << 32

func isPossible(lost, requests int) bool {
	return 0 < requests && requests < mostRequests && 0 <= lost && lost <= requests
}

// hasControl reports whether every trial of an arm that sent requests has a control that
// did, and there is such a trial.
func hasControl(a result.Arm) bool {
	trials := sentTrials(a)
	return len(trials) > 0 && !slices.ContainsFunc(trials, func(t result.Trial) bool {
		c := t.Control
		return c == nil || !isPossible(c.Failed, c.Requests) || !isPossible(c.Causes[result.SNATRace], c.Requests)
	})
}

// isPlain reports whether NAT keeps the clients' ports under the rule of an arm, and gives
// all of them the same address.
func isPlain(a result.Arm) bool {
	return !a.KeepsApart() && a.LeftOutPorts() == nil && len(a.ToSource) < 2
}

// sysctlsOf returns the sysctls that an arm sets.
func sysctlsOf(a result.Arm) (all []result.Setting) {
	for _, s := range a.SettingValues {
		switch s.Key {
		case result.KeySourcePorts, result.KeyAddress, result.KeyResolver, result.KeyNoTrack:
		default:
			all = append(all, s)
		}
	}
	return all
}

// shareByControl returns the share that remains under an arm, against the control of the
// same trials, and its exact two-sided p. The share is divided by that of the instrument,
// if there is one. Without a trial, it returns nil.
func shareByControl(a result.Arm, of counting, instrument *result.Remaining) (*result.Remaining, *float64) {
	var pairs []stats.Pair
	r := new(result.Remaining)
	for _, t := range sentTrials(a) {
		lost, control := of.ofTrial(t), of.ofControl(*t.Control)
		pairs = append(pairs, stats.Pair{A: lost, B: control})
		r.Failed, r.Requests = r.Failed+lost, r.Requests+t.Requests
		r.ControlFailed, r.ControlRequests = r.ControlFailed+control, r.ControlRequests+t.Control.Requests
	}
	if len(pairs) == 0 {
		return nil, nil
	}
	r.Trials = len(pairs)
	setIntervals(r, func(confidence float64) stats.Ratio {
		ratio := stats.RatioInterval(pairs, r.Requests, r.ControlRequests, confidence)
		if instrument == nil {
			return ratio
		}
		return stats.DivideRatio(ratio, ratioOf(instrument, confidence))
	})
	if instrument != nil {
		r.Divided = instrument.Estimate
	}
	return r, new(stats.BinomialTest(r.Failed, r.Failed+r.ControlFailed, chanceOf(r)))
}

// shareOf returns the share that remains under an arm by either method.
func shareOf(method result.Method, arm, baseline result.Arm, of counting) (r *result.Remaining) {
	if method == result.ByControl {
		r, _ = shareByControl(arm, of, nil)
	} else {
		r, _ = shareByTrials(arm, baseline, of)
	}
	return r
}

// chanceOf returns the chance that a lost request is the arm's, if the arm and its control
// lose the same share.
func chanceOf(r *result.Remaining) float64 {
	return float64(r.Requests) / float64(r.Requests+r.ControlRequests)
}

// shareByTrials returns the share that remains under an arm, against the trials of the
// baseline, and the exact two-sided p of the ranks of the trials. Without a trial of
// either, it returns nil.
func shareByTrials(a, baseline result.Arm, of counting) (*result.Remaining, *float64) {
	own, rates := countTrials(a, of)
	other, otherRates := countTrials(baseline, of)
	if len(own) == 0 || len(other) == 0 {
		return nil, nil
	}
	r := &result.Remaining{Trials: len(own)}
	for _, t := range own {
		r.Failed, r.Requests = r.Failed+t.Failed, r.Requests+t.Requests
	}
	for _, t := range other {
		r.ControlFailed, r.ControlRequests = r.ControlFailed+t.Failed, r.ControlRequests+t.Requests
	}
	setIntervals(r, func(confidence float64) stats.Ratio { return stats.TrialRatio(own, other, confidence) })
	return r, stats.RankSum(rates, otherRates)
}

// countTrials returns the counts of the trials of an arm, and the share of each that was
// lost.
func countTrials(a result.Arm, of counting) (trials []stats.Trial, rates []float64) {
	for _, t := range sentTrials(a) {
		lost := of.ofTrial(t)
		trials = append(trials, stats.Trial{Failed: lost, Requests: t.Requests})
		rates = append(rates, float64(lost)/float64(t.Requests))
	}
	return trials, rates
}

// setIntervals writes the estimate of a share and both of its intervals.
func setIntervals(r *result.Remaining, interval func(confidence float64) stats.Ratio) {
	printed, decisive := interval(result.Confidence), interval(result.DecisiveConfidence)
	r.Estimate, r.Low, r.High = printed.Estimate, printed.Low, printed.High
	r.DecisiveLow, r.DecisiveHigh = decisive.Low, decisive.High
	r.Scattered = printed.Scattered || decisive.Scattered
}

// ratioOf returns the ratio that a share was made of, at one of the two confidences.
func ratioOf(r *result.Remaining, confidence float64) stats.Ratio {
	ratio := stats.Ratio{Estimate: r.Estimate, Low: r.Low, High: r.High, Scattered: r.Scattered}
	if confidence == result.DecisiveConfidence {
		ratio.Low, ratio.High = r.DecisiveLow, r.DecisiveHigh
	}
	return ratio
}

// reductionOf returns what is left of 1.
func reductionOf(r *result.Remaining) result.Reduction {
	if r == nil {
		return result.Reduction{}
	}
	rest := func(share *float64) *float64 {
		if share == nil {
			return nil
		}
		return new(1 - *share)
	}
	return result.Reduction{Estimate: rest(r.Estimate), Low: rest(r.High), High: new(1 - r.Low)}
}
