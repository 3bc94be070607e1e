package wording

import (
	"slices"

	"snatlab/harness/result"
)

// caveatOrder lists the warnings by how much they limit what a result says: the first of
// them that a run has is its caveat. Any other code comes last.
var caveatOrder = []result.WarningCode{
	result.InstrumentFailed,
	result.NoRaceOneClient, result.NoRaceSplitPorts, result.NoRaceDrawnPorts, result.NoRaceLeftOut, result.NoRaceOneCPU,
	result.NoRaceKernelPorts, result.NoRaceClock, result.NoRaceMissedSlots, result.NoRaceControl, result.NoRaceFewRequests,
	result.FewRoundsToCompare, result.FewRounds, result.FilteredPorts, result.FewHits,
	result.ForeignTraffic, result.ExcessInsertions, result.Strangers, result.LateAnswers, result.ForeignDatagrams,
	result.BusyMachine, result.NoSharedMemory, result.NoControl,
	result.MachineChanged, result.BaselineRose, result.BaselineFell, result.UnexplainedFailures,
	result.FewRoundsForInterval, result.InstrumentDivided, result.FewRoundsToScatter,
	result.ExhaustedPorts, result.PortsLeftOut, result.FewAddresses, result.DrawsLowPorts,
	result.NotWidened, result.WidenedWindow, result.NoHits,
}

// caveat returns the warning that matters most, and how many there are beside it. A run
// that ended early has no greater one.
func caveat(r *result.Result) (text string, more int) {
	switch {
	case r.Incomplete != "":
		return "the run ended early: " + joinLines(r.Incomplete), len(r.Warnings)
	case len(r.Warnings) == 0 && judgedByMedians(r):
		return JudgedByMedians, 0
	case len(r.Warnings) == 0:
		return "", 0
	}
	first := 0
	for i := range r.Warnings {
		if caveatRank(r, i) < caveatRank(r, first) {
			first = i
		}
	}
	return r.Warnings[first], len(r.Warnings) - 1
}

// caveatRank returns the place of a warning in caveatOrder.
func caveatRank(r *result.Result, i int) int {
	if i < len(r.WarningValues) {
		if rank := slices.Index(caveatOrder, r.WarningValues[i].Code); rank >= 0 {
			return rank
		}
	}
	return len(caveatOrder)
}

// judgedByMedians reports whether a result is of a version that compared the medians of
// trials.
func judgedByMedians(r *result.Result) bool {
	return len(r.Comparisons) > 0 && !slices.ContainsFunc(r.Comparisons, func(c result.Comparison) bool { return c.Method != "" })
}
