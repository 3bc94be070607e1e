package result

// NewRunSummary returns the summary of a result.
func NewRunSummary(r *Result) RunSummary {
	run := RunSummary{
		ID: r.ID, Folder: r.ID, Version: r.Version, Started: r.Started, Kernel: r.Environment.Kernel, Key: KeyOf(r),
		Verdict: r.Verdict, Incomplete: r.Incomplete, Expected: r.Expected,
	}
	verdicts := map[string]ArmVerdict{}
	for _, c := range r.Comparisons {
		verdicts[c.Arm] = c.Verdict
	}
	for _, a := range r.Arms {
		arm := ArmSummary{Name: a.Name, Trials: len(a.Trials), Causes: map[string]int{}, FailureRate: a.FailureRate, Verdict: verdicts[a.Name]}
		for _, t := range a.Trials {
			arm.Requests += t.Requests
			arm.Failed += t.Failed
			for cause, n := range t.Causes {
				if n > 0 {
					arm.Causes[cause] += n
				}
			}
		}
		run.Arms = append(run.Arms, arm)
	}
	return run
}

// Arm finds an arm by its name, and reports whether the run has sent requests
// under it.
func (r RunSummary) Arm(name string) (ArmSummary, bool) {
	for _, a := range r.Arms {
		if a.Name == name {
			return a, a.Requests > 0
		}
	}
	return ArmSummary{}, false
}

// FailedShare returns the share of all requests that failed.
func (a ArmSummary) FailedShare() float64 { return float64(a.Failed) / float64(max(1, a.Requests)) }
