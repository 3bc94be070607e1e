package report

import (
	"fmt"
	"strings"
	"testing"

	"snatlab/harness/result"
)

// The rows of the arms say which queries had no answer. There are none for other requests.
func TestLookupRows(t *testing.T) {
	t.Parallel()
	trial := result.Trial{Unanswered: &result.Unanswered{A: 600, AAAA: 2, Both: 1}}
	trial.Conntrack.ClashResolve = new(uint64(9))
	arms := []result.Arm{{Trials: []result.Trial{trial, trial}}, {}}
	var got []string
	for _, row := range lookupRows(arms) {
		got = append(got, fmt.Sprintf("%s: %s, %s", row.label, row.cell(arms[0]), row.cell(arms[1])))
	}
	const want = `no answer: to A: 1,200, -
  to AAAA: 4, -
  to both: 2, -
clash_resolve: 18, -`
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	if rows := lookupRows([]result.Arm{{Trials: []result.Trial{{}}}}); rows != nil {
		t.Errorf("%d rows without look-ups", len(rows))
	}
}
