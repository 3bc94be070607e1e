package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"snatlab/harness/result"
)

func TestNoLineIsWiderThanThePage(t *testing.T) {
	for _, arms := range []int{1, 2, 3, 9, 32} {
		text := draw(t, Text, wide(arms))
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("%d arms: %d columns: %s", arms, n, line)
			}
		}
	}
}

func TestEveryArmIsInTheTableOnceAndTheBaselineInEachPart(t *testing.T) {
	text := draw(t, Text, wide(9))
	heads := map[string]int{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "    ") {
			for _, name := range strings.Fields(line) {
				heads[name]++
			}
		}
	}
	parts := strings.Count(text, "failure rate, median")
	for i := range 9 {
		name, want := shorten(longName(i)), 1
		if i == 0 {
			want = parts
		}
		if heads[name] != want {
			t.Errorf("%s heads %d columns in %d parts, want %d", name, heads[name], parts, want)
		}
	}
	if parts < 2 {
		t.Error("the table is in one part: this test shows nothing")
	}
}

func TestAnArmWithoutATrialHasNoFigures(t *testing.T) {
	r := &result.Result{
		Arms: []result.Arm{
			{Name: "masquerade", Trials: []result.Trial{{Round: 1, Requests: 6000, Latency: result.Latency{P50: 60, P99: 200}}}},
			{Name: "random-fully"},
		},
		Comparisons: []result.Compare{{Arm: "random-fully", Baseline: "masquerade", Verdict: result.ArmInconclusive}},
	}
	for line := range strings.Lines(draw(t, Text, r)) {
		row := strings.Fields(line)
		if len(row) > 1 && (row[0] == "requests" || row[0] == "unexplained") && row[2] != none {
			t.Errorf("got %s", line)
		}
		if strings.HasPrefix(line, "latency") && !slices.Equal(row[len(row)-2:], []string{none, none}) {
			t.Errorf("got %s", line)
		}
	}
}

func TestWarningsBeyondAFewAreCounted(t *testing.T) {
	r := &result.Result{}
	for i := range notesMax + 2 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("note %d", i))
	}
	text := draw(t, Text, r)
	if strings.Contains(text, "note 8") || !strings.Contains(text, "and 2 more warnings, in result.json\n") {
		t.Errorf("got\n%s", text)
	}
	if markdown := draw(t, Markdown, r); !strings.Contains(markdown, "- note 9\n") {
		t.Errorf("Markdown leaves warnings out:\n%s", markdown)
	}
}

func TestAnExpectationHasThreeOutcomes(t *testing.T) {
	for _, tc := range []struct {
		held       *bool
		incomplete string
		want       string
	}{
		{new(true), "", "held"},
		{new(false), "", "not held"},
		{nil, "", "could not be told"},
		{new(true), "interrupted", "held so far"},
		{new(false), "interrupted", "not held so far"},
		{nil, "interrupted", "could not be told"},
	} {
		r := &result.Result{Incomplete: tc.incomplete}
		if got := outcome(r, result.Expect{Held: tc.held}); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func TestAChangeHasASign(t *testing.T) {
	for _, tc := range []struct {
		reduction *float64
		verdict   result.ArmVerdict
		want      string
	}{
		{new(1.0), result.Mitigated, "-100 %"},
		{new(0.0), result.NoDifference, "0 %"},
		{new(-0.352), result.Worse, "+35.2 %"},
		{new(1.0), result.ArmInconclusive, "-"},
		{nil, result.Worse, "-"},
	} {
		r := &result.Result{Comparisons: []result.Compare{{
			Arm: "random", Verdict: tc.verdict, Reduction: result.Reduction{Estimate: tc.reduction},
		}}}
		if got := rateChange(r, result.Arm{Name: "random"}); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func TestLatenciesAreMicrosecondsUntilTheyAreLong(t *testing.T) {
	for us, want := range map[int64]string{0: "-", 62: "62 µs", 9999: "9,999 µs", 10_000: "10.0 ms", 412_345: "412.3 ms"} {
		if got := micros(us); got != want {
			t.Errorf("micros(%d) = %q, want %q", us, got, want)
		}
	}
	if got := microsChange(70, 58); got != "-12 µs" {
		t.Errorf("got %q", got)
	}
}

// wide has arms with names, rules and figures as long as they get.
func wide(arms int) *result.Result {
	r := &result.Result{
		Scenario: result.Scenario{Name: strings.Repeat("scenario ", 20), Clients: 64, Requests: 500, Rounds: 1000, Pattern: "lockstep", Sync: "barrier"},
		Verdict:  result.Inconclusive,
		Summary:  strings.Repeat("a long sentence about it ", 12),
		Warnings: []string{strings.Repeat("a long warning ", 12)},
	}
	for i := range arms {
		r.Arms = append(r.Arms, result.Arm{
			Name: longName(i), Rule: strings.Repeat("-A POSTROUTING ", 10),
			Trials:      []result.Trial{{Round: 1, Requests: 32_000_000, Failed: 31_999_999, Latency: result.Latency{P50: 499_999, P99: 499_999}}},
			FailureRate: result.Spread{Median: 0.99999, Low: 0.0835, High: 0.99999},
		})
		r.Expected = append(r.Expected, result.Expect{Arm: longName(i), Race: "absent", Found: strings.Repeat("found ", 20)})
	}
	return r
}

func longName(i int) string {
	return fmt.Sprintf("an-arm-whose-name-is-very-long-%02d", i)
}
