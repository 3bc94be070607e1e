package result

// NewRunSummary returns the summary of a result.
func NewRunSummary(r *Result) RunSummary {
	run := RunSummary{
		ID: r.ID, Folder: r.ID, Version: r.Version, Command: r.Command, Label: r.Label, Started: r.Started, Kernel: r.Environment.Kernel, Key: KeyOf(r),
		Verdict: r.Verdict, Incomplete: r.Incomplete, Expected: r.Expected,
	}
	comparisons := map[string]Comparison{}
	for _, c := range r.Comparisons {
		comparisons[c.Arm] = c
	}
	for i, a := range r.Arms {
		c := comparisons[a.Name]
		if i == 0 && r.Instrument != nil {
			c.Method, c.Remaining = ByControl, r.Instrument
		}
		arm := ArmSummary{Name: a.Name, Trials: len(a.Trials), Causes: map[string]int{}, FailureRate: a.FailureRate,
			Verdict: c.Verdict, Why: c.Why, Method: c.Method, Remaining: c.Remaining}
		if c.Remaining != nil {
			arm.Counts = listCounts(a, c.Method, r.Arms[0])
		}
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

// listCounts returns the counts of the arm's trials. Trials of the baseline are those of
// the same round.
func listCounts(a Arm, m Method, baseline Arm) (all []Counts) {
	rounds := map[int]Trial{}
	for _, t := range baseline.Trials {
		rounds[t.Round] = t
	}
	for _, t := range a.Trials {
		c := Counts{Failed: t.Failed, Requests: t.Requests}
		if b := rounds[t.Round]; m == ByTrials {
			c.ControlFailed, c.ControlRequests = b.Failed, b.Requests
		} else if t.Control != nil {
			c.ControlFailed, c.ControlRequests = t.Control.Failed, t.Control.Requests
		}
		all = append(all, c)
	}
	return all
}

// IsByHand reports whether `snatlab run` made the run. Such runs are no nights: what was
// tried on the machine meanwhile is not known.
func (r RunSummary) IsByHand() bool { return r.Command == CommandRun }

// SeriesID returns the ID of the run's series. Runs by hand are series of their own.
func (r RunSummary) SeriesID() string {
	if !r.IsByHand() {
		return r.Key.SeriesID()
	}
	return shortHash("by hand " + r.Key.SeriesID())
}

// HasShares reports whether the run was judged by shares that remain. A run of a single
// arm has none to be judged by.
func (r RunSummary) HasShares() bool {
	for _, a := range r.Arms[min(1, len(r.Arms)):] {
		if a.Method != "" {
			return true
		}
	}
	return len(r.Arms) < 2
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
