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
	joined.WarningValues, joined.Seconds = listOwnWarnings(last), 0
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

// listOwnWarnings returns the warnings of a result that its run made, and not the judgement
// of its trials, which is another one for the trials of all attempts.
func listOwnWarnings(r *result.Result) []result.Warning {
	judged := *r
	judged.Arms, judged.Expected, judged.WarningValues = slices.Clone(r.Arms), slices.Clone(r.Expected), nil
	verdict.Judge(&judged)
	return slices.DeleteFunc(slices.Clone(r.WarningValues), func(w result.Warning) bool {
		return slices.ContainsFunc(judged.WarningValues, w.SameSubject)
	})
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
