package result

import "time"

// HistorySchema names the meaning of the fields of [History].
const HistorySchema = "snatlab.history/v1"

// History is what a store of results shows over time.
type History struct {
	Schema   string   `json:"schema"`
	Store    string   `json:"store"`  // its folder
	Series   []Series `json:"series"` // by scenario, then the one that began first
	Warnings []string `json:"warnings"`
}

// Series is all runs with the same key.
type Series struct {
	ID      string       `json:"id"` // of the key: 8 hexadecimal digits, for --series
	Key     Key          `json:"key"`
	Kernels []KernelRuns `json:"kernels"` // in the order in which they were first seen
	Runs    []RunSummary `json:"runs"`    // oldest first
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
	Verdicts    map[ArmVerdict]int `json:"verdicts"`     // of the comparisons with the baseline
}

// RunSummary is a result without its trials, as a store lists it.
type RunSummary struct {
	ID         string        `json:"id"`
	Folder     string        `json:"folder"` // its name in the store
	Version    string        `json:"version"`
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
	Verdict     ArmVerdict     `json:"verdict"` // of the comparison with the baseline; empty for the baseline
}
