package result

import "time"

// HistorySchema names the meaning of the fields of [History].
const HistorySchema = "snatlab.history/v1"

// RunAlpha is the level of the tests that compare runs, or nights, of which there are few: a
// difference counts where its p is below it.
const RunAlpha = 0.01

// History is what a store of results shows over time.
type History struct {
	Schema   string   `json:"schema"`
	Store    string   `json:"store"`  // its folder
	Series   []Series `json:"series"` // by scenario, then the one that began first
	Warnings []string `json:"warnings"`
}

// RunListSchema names the meaning of the fields of [RunList].
const RunListSchema = "snatlab.runs/v1"

// RunList is the runs of a store.
type RunList struct {
	Schema   string       `json:"schema"`
	Store    string       `json:"store"` // its folder
	Runs     []RunSummary `json:"runs"`  // oldest first
	Warnings []string     `json:"warnings"`
}

// Series is all runs with the same key, those by hand apart from the others.
type Series struct {
	ID      string       `json:"id"` // 8 hexadecimal digits, for --series; that of the key if the runs are not by hand
	Key     Key          `json:"key"`
	ByHand  bool         `json:"by_hand,omitempty"` // the runs of `snatlab run`, which are no nights
	Kernels []KernelRuns `json:"kernels"`           // in the order in which they were first seen
	Runs    []RunSummary `json:"runs"`              // oldest first
}

// KernelRuns is the runs of a series on one kernel. Runs that ended early count only in
// Incomplete.
type KernelRuns struct {
	Kernel     string          `json:"kernel"` // uname -r
	First      time.Time       `json:"first"`  // when the first run began
	Last       time.Time       `json:"last"`   // and the last
	Runs       int             `json:"runs"`
	Incomplete int             `json:"incomplete"`
	Verdicts   map[Verdict]int `json:"verdicts"` // pass: of runs without expectations, those with a finding
	Arms       []ArmRuns       `json:"arms"`     // the first is the baseline
}

// ArmRuns is an arm in several runs.
type ArmRuns struct {
	Name        string             `json:"name"`
	Requests    int                `json:"requests"`
	Failed      int                `json:"failed"`
	FailureRate Spread             `json:"failure_rate"` // over runs, of the median over the trials of each
	Verdicts    map[ArmVerdict]int `json:"verdicts"`     // of the comparisons

	// Remaining is the share of the failures that remains, of the sums over the runs. Its
	// intervals allow for the scatter of Units, of which there are Remaining.Trials. Nil
	// where no run has a share that counts.
	Remaining *Remaining `json:"remaining,omitempty"`
	Units     string     `json:"units,omitempty"` // UnitTrial of a single night, else UnitNight
}

// RunSummary is a result without its trials, as a store lists it.
type RunSummary struct {
	ID         string        `json:"id"`
	Folder     string        `json:"folder"` // its name in the store
	Version    string        `json:"version"`
	Command    string        `json:"command,omitempty"`
	Label      string        `json:"label,omitempty"`
	Started    time.Time     `json:"started"`
	Kernel     string        `json:"kernel"` // uname -r
	Key        Key           `json:"key"`
	Verdict    Verdict       `json:"verdict"`
	Incomplete string        `json:"incomplete,omitempty"`
	Arms       []ArmSummary  `json:"arms"` // in the scenario's order; the first is the baseline
	Expected   []Expectation `json:"expected"`
}

// ArmSummary is an arm without its trials.
type ArmSummary struct {
	Name        string         `json:"name"`
	Trials      int            `json:"trials"`
	Requests    int            `json:"requests"` // of all trials
	Failed      int            `json:"failed"`
	Causes      map[string]int `json:"causes"` // without those that are 0
	FailureRate Spread         `json:"failure_rate"`
	Verdict     ArmVerdict     `json:"verdict"` // of the comparison; empty for the baseline

	Why    Why    `json:"why,omitempty"`    // of the comparison
	Method Method `json:"method,omitempty"` // likewise

	// Remaining is that of the comparison; of the baseline, that of the instrument. Counts
	// are the sums that it is made of, trial by trial. Both are nil in results of versions
	// before shares were recorded, and where there is nothing to compare the arm with.
	Remaining *Remaining `json:"remaining,omitempty"`
	Counts    []Counts   `json:"counts,omitempty"`
}

// Counts are requests of an arm, and those that they are compared with in the same round:
// of its control, or of the baseline (see [Method]).
type Counts struct {
	Failed          int `json:"failed"`
	Requests        int `json:"requests"`
	ControlFailed   int `json:"control_failed"`
	ControlRequests int `json:"control_requests"`
}

// Plus returns the sums.
func (c Counts) Plus(o Counts) Counts {
	return Counts{c.Failed + o.Failed, c.Requests + o.Requests, c.ControlFailed + o.ControlFailed, c.ControlRequests + o.ControlRequests}
}

// Share returns the share of the failures that remains; 0 where the control has none.
func (c Counts) Share() float64 {
	if c.ControlFailed == 0 || c.Requests == 0 {
		return 0
	}
	return float64(c.Failed) / float64(c.Requests) / (float64(c.ControlFailed) / float64(c.ControlRequests))
}
