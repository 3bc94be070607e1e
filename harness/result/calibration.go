package result

// CalibrationSchema names the meaning of the fields of [Calibration].
const CalibrationSchema = "snatlab.calibration/v1"

// Calibration is how often verdicts were wrong where the truth is known.
type Calibration struct {
	Schema       string          `json:"schema"`
	Version      string          `json:"version"`
	Scenario     ScenarioSummary `json:"scenario"`
	Environment  Env             `json:"environment"` // of the last run
	Runs         int             `json:"runs"`
	Inconclusive int             `json:"inconclusive"` // runs that measured no arm: without hits, or with a broken instrument
	Itself       Tally           `json:"itself"`       // the baseline a second time, as an arm: all of its failures remain
	Arms         []Tally         `json:"arms"`         // every other arm
	Seconds      []float64       `json:"seconds"`      // of each run
	Verdict      Verdict         `json:"verdict"`      // fail: more is wrong than is promised, beyond what chance explains
}

// Tallies returns all tallies, that of the baseline against itself first.
func (c *Calibration) Tallies() []Tally { return append([]Tally{c.Itself}, c.Arms...) }

// Tally holds one arm's verdicts against the truth, over all runs.
type Tally struct {
	Arm       string             `json:"arm"`
	Remaining float64            `json:"remaining"` // the share of the failures that remains in truth
	Verdicts  map[ArmVerdict]int `json:"verdicts"`  // of all runs
	Wrong     int                `json:"wrong"`     // verdicts that are not true
	Missed    int                `json:"missed"`    // runs whose verdict is true, or there is none, though a verdict that says more is true
	Low       float64            `json:"low"`       // of the share of runs with a wrong verdict: its 95 % interval
	High      float64            `json:"high"`
	Intervals []Coverage         `json:"intervals"` // at Confidence and at DecisiveConfidence
	Outcomes  []CalibratedRun    `json:"outcomes"`  // of each run

	// Pooled is the share that remained over all runs; its trials are the runs. Nil
	// without a failed request.
	Pooled *Remaining `json:"pooled,omitempty"`
}

// Coverage is how often an interval of the share that remains held the truth.
type Coverage struct {
	Confidence float64 `json:"confidence"` // that was promised
	Runs       int     `json:"runs"`       // that had an interval
	Held       int     `json:"held"`
	Low        float64 `json:"low"` // of the share that held: its 95 % interval
	High       float64 `json:"high"`
}

// CalibratedRun is what one run said about one arm.
type CalibratedRun struct {
	Verdict   ArmVerdict `json:"verdict"`
	Why       Why        `json:"why,omitempty"`
	Remaining *Remaining `json:"remaining,omitempty"`
}
