package export

import "snatlab/harness/result"

// armLabels are the labels of a figure of an arm.
var armLabels = []string{"scenario", "driver", "kernel", "arm"}

// labelsOf returns the values of armLabels.
func labelsOf(j result.NightRun, arm string) []string {
	return []string{j.Scenario, j.Driver, j.Result.Environment.Kernel, arm}
}

// registerSpread registers a median of an arm's trials and the ends of its interval, and
// returns the function that sets them. There unit is how many units of the spread make one
// of the metric. Ends that the trials do not have are missing.
func (m *metrics) registerSpread(name, help string) func(s result.Spread, unit float64, of ...string) {
	median := m.registerGauge(name, help, armLabels...)
	low, high := m.registerEnds(name, "95 %", armLabels)
	return func(s result.Spread, unit float64, of ...string) {
		median(s.Median/unit, of...)
		setKnown(low, s.Low, unit, of)
		setKnown(high, s.High, unit, of)
	}
}

// registerEnds registers the ends of the interval of another metric.
func (m *metrics) registerEnds(name, level string, labels []string) (low, high func(float64, ...string)) {
	low = m.registerGauge(name+"_low", "Lower end of the "+level+" interval of "+name+".", labels...)
	high = m.registerGauge(name+"_high", "Upper end of the "+level+" interval of "+name+"; missing if there is none.", labels...)
	return low, high
}

// setKnown sets a figure that is known.
func setKnown(gauge func(float64, ...string), figure *float64, unit float64, of []string) {
	if figure != nil {
		gauge(*figure/unit, of...)
	}
}

// registerArms registers the figures of all attempts together.
func (m *metrics) registerArms(runs []result.NightRun) {
	ratio := m.registerSpread("snatlab_failure_ratio", "Share of the requests of an arm that failed, the median of its trials.")
	requests := m.registerGauge("snatlab_requests", "Requests that were sent under an arm.", armLabels...)
	failed := m.registerGauge("snatlab_failed_requests", "Requests that failed under an arm, by cause.", append(armLabels[:4:4], "cause")...)
	baseline := m.registerGauge("snatlab_baseline", "Whether an arm is the baseline, with which the others are compared.", armLabels...)
	inserts := m.registerGauge("snatlab_insert_failed", "Conntrack entries that could not be inserted under an arm, without those of its control.", armLabels...)
	verdict := m.registerGauge("snatlab_verdict", "The verdict of an arm; always 1.", append(armLabels[:4:4], "verdict")...)
	mitigated := m.registerGauge("snatlab_mitigated", "Whether the verdict of an arm is mitigated; missing if it is undecided.", armLabels...)
	for _, j := range runs {
		if j.Result == nil {
			continue
		}
		for _, a := range j.Result.Arms {
			if len(a.Trials) == 0 {
				continue
			}
			of := labelsOf(j, a.Name)
			ratio(a.FailureRate, 1, of...)
			baseline(boolValue(isBaseline(j, a.Name)), of...)
			requests(float64(result.SumTrials(a.Trials, func(t result.Trial) int { return t.Requests })), of...)
			inserts(float64(result.SumTrials(a.Trials, ownInsertFailed)), of...)
			for _, cause := range result.CausesOf([]result.Arm{a}) {
				failed(float64(result.SumTrials(a.Trials, func(t result.Trial) int { return t.Causes[cause] })), append(of[:4:4], cause)...)
			}
		}
		for _, c := range j.Result.Comparisons {
			of := labelsOf(j, c.Arm)
			verdict(1, append(of[:4:4], string(c.Verdict))...)
			if undecidedReason(j.Result, c.Arm) == "" {
				mitigated(boolValue(c.Verdict == result.Mitigated), of...)
			}
		}
	}
}

// ownInsertFailed returns the failed insertions of a trial that its control does not
// account for. The kernel counts both together.
func ownInsertFailed(t result.Trial) uint64 {
	all := t.Conntrack.InsertFailed
	if t.Control == nil {
		return all
	}
	var control uint64
	for _, cause := range []string{result.SNATRace, result.PortExhaustion, result.ChainTooLong} {
		control += uint64(t.Control.Causes[cause])
	}
	return all - min(all, control)
}

