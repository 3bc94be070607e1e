package result

import "slices"

// Totals are sums over the trials of an arm, in requests.
type Totals struct{ Requests, Failed, Race, Unexplained int }

// RaceRate returns the share of requests that were lost to the race.
func (t Totals) RaceRate() float64 { return float64(t.Race) / float64(max(1, t.Requests)) }

// SumTotals returns the sums over the trials of the arm.
func (a Arm) SumTotals() Totals {
	var sum Totals
	for _, t := range a.Trials {
		sum.Requests += t.Requests
		sum.Failed += t.Failed
		sum.Race += t.Causes[SNATRace]
		sum.Unexplained += t.Causes[Unexplained]
	}
	return sum
}

// SumControl returns the sums over the controls of the arm's trials.
func (a Arm) SumControl() Totals {
	var sum Totals
	for _, t := range a.Trials {
		if c := t.Control; c != nil {
			sum.Requests += c.Requests
			sum.Failed += c.Failed
			sum.Race += c.Causes[SNATRace]
			sum.Unexplained += c.Causes[Unexplained]
		}
	}
	return sum
}

// SumCause returns the requests of the arm that failed for a cause, in all trials.
func (a Arm) SumCause(cause string) int {
	return SumTrials(a.Trials, func(t Trial) int { return t.Causes[cause] })
}

// HasControl reports whether a trial of any of the arms has a control.
func HasControl(arms []Arm) bool {
	return slices.ContainsFunc(arms, func(a Arm) bool {
		return slices.ContainsFunc(a.Trials, func(t Trial) bool { return t.Control != nil })
	})
}

// FailureRates returns failed / requests of each trial that sent a request, in the
// order of the trials.
func (a Arm) FailureRates() []float64 {
	var all []float64
	for _, t := range a.Trials {
		if t.Requests > 0 {
			all = append(all, t.FailedShare())
		}
	}
	return all
}

// ShowsRace reports whether the race occurred at all: in an arm and its control.
func (r *Result) ShowsRace() bool {
	return slices.ContainsFunc(r.Arms, func(a Arm) bool { return a.SumTotals().Race+a.SumControl().Race >= Floor })
}

// IsDecided reports whether a comparison came to a verdict about the arm.
func (v ArmVerdict) IsDecided() bool { return v != Undecided && v != ArmInconclusive }

// DrawsPorts reports whether the arm's rule draws source ports at random, of all
// connections or of a part of them.
func (a Arm) DrawsPorts() bool {
	return a.Options != nil && (a.Options.Random || a.Options.RandomFully)
}

// SplitsPorts reports whether each client of the arm has source ports of its own.
func (a Arm) SplitsPorts() bool {
	return slices.Contains(a.SettingValues, Setting{PartClients, KeySourcePorts, SplitPorts})
}

// KeepsApart reports whether clients of the arm have different source ports, drawn or
// of their own before or after NAT, whatever its addresses and ranges are.
func (a Arm) KeepsApart() bool { return a.DrawsPorts() || a.SplitsPorts() || a.PortsPerClient > 0 }

// LeftOutPorts returns the ports of the arm's clients that its rule does not keep
// since they are not in the rule's range. It returns none for a rule that draws
// every port, and where each client has ports of its own: there the range is not
// what keeps the clients apart.
//
// A rule with a range of ports (to_ports) keeps the source port of a client if it
// lies in the range, and draws another one if it does not (get_unique_tuple in
// net/netfilter/nf_nat_core.c). So the range itself stops no race; to leave the
// clients' ports out of it does.
func (a Arm) LeftOutPorts() (out []Ports) {
	c, to := a.ClientPorts, a.ToPorts
	if c == nil || to == nil || a.KeepsApart() {
		return nil
	}
	if below := (Ports{First: c.First, Last: min(c.Last, to.First-1)}); below.First <= below.Last {
		out = append(out, below)
	}
	if above := (Ports{First: max(c.First, to.Last+1), Last: c.Last}); above.First <= above.Last {
		out = append(out, above)
	}
	return out
}
