package result

import "time"

// NightSchema names the meaning of the fields of [Night].
const NightSchema = "snatlab.night/v1"

// Night is the record of one nightly: scenarios that were run and set against
// their history.
type Night struct {
	Schema       string     `json:"schema"`
	ID           string     `json:"id"` // unique, as a result's
	Version      string     `json:"version"`
	Started      time.Time  `json:"started"`
	Seconds      float64    `json:"seconds"`
	Kernel       string     `json:"kernel"`               // uname -r
	KernelBefore string     `json:"kernel_before"`        // of the last run in the store that this machine made itself; empty if there is none
	LastRun      *time.Time `json:"last_run"`             // when that was; nil if there is none
	Incomplete   string     `json:"incomplete,omitempty"` // why scenarios are missing: the night was interrupted, or had to stop
	Runs         []Judged   `json:"runs"`
	Warnings     []string   `json:"warnings"`
	Store        StoreState `json:"store"`
}

// StoreState says what the store of results holds after a night.
type StoreState struct {
	Path  string `json:"path"`
	Runs  int    `json:"runs"`
	Bytes int64  `json:"bytes"`
	Error string `json:"error,omitempty"` // why it did not take a result of this night
}

// Judged is a scenario, what it gave tonight, and what its history says about
// that.
type Judged struct {
	Scenario     string      `json:"scenario"` // its name; the file's, where that could not be read
	File         string      `json:"file"`     // as it was given
	Driver       string      `json:"driver"`   // empty where it could not be read
	Outcome      Outcome     `json:"outcome"`
	Reason       string      `json:"reason,omitempty"`   // of an outcome other than ok, in one sentence; of a regression, what broke off after it was proven
	Seconds      float64     `json:"seconds"`            // of all attempts
	Compared     int         `json:"compared"`           // runs in its history that it was set against
	KernelBefore string      `json:"kernel_before"`      // of the last of them; empty if there is none
	Before       []ArmBefore `json:"before"`             // what they say of each arm, in the scenario's order
	Attempts     int         `json:"attempts"`           // runs that ended by themselves: more than one where the first gave reason to
	KeyChange    string      `json:"anew,omitempty"`     // why its history began anew tonight: what of the key changed; empty where it did not
	Findings     []Finding   `json:"findings"`           // that every attempt confirmed
	Doubts       []string    `json:"doubts,omitempty"`   // what differs as well, and may be chance, in a sentence each
	Result       *Result     `json:"result"`             // of the last attempt; nil where there is none
	Unstored     []*Result   `json:"unstored,omitempty"` // those that the store did not take: they are nowhere else
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

// Outcome is what a run comes to in the light of its history.
type Outcome string

// The outcomes of a run.
const (
	OutcomeOK           Outcome = "ok"
	OutcomeRegression   Outcome = "regression"
	OutcomeKnown        Outcome = "xfail"        // a regression, and every part of it is written down as known
	OutcomeFail         Outcome = "fail"         // an expectation held in no attempt, and its history does not show that this is new: it never held, or held and broke by turns
	OutcomeInconclusive Outcome = "inconclusive" // the last result is, or the attempts do not agree
	OutcomeError        Outcome = "error"        // there is no result that can be judged
)

// Outcomes are all of them, the worst first.
var Outcomes = []Outcome{OutcomeRegression, OutcomeFail, OutcomeError, OutcomeInconclusive, OutcomeKnown, OutcomeOK}

// Finding is one thing that differs from before.
type Finding struct {
	Kind  FindingKind `json:"kind"`
	Arm   string      `json:"arm"`
	Claim string      `json:"claim,omitempty"` // the expectation that broke, as it is printed; empty for other kinds
	Text  string      `json:"text"`            // one sentence, with the figures
	P     *float64    `json:"p"`               // of the test behind it; nil where there is none
	Known string      `json:"known,omitempty"` // the reason that is written down for it

	// Expectation is the expectation that broke. A record in JSON has its Claim
	// only.
	Expectation ExpectationKey `json:"-"`
}

// IsBroken reports whether the finding is that the expectation e broke.
func (f Finding) IsBroken(e Expectation) bool {
	return f.Kind == ExpectationBroken && f.Expectation == e.Key()
}

// FindingKind says what differs.
type FindingKind string

// The kinds of findings. All but a shift are regressions.
const (
	VerdictFell       FindingKind = "verdict"     // mitigated before, and less now
	FailuresRose      FindingKind = "failures"    // a mitigated arm fails more often than its history allows
	NewCause          FindingKind = "cause"       // requests fail for a cause that they never failed for
	ExpectationBroken FindingKind = "expectation" // held before, and does not now
	Shift             FindingKind = "shift"       // the baseline's own rate has changed, which moves with timing
)
