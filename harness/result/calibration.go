package result

// Calibration is how often verdicts were wrong where the truth is known.
type Calibration struct {
	Version      string          `json:"version"`
	Scenario     ScenarioSummary `json:"scenario"`
	Runs         int             `json:"runs"`
	Inconclusive int             `json:"inconclusive"` // runs in which the race did not occur in the baseline, or too rarely to judge
	Itself       Tally           `json:"itself"`       // the baseline against itself: any difference is false
	Arms         []Tally         `json:"arms"`         // every other arm: it is known to mitigate
	Seconds      []float64       `json:"seconds"`      // of each run
	Verdict      Verdict         `json:"verdict"`      // fail: more verdicts are wrong than may be, beyond what chance explains
}

// Tally counts the verdicts of one comparison over all runs. A comparison that is
// undecided is neither right nor wrong.
type Tally struct {
	Arm      string             `json:"arm"`
	Verdicts map[ArmVerdict]int `json:"verdicts"` // of conclusive runs
	Wrong    int                `json:"wrong"`
	Low      float64            `json:"low"` // of the share that is wrong: its 95 % interval
	High     float64            `json:"high"`
}

// CountDecided returns the number of verdicts that can be right or wrong.
func (t Tally) CountDecided() (n int) {
	for v, runs := range t.Verdicts {
		if v.IsDecided() {
			n += runs
		}
	}
	return n
}

// CountUndecided returns the number of conclusive runs without such a verdict.
func (t Tally) CountUndecided() (n int) {
	for _, runs := range t.Verdicts {
		n += runs
	}
	return n - t.CountDecided()
}
