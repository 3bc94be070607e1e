package result

import "time"

// GroupComparisonSchema names the meaning of the fields of [GroupComparison].
const GroupComparisonSchema = "snatlab.contrast/v1"

// GroupComparison compares runs of a scenario with earlier ones.
type GroupComparison struct {
	Schema   string       `json:"schema"`
	Scenario string       `json:"scenario"` // its name
	Hash     string       `json:"hash"`     // and its hash, which both sides have
	Old      Side         `json:"old"`
	New      Side         `json:"new"`
	Unit     string       `json:"unit"` // of a value of the test: [UnitTrial] or [UnitRun]
	Arms     []ArmChange  `json:"arms"` // of both sides; the first is the baseline
	Findings []Finding    `json:"findings"`
	Differs  []Difference `json:"differs"` // of the environment, without the kernel
	Warnings []string     `json:"warnings"`
	Verdict  Verdict      `json:"verdict"` // pass: no regression
	Summary  string       `json:"summary"` // the verdict in one sentence
}

// Side is one side of the comparison.
type Side struct {
	Name    string    `json:"name"` // as the user named it
	Runs    []string  `json:"runs"` // their IDs, oldest first
	Kernels []string  `json:"kernels"`
	First   time.Time `json:"first"` // when the first run began
	Last    time.Time `json:"last"`  // and the last
}

// ArmChange is an arm on both sides.
type ArmChange struct {
	Name string     `json:"name"`
	Old  ArmRuns    `json:"old"`
	New  ArmRuns    `json:"new"`
	Rate RateChange `json:"rate"`
}

// RateChange is the change of a failure rate, by the unit of the comparison. The
// change is a share of the old median: 0.1 is 10 % more. Low to High is its 95 %
// interval. Figures that do not exist are nil.
type RateChange struct {
	Old      Spread   `json:"old"`
	New      Spread   `json:"new"`
	Estimate *float64 `json:"estimate"`
	Low      *float64 `json:"low"`
	High     *float64 `json:"high"`
	P        *float64 `json:"p"`      // exact up to 120 values, two-sided
	PHolm    *float64 `json:"p_holm"` // adjusted for the number of arms
}

// Difference is one fact of the environment that differs.
type Difference struct {
	What string `json:"what"`
	Old  string `json:"old"`
	New  string `json:"new"`
	Key  bool   `json:"key"` // part of the key: runs that differ in it should not be compared
}
