package verdict

import (
	"fmt"
	"slices"

	"snatlab/harness/figure"
	"snatlab/harness/result"
)

// fewRounds is the number of rounds below which the medians are warned about.
const fewRounds = 4

// warn adds what a reader of the figures has to know. Each text is a fact that
// further trials do not change: one that is there already stays as it is.
func warn(r *result.Result) {
	add := func(text string) {
		if !slices.Contains(r.Warnings, text) {
			r.Warnings = append(r.Warnings, text)
		}
	}
	if n := r.Scenario.Rounds; n < fewRounds {
		add(fmt.Sprintf("%s few: the rate of one arm swings by a factor of two to four between trials",
			figure.Plural(n, "round is", "rounds are")))
	}
	for _, arm := range r.Arms {
		for _, t := range arm.Trials {
			if n := t.Causes[result.Unexplained]; n > 0 {
				add(fmt.Sprintf("%s, round %d: %s unexplained", arm.Name, t.Round, part(n, t.Failed)))
			}
			if lost, counted := t.Failures[result.Timeout], hits(t); counted > lost+lost/100 {
				add(fmt.Sprintf("%s, round %d: %s for %s without an answer: other traffic is in the counters, and snat_race may be too high",
					arm.Name, t.Round, figure.Plural(counted, "failed insertion", "failed insertions"), figure.Plural(lost, "request", "requests")))
			}
		}
	}
}

// hits are the races that the kernel counted, whoever lost.
func hits(t result.Trial) int {
	n := t.Conntrack.InsertFailed
	if c := t.Conntrack.ChainTooLong; c != nil {
		n -= min(*c, n)
	}
	return int(n)
}

// part prints "4 of 12 failures are".
func part(n, of int) string {
	verb := "are"
	if n == 1 {
		verb = "is"
	}
	return fmt.Sprintf("%s of %s %s", figure.Thousands(n), figure.Plural(of, "failure", "failures"), verb)
}
