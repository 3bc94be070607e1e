package result

// ExpectationKey identifies an expectation. Expectations with the same key make the
// same claim about the same arm, whatever came of them.
type ExpectationKey struct {
	Arm   string
	Claim string  // what is claimed: the field of [Expectation] that is set, by its name in JSON
	Race  string  // of the claim "race"
	Bound float64 // of any other claim
}

// Key returns the identity of the expectation.
func (e Expectation) Key() ExpectationKey {
	for _, bound := range []struct {
		claim string
		value *float64
	}{{"reduction", e.Reduction}, {P50, e.P50}, {P99, e.P99}, {Unexplained, e.Unexplained}, {"filtered", e.Filtered},
		{PortExhaustion, e.PortExhaustion}, {TableFull, e.TableFull}} {
		if bound.value != nil {
			return ExpectationKey{Arm: e.Arm, Claim: bound.claim, Bound: *bound.value}
		}
	}
	return ExpectationKey{Arm: e.Arm, Claim: "race", Race: e.Race}
}

// CauseClaim returns the cause that at least a share of the arm's requests is claimed to
// have failed of, and that share. It is nil for any other claim.
func (e Expectation) CauseClaim() (cause string, share *float64) {
	switch {
	case e.Filtered != nil:
		return SourceFiltered, e.Filtered
	case e.PortExhaustion != nil:
		return PortExhaustion, e.PortExhaustion
	case e.TableFull != nil:
		return TableFull, e.TableFull
	}
	return "", nil
}