// registerLatencies registers the times to connect, and what the other arms add to those
// of the baseline.
func (m *metrics) registerLatencies(runs []result.NightRun) {
	const microseconds = 1e6
	p50 := m.registerSpread("snatlab_latency_p50_seconds", "Median of the time to connect under an arm, the median of its trials.")
	p99 := m.registerSpread("snatlab_latency_p99_seconds", "99th percentile of the time to connect under an arm, the median of its trials.")
	const name = "snatlab_latency_change_ratio"
	labels := append(armLabels[:4:4], "percentile")
	change := m.registerGauge(name, "By how much the time to connect under an arm differs from that of the baseline: 0.1 is 10 % more.", labels...)
	low, high := m.registerEnds(name, "95 %", labels)
	for _, j := range runs {
		if j.Result == nil {
			continue
		}
		for _, a := range j.Result.Arms {
			if len(a.Trials) > 0 {
				p50(a.LatencyP50, microseconds, labelsOf(j, a.Name)...)
				p99(a.LatencyP99, microseconds, labelsOf(j, a.Name)...)
			}
		}
		for _, c := range j.Result.Comparisons {
			for _, l := range c.Latency {
				of := append(labelsOf(j, c.Arm), l.Percentile)
				setKnown(change, l.Estimate, 1, of)
				setKnown(low, l.Low, 1, of)
				setKnown(high, l.High, 1, of)
			}
		}
	}
}

// registerShares registers the shares of the failures that remain.
func (m *metrics) registerShares(runs []result.NightRun) {
	share := m.registerGauge("snatlab_remaining_ratio", "Share of the failures that remains under an arm: 0 none, 1 all; of the baseline, against its own control.", armLabels...)
	low, high := m.registerEnds("snatlab_remaining_ratio", "99.9 %", armLabels)
	allowed := m.registerGauge("snatlab_remaining_ratio_allowed", "The largest snatlab_remaining_ratio that the history of an arm allows; missing while the history is too short.", "scenario", "driver", "arm")
	slow := m.registerGauge("snatlab_slow_nights", "Of the last 7 nights at most, those in which the baseline lost less than a tenth of what it lost in the night with the most losses.", "scenario", "driver")
	for _, j := range runs {
		if j.Machine != nil {
			slow(float64(j.Machine.Slow), j.Scenario, j.Driver)
		}
		for _, s := range j.Shares {
			if s.Allowed != nil {
				allowed(*s.Allowed, j.Scenario, j.Driver, s.Arm)
			}
		}
		if j.Result == nil {
			continue
		}
		for _, a := range j.Result.Arms {
			r := findShare(j.Result, a.Name)
			if r == nil || r.Estimate == nil {
				continue
			}
			of := labelsOf(j, a.Name)
			share(*r.Estimate, of...)
			low(r.DecisiveLow, of...)
			setKnown(high, r.DecisiveHigh, 1, of)
		}
	}
}

// registerControls registers the requests of the control of each arm.
func (m *metrics) registerControls(runs []result.NightRun) {
	requests := m.registerGauge("snatlab_control_requests", "Requests of the control that were sent in the trials of an arm.", armLabels...)
	failed := m.registerGauge("snatlab_control_failed_requests", "Requests of the control that failed in the trials of an arm, by cause.", append(armLabels[:4:4], "cause")...)
	for _, j := range runs {
		if j.Result == nil {
			continue
		}
		for _, a := range j.Result.Arms {
			sent, causes := 0, map[string]int{result.SNATRace: 0, result.Unexplained: 0}
			for _, t := range a.Trials {
				if t.Control == nil {
					continue
				}
				sent += t.Control.Requests
				for cause, n := range t.Control.Causes {
					causes[cause] += n
				}
			}
			if sent == 0 {
				continue
			}
			of := labelsOf(j, a.Name)
			requests(float64(sent), of...)
			for cause, n := range causes {
				if n > 0 || cause == result.SNATRace || cause == result.Unexplained {
					failed(float64(n), append(of[:4:4], cause)...)
				}
			}
		}
	}
}
