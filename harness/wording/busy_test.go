package wording

import (
	"strings"
	"testing"

	"snatlab/harness/result"
)

// The verdicts of arms that were measured against their own controls stand on a busy
// machine; those that were compared with other trials may not.
func TestBusyMachine(t *testing.T) {
	t.Parallel()
	held := result.Comparison{Arm: "full", Verdict: result.Mitigated, Method: result.ByControl}
	open := result.Comparison{Arm: "pool", Verdict: result.Undecided, Method: result.ByControl}
	timed := result.Comparison{Arm: "tw-reuse", Verdict: result.Equal, Method: result.ByTrials}
	for _, tc := range []struct {
		comparisons []result.Comparison
		want        string
	}{
		{nil, "clients that have to wait for a CPU do not meet"},
		{[]result.Comparison{open}, "clients that have to wait for a CPU do not meet"},
		{[]result.Comparison{held, open}, "the verdict stands, since arm and control met the same load"},
		{[]result.Comparison{held, held}, "the verdicts stand, since each arm"},
		{[]result.Comparison{held, timed}, "tw-reuse is compared with other trials"},
		{[]result.Comparison{timed, timed}, "tw-reuse, tw-reuse are compared with other trials"},
		{[]result.Comparison{{Arm: "old", Verdict: result.Mitigated}}, "old is compared with other trials"},
	} {
		if got := busyEffect(&result.Result{Arms: []result.Arm{lostTo("plain", 40, 0)}, Comparisons: tc.comparisons}); !strings.HasPrefix(got, tc.want) {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

// So does the answer that a baseline is not affected, which its control carries.
func TestBusyNotAffected(t *testing.T) {
	t.Parallel()
	const want = "the answer stands"
	if got := busyEffect(&result.Result{Arms: []result.Arm{lostTo("random", 0, 1700)}}); !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := busyEffect(&result.Result{Arms: []result.Arm{lostTo("random", 0, 17)}}); strings.HasPrefix(got, want) {
		t.Errorf("too few hits: got %q", got)
	}
}
