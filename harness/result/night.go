package result

import "time"

// NightSchema names the meaning of the fields of [Night].
const NightSchema = "snatlab.night/v1"

// Night is the record of one nightly: scenarios that were run and compared with their
// history.
type Night struct {
	Schema       string     `json:"schema"`
	ID           string     `json:"id"` // unique, like that of a result
	Version      string     `json:"version"`
	Node         string     `json:"node"` // uname -n; empty in records of versions before it was recorded
	Started      time.Time  `json:"started"`
	Seconds      float64    `json:"seconds"`
	Kernel       string     `json:"kernel"`               // uname -r
	KernelBefore string     `json:"kernel_before"`        // of the last run of this machine in the store, without its guests; empty if there is none
	LastRun      *time.Time `json:"last_run"`             // time of that run; nil if there is none
	Incomplete   string     `json:"incomplete,omitempty"` // why scenarios are missing: the night was interrupted, or had to stop
	Runs         []NightRun `json:"runs"`
	Warnings     []string   `json:"warnings"`
	Store        StoreState `json:"store"`
}

// StoreState is the size of the store of results after a night.
type StoreState struct {
	Path  string `json:"path"`
	Runs  int    `json:"runs"`
	Bytes int64  `json:"bytes"`
	Error string `json:"error,omitempty"` // why a result of this night is not in it
}

// NightRun is the outcome of a scenario tonight, in comparison with its history.
type NightRun struct {
	Scenario     string      `json:"scenario"`       // its name; that of the file if it cannot be read
	File         string      `json:"file"`           // as the user named it
	Driver       string      `json:"driver"`         // empty if it cannot be read
	Node         string      `json:"node,omitempty"` // of a cluster, on which it was run; empty: this machine
	Outcome      Outcome     `json:"outcome"`
	Reason       string      `json:"reason,omitempty"` // of an outcome other than ok, in one sentence; of a regression, what ended the attempt after it was proven
	Seconds      float64     `json:"seconds"`          // of all attempts
	Compared     int         `json:"compared"`         // earlier runs that it was compared with
	KernelBefore string      `json:"kernel_before"`    // of the last of them; empty if there is none
	Before       []ArmBefore `json:"before"`           // the rates of each arm in them, in the order of the scenario
	Attempts     int         `json:"attempts"`         // runs that ended by themselves: more than one if the first left a doubt
	KeyChange    string      `json:"anew,omitempty"`   // what of the key changed, so that its history restarted tonight; empty if it did not
	Findings     []Finding   `json:"findings"`         // confirmed by at least two attempts
	Doubts       []string    `json:"doubts,omitempty"` // a sentence for each further difference, which may be chance
	Result       *Result     `json:"result"`           // of all attempts together: the last of them, with the trials of all; nil if there is none

	// Shares compare the shares of the failures that remain, which are in Result, with
	// those of earlier nights, arm by arm without the first. Machine is how often the race
	// occurs on this machine; nil where that is not known.
	Shares  []NightShare  `json:"shares,omitempty"`
	Machine *MachineState `json:"machine,omitempty"`

	Unstored []*Result `json:"unstored,omitempty"` // those that could not be stored, and are nowhere else
}

// ArmBefore is the failure rate of an arm in earlier runs, the median over the
// trials of each.
type ArmBefore struct {
	Arm     string  `json:"arm"`
	Runs    int     `json:"runs"`
	Lowest  float64 `json:"lowest"`
	Median  float64 `json:"median"`
	Highest float64 `json:"highest"`
}

// NightShare is the share of the failures that remained under an arm in earlier nights.
type NightShare struct {
	Arm     string     `json:"arm"`
	Before  *Remaining `json:"before"`  // of the sums over the earlier nights; its trials are nights. Nil if there are none
	Nights  int        `json:"nights"`  // earlier nights
	Allowed *float64   `json:"allowed"` // the largest share that they allow a night; nil if they are too few, or allow any
}

// MachineState is how many of the last nights, tonight included, were slow: the baseline
// lost less than a tenth of what it lost in the night of them in which it lost most.
type MachineState struct {
	Slow   int `json:"slow"`
	Nights int `json:"nights"`
}

// Outcome is the outcome of a scenario in comparison with its history.
type Outcome string

// The outcomes of a run.
const (
	OutcomeOK           Outcome = "ok"
	OutcomeRegression   Outcome = "regression"
	OutcomeKnown        Outcome = "xfail"        // a regression, and every part of it is known
	OutcomeFail         Outcome = "fail"         // an expectation is broken by all attempts together, and its history does not show that this is new: it never held, or only now and then
	OutcomeInconclusive Outcome = "inconclusive" // all attempts together decide too little
	OutcomeError        Outcome = "error"        // no result can be judged
)

// Outcomes lists all outcomes, the worst first.
var Outcomes = []Outcome{OutcomeRegression, OutcomeFail, OutcomeError, OutcomeInconclusive, OutcomeKnown, OutcomeOK}

// Finding is one difference from earlier runs.
type Finding struct {
	Kind  FindingKind `json:"kind"`
	Arm   string      `json:"arm"`
	Claim string      `json:"claim,omitempty"` // the expectation that broke, as it is printed; empty for other kinds
	Text  string      `json:"text"`            // one sentence, with the figures
	P     *float64    `json:"p"`               // of the test behind it; nil if there is none
	Known string      `json:"known,omitempty"` // the reason, if it is a known failure

	// Expectation identifies the expectation that broke. It is not in JSON, which
	// has the Claim.
	Expectation ExpectationKey `json:"-"`
}

// IsBroken reports whether the finding is that the expectation e broke.
func (f Finding) IsBroken(e Expectation) bool {
	return f.Kind == ExpectationBroken && f.Expectation == e.Key()
}

// FindingKind is the kind of a difference.
type FindingKind string

// The kinds of findings. All but a shift are regressions.
const (
	RemainingRose     FindingKind = "remaining"   // more of the failures remain under an arm than its history allows
	VerdictFell       FindingKind = "verdict"     // of results without shares that remain: mitigated before, and less now
	FailuresRose      FindingKind = "failures"    // of results without them: a mitigated arm fails more often than before
	NewCause          FindingKind = "cause"       // requests fail for a cause that is new
	ExpectationBroken FindingKind = "expectation" // held before, and does not hold now
	Shift             FindingKind = "shift"       // the baseline's own rate has changed since a new kernel; it moves with timing
)
