package wording

import (
	"fmt"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// DescribeLookups returns, for a run of look-ups, which queries the slow ones of the baseline
// had no answer to, and how many clashes the kernel resolved. It is empty for other runs.
func DescribeLookups(r *result.Result) string {
	if r.Scenario.Pattern != result.DNS || !r.HasTrials() {
		return ""
	}
	text := ""
	if u := r.Arms[0].SumUnanswered(); u != nil && u.Sum() > 0 {
		text = fmt.Sprintf("of %s of %s that took longer than the timeout, %s had no answer to the query for A, %s to that for AAAA, %s to both; ",
			format.Plural(u.Sum(), "look-up", "look-ups"), r.Arms[0].Name, format.Thousands(u.A), format.Thousands(u.AAAA), format.Thousands(u.Both))
	}
	return text + describeClashes(r)
}

// describeClashes states how many clashes the kernel resolved in a run.
func describeClashes(r *result.Result) string {
	n := r.ClashesResolved()
	switch {
	case n == nil:
		return "this kernel does not count the clashes that it resolves (Linux 5.10 does: clash_resolve)"
	case *n == 0:
		return "the kernel resolved no clash (clash_resolve)"
	}
	return fmt.Sprintf("the kernel resolved %s of two queries from one socket, which lost nothing (clash_resolve)",
		format.Plural(int(*n), "clash", "clashes"))
}
