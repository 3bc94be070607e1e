package verdict

import "snatlab/harness/result"

// The instrument is the control: it measures what an arm would lose under plain
// masquerade. It is checked on the baseline, which is plain masquerade as well.

// How far the baseline may lie from its own control.
const (
	instrumentLeast = 0.9
	instrumentMost  = 1.1
)

// checkInstrument returns the share of the control's losses that the baseline has, which
// is 1 if nothing but the port differs. It returns nil where the baseline is not
// plain masquerade, or has no control.
func checkInstrument(arms []result.Arm) *result.Remaining {
	if len(arms) == 0 || !isPlain(arms[0]) || !hasControl(arms[0]) {
		return nil
	}
	r, _ := shareByControl(arms[0], failures, nil)
	return r
}

// isInstrumentBroken reports whether the interval of the instrument lies entirely out of
// bounds: then the control says nothing about an arm.
func isInstrumentBroken(r *result.Remaining) bool {
	return r != nil && (r.DecisiveLow > instrumentMost || r.DecisiveHigh != nil && *r.DecisiveHigh < instrumentLeast)
}

// dividing returns the instrument if the shares of the arms are to be divided by its own,
// since its 95 % interval does not hold 1; else nil. At 99.9 %, as for the verdicts, a
// lasting difference of 20 % is overlooked in 8 % of simulated runs, and an arm that
// changes nothing is then called worse. To divide where there is no difference costs
// only width.
func dividing(r *result.Remaining) *result.Remaining {
	if r == nil || isInstrumentBroken(r) || r.Low <= 1 && (r.High == nil || *r.High >= 1) {
		return nil
	}
	return r
}
