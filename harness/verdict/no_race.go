package verdict

import (
	"fmt"

	"snatlab/harness/result"
)

const (
	missedMany  = 0.1   // of all slots: from there on the clients are out of step
	slowestRate = 0.001 // that lockstep is to be seen at; machines in a slow state lost 0.1 to 0.7 %
)

// warnNoRace lists what was measured that keeps the race from occurring in a run that
// it leaves without an answer, the most certain first. Where another arm shows the
// race, the baseline's own rule is reason enough.
func warnNoRace(r *result.Result) (found []result.Warning) {
	if r.ShowsRace() || r.Verdict != result.Inconclusive || len(r.Arms) == 0 || len(r.Arms[0].Trials) == 0 {
		return nil
	}
	baseline := r.Arms[0]
	requests, missed, control := baseline.SumTotals().Requests, missedShare(baseline), warnControl(r.Arms)
	for _, reason := range []struct {
		warning result.Warning
		applies bool
	}{
		{result.Warning{Code: result.NoRaceOneClient}, r.Scenario.Clients == 1},
		{result.Warning{Code: result.NoRaceSplitPorts}, baseline.SplitsPorts() || baseline.PortsPerClient > 0},
		{result.Warning{Code: result.NoRaceDrawnPorts}, baseline.DrawsPorts()},
		{result.Warning{Code: result.NoRaceLeftOut}, baseline.LeftOutPorts() != nil},
		{result.Warning{Code: result.NoRaceOneCPU}, r.Environment.CPUs == 1},
		{result.Warning{Code: result.NoRaceKernelPorts}, r.Scenario.Pattern == result.Ephemeral && !hasSharedCounter(r.Environment.Kernel)},
		{result.Warning{Code: result.NoRaceClock}, result.InLockstep(r.Scenario.Pattern) && r.Scenario.Sync == result.SyncClock},
		{result.Warning{Code: result.NoRaceMissedSlots, Share: missed}, missed > missedMany},
		{control, control.Code != ""},
		{result.Warning{Code: result.NoRaceFewRequests, Count: requests}, r.Incomplete == "" && float64(requests)*slowestRate < result.Floor},
	} {
		if reason.applies {
			found = append(found, reason.warning)
		}
	}
	return found
}

// warnControl returns what the phase lock tried, if the trials have a control and none
// of it was hit. Otherwise, the warning has no code.
func warnControl(arms []result.Arm) (w result.Warning) {
	for _, a := range arms {
		for _, t := range a.Trials {
			switch {
			case t.Control == nil || t.Phase == nil:
				continue
			case t.Control.Causes[result.SNATRace] > 0:
				return result.Warning{}
			case w.Code == "":
				w.Code, w.DelayLow = result.NoRaceControl, t.Phase.DelayLow
			}
			w.Count += t.Phase.Searches
			w.DelayLow, w.DelayHigh = min(w.DelayLow, t.Phase.DelayLow), max(w.DelayHigh, t.Phase.DelayHigh)
		}
	}
	return w
}

// hasSharedCounter reports whether a kernel takes the ports of all connections from
// one counter, as kernels did before 5.0: there, ports that it chose do meet.
func hasSharedCounter(release string) bool {
	var major int
	_, err := fmt.Sscanf(release, "%d.", &major)
	return err == nil && major < 5
}

// missedShare returns the share of the slots of an arm in which a client did not
// fire in step.
func missedShare(arm result.Arm) float64 {
	missed := 0
	for _, t := range arm.Trials {
		missed += t.Slots.Missed
	}
	return float64(missed) / float64(max(1, arm.SumTotals().Requests))
}
