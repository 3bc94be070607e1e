package regression

import (
	"slices"

	"snatlab/harness/result"
	"snatlab/harness/verdict"
	"snatlab/harness/wording"
)

// joinAttempts returns the attempts of a night as one result: the last of them with the
// trials of all, judged as one run. So no attempt is chosen, neither the best nor the
// last. Rounds are numbered on. The attempts are not changed.
func joinAttempts(attempts []*result.Result) *result.Result {
	last := attempts[len(attempts)-1]
	if len(attempts) == 1 {
		return last
	}
	joined := *last
	joined.Arms, joined.Expected = slices.Clone(last.Arms), slices.Clone(last.Expected)
	joined.WarningValues, joined.Seconds = slices.Clone(last.WarningValues), 0
	for i := range joined.Arms {
		joined.Arms[i].Trials = nil
	}
	rounds := 0
	for _, r := range attempts {
		joined.Seconds += r.Seconds
		before := rounds
		for i := range joined.Arms {
			for _, t := range trialsOf(r, joined.Arms[i].Name) {
				t.Round += before
				rounds = max(rounds, t.Round)
				joined.Arms[i].Trials = append(joined.Arms[i].Trials, t)
			}
		}
	}
	joined.Scenario.Rounds = rounds
	verdict.Judge(&joined)
	wording.DescribeResult(&joined)
	return &joined
}

// trialsOf returns the trials of an arm, by its name.
func trialsOf(r *result.Result, arm string) []result.Trial {
	for _, a := range r.Arms {
		if a.Name == arm {
			return a.Trials
		}
	}
	return nil
}
