// Package wording makes sentences of the values of a result: warnings, settings,
// claims, the answer of a run. No program reads these sentences. A program that has
// to know what they state reads the values.
package wording

import (
	"fmt"

	"snatlab/harness/result"
)

// Claim returns the claim of an expectation, "reduction >= 99 %".
func Claim(e result.Expect) string {
	switch {
	case e.Reduction != nil:
		return fmt.Sprintf("reduction >= %.6g %%", 100**e.Reduction)
	case e.P50 != nil:
		return fmt.Sprintf("p50 <= %+.6g %%", 100**e.P50)
	case e.P99 != nil:
		return fmt.Sprintf("p99 <= %+.6g %%", 100**e.P99)
	case e.Unexplained != nil:
		return fmt.Sprintf("unexplained <= %.6g %%", 100**e.Unexplained)
	default:
		return "race " + e.Race
	}
}
