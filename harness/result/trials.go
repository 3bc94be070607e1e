package result

import (
	"cmp"
	"slices"
)

// FailedShare returns the share of the trial's requests that failed.
func (t Trial) FailedShare() float64 {
	if t.Requests == 0 {
		return 0
	}
	return float64(t.Failed) / float64(t.Requests)
}

// HasTrials reports whether the run finished a trial.
func (r *Result) HasTrials() bool {
	return slices.ContainsFunc(r.Arms, func(a Arm) bool { return len(a.Trials) > 0 })
}

// SumTrials adds up one figure of every trial.
func SumTrials[N int | uint64](trials []Trial, figure func(Trial) N) N {
	var n N
	for _, t := range trials {
		n += figure(t)
	}
	return n
}

// ArmTrial is a trial with the name of its arm.
type ArmTrial struct {
	Arm string
	Trial
}

// TrialsByRound returns all trials, those of a round in the order of the arms.
func TrialsByRound(arms []Arm) []ArmTrial {
	var all []ArmTrial
	for _, a := range arms {
		for _, t := range a.Trials {
			all = append(all, ArmTrial{a.Name, t})
		}
	}
	slices.SortStableFunc(all, func(a, b ArmTrial) int { return cmp.Compare(a.Round, b.Round) })
	return all
}

// CausesOf returns the causes that made requests fail in any arm: the race first,
// then the most frequent, and the unexplained last. The first and the last are
// always listed.
func CausesOf(arms []Arm) []string {
	n := map[string]int{}
	for _, a := range arms {
		for _, t := range a.Trials {
			for cause, failed := range t.Causes {
				n[cause] += failed
			}
		}
	}
	var names []string
	for cause, failed := range n {
		if failed > 0 && cause != SNATRace && cause != Unexplained {
			names = append(names, cause)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(n[b], n[a]), cmp.Compare(a, b))
	})
	return append(append([]string{SNATRace}, names...), Unexplained)
}
