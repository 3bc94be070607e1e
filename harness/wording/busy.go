package wording

import (
	"fmt"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// busyMachine states that the machine was busy, and whether the verdicts stand in spite of
// it. They do where an arm is measured against its own control: the slots of both are mixed
// within a trial, so load takes hits from both alike, and what load adds to the scatter of
// the trials is in the interval. Trials of different arms run at different times.
func busyMachine(r *result.Result) string {
	var load [3]float64
	if r.Environment.Load != nil {
		load = *r.Environment.Load
	}
	return fmt.Sprintf("the machine was busy: a load average of %.2f on %s before the run; %s",
		load[0], format.Plural(r.Environment.CPUsOnline, "CPU", "CPUs"), busyEffect(r))
}

// busyEffect states what load means for what a run says.
func busyEffect(r *result.Result) string {
	const rates = "; the rates and latencies are not those of an idle machine"
	decided := 0
	var byTrials []string
	for _, c := range r.Comparisons {
		switch {
		case !c.Verdict.IsDecided():
		case c.Method == result.ByControl:
			decided++
		default:
			byTrials = append(byTrials, c.Arm)
		}
	}
	switch {
	case len(byTrials) > 0:
		return fmt.Sprintf("%s %s compared with other trials, which may have met another load: repeat the run on an idle machine before you rely on it",
			strings.Join(byTrials, ", "), isOrAre(len(byTrials)))
	case decided == 1:
		return "the verdict stands, since arm and control met the same load" + rates
	case decided > 1:
		return "the verdicts stand, since each arm and its control met the same load" + rates
	case headline(r) == NotAffected && baselineOf(r).SumControl().Race > 0:
		return "the answer stands, since the baseline and its control met the same load" + rates
	}
	return "clients that have to wait for a CPU do not meet, so an idle machine loses more and decides sooner, and latencies are too high"
}

func isOrAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
