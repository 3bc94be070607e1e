package verdict

import (
	"cmp"
	"slices"

	"snatlab/harness/result"
	"snatlab/harness/stats"
)

const (
	// roundsToScatter is the number of rounds below which little is known about how much
	// trials differ from each other.
	roundsToScatter = 3

	// roundsByTrials is the number of rounds below which a comparison by trials, whose
	// unit is the trial, has an interval that is wide and rests on few of them.
	roundsByTrials = 12

	// changed is how many times as much one trial of the baseline loses as another, from
	// which on the machine is taken to have changed its state.
	changed = 10

	// manyLooks is the number of taken ports that NAT looks at for a connection, on
	// average, from which on its ports are used up rather than wanted by two.
	manyLooks = 16
)

// addWarnings adds to the result what a reader of its figures has to know. A warning that
// is there already is not added again, but has the new figures.
func addWarnings(r *result.Result) {
	for _, warnings := range [][]result.Warning{
		warnNoRace(r), warnFewRounds(r), warnFewHits(r), warnInstrument(r), warnMachine(r.Environment), warnNoHits(r.Arms), warnChange(r),
		warnLeftOutPorts(r.Arms), warnFewAddresses(r), warnLowPorts(r.Arms), warnFilteredPorts(r.Arms), warnExhaustedPorts(r.Arms), warnForeignTraffic(r.Arms), warnUnaccounted(r.Arms),
	} {
		for _, w := range warnings {
			if i := slices.IndexFunc(r.WarningValues, w.SameSubject); i >= 0 {
				r.WarningValues[i] = w
			} else {
				r.WarningValues = append(r.WarningValues, w)
			}
		}
	}
}

// warnFewRounds warns about what the number of rounds does not allow.
func warnFewRounds(r *result.Result) (all []result.Warning) {
	n, byTrials := countRounds(r), countByTrials(r)
	warn := func(code result.WarningCode, least int) {
		if n < least {
			all = append(all, result.Warning{Code: code, Count: n, Least: least})
		}
	}
	switch {
	case len(r.Arms) == 1 && !hasControl(r.Arms[0]):
		warn(result.FewRounds, roundsToScatter)
	case byTrials == 0:
		warn(result.FewRoundsToScatter, roundsToScatter)
	case n < MinRounds(len(r.Comparisons)):
		warn(result.FewRoundsToCompare, MinRounds(len(r.Comparisons)))
	default:
		warn(result.FewRoundsForInterval, roundsByTrials)
	}
	return all
}

// countRounds returns the rounds of a run: those that it made, or was to make at least.
func countRounds(r *result.Result) int {
	n := r.Scenario.Rounds
	for _, a := range r.Arms {
		n = max(n, len(a.Trials))
	}
	return n
}

func countByTrials(r *result.Result) (n int) {
	for _, c := range r.Comparisons {
		if !isByControl(c) {
			n++
		}
	}
	return n
}

// warnFewHits warns about the arms whose control has not lost what the run was to go on
// for.
func warnFewHits(r *result.Result) (all []result.Warning) {
	if r.Scenario.Until == nil || r.Incomplete != "" {
		return nil
	}
	for _, a := range r.Arms {
		if hits := a.SumControl().Failed; hasControl(a) && hits < r.Scenario.Until.Hits {
			all = append(all, result.Warning{Code: result.FewHits, Arm: a.Name, Count: hits, Of: r.Scenario.Until.Hits})
		}
	}
	return all
}

// warnInstrument warns about a control that differs from the baseline.
func warnInstrument(r *result.Result) []result.Warning {
	switch {
	case !slices.ContainsFunc(r.Comparisons, isByControl):
		return nil
	case isInstrumentBroken(r.Instrument):
		return []result.Warning{{Code: result.InstrumentFailed}}
	case dividing(r.Instrument) != nil:
		return []result.Warning{{Code: result.InstrumentDivided, Share: *r.Instrument.Estimate}}
	}
	return nil
}

func warnMachine(e result.Env) (all []result.Warning) {
	if e.Load != nil && e.CPUsOnline > 0 && e.Load[0] >= float64(e.CPUsOnline) {
		all = append(all, result.Warning{Code: result.BusyMachine})
	}
	if e.NotWidened != "" {
		all = append(all, result.Warning{Code: result.NotWidened, Cause: e.NotWidened})
	}
	return all
}

// warnNoHits warns about the arms with trials that say nothing.
func warnNoHits(arms []result.Arm) (all []result.Warning) {
	for _, a := range arms {
		if n := result.SumTrials(a.Trials, countNoHits); n > 0 {
			all = append(all, result.Warning{Code: result.NoHits, Arm: a.Name, Count: n, Of: len(a.Trials)})
		}
	}
	return all
}

func countNoHits(t result.Trial) int {
	if t.NoHits {
		return 1
	}
	return 0
}

// warnChange warns about a machine that changed its state in the course of a run with
// comparisons by trials, whose ratio then depends on when each trial ran: the baseline's
// rate differs tenfold between trials, goes up, or goes down. A control has
// the same state as its trial.
func warnChange(r *result.Result) (all []result.Warning) {
	if len(r.Arms) == 0 || len(sentTrials(r.Arms[0])) == 0 || countByTrials(r) == 0 && (len(r.Arms) > 1 || hasControl(r.Arms[0])) {
		return nil
	}
	baseline := r.Arms[0]
	rates := baseline.FailureRates()
	if s, p := stats.MannKendall(rates); p < result.Alpha {
		w := result.Warning{Code: result.BaselineRose, Arm: baseline.Name, P: p, Exact: len(rates) <= stats.ExactTrend}
		if s < 0 {
			w.Code = result.BaselineFell
		}
		all = append(all, w)
	}
	most := slices.MaxFunc(baseline.Trials, func(a, b result.Trial) int { return cmp.Compare(a.FailedShare(), b.FailedShare()) })
	if most.Failed >= changed && most.FailedShare() >= changed*baseline.FailureRate.Lowest {
		all = append(all, result.Warning{Code: result.MachineChanged, Arm: baseline.Name})
	}
	return all
}

// warnLeftOutPorts warns about the arms whose rule leaves ports of the clients out.
func warnLeftOutPorts(arms []result.Arm) (all []result.Warning) {
	for _, a := range arms {
		if a.LeftOutPorts() != nil {
			all = append(all, result.Warning{Code: result.PortsLeftOut, Arm: a.Name})
		}
	}
	return all
}

// warnFewAddresses warns about the arms that translate to several addresses and
// whose connections left from fewer of them than there are clients: clients that
// have one address in common meet there, however many others the arm has. The
// kernel picks the address by a hash of the client's and the server's
// (find_best_ips_proto in net/netfilter/nf_nat_core.c), so the next run with the
// same addresses picks the same ones.
func warnFewAddresses(r *result.Result) (all []result.Warning) {
	clients := r.Scenario.Clients
	for _, a := range r.Arms {
		used, pool := len(a.Sources), len(a.ToSource)
		if pool < 2 || used == 0 || used >= min(pool, clients) && used > 1 {
			continue
		}
		all = append(all, result.Warning{Code: result.FewAddresses, Arm: a.Name, Count: used, Of: pool})
	}
	return all
}

// warnLowPorts warns about the arms whose rule draws ports below those that clients have: a
// filter that knows connections by the ports of clients drops them. With a filter in the
// lab none of them comes to the server, and the lost ones have their cause.
func warnLowPorts(arms []result.Arm) (all []result.Warning) {
	for _, a := range arms {
		if a.SourcePorts == nil || !a.DrawsPorts() || a.ClientPorts == nil || a.ClientPorts.First < result.CommonPorts.First {
			continue
		}
		if outside, below := a.SourcePorts.CountOutside(result.CommonPorts); below > 0 {
			all = append(all, result.Warning{Code: result.DrawsLowPorts, Arm: a.Name, Count: outside, Of: a.SourcePorts.Connections})
		}
	}
	return all
}

// warnFilteredPorts warns about a filter before the server that dropped requests.
func warnFilteredPorts(arms []result.Arm) []result.Warning {
	if slices.ContainsFunc(arms, func(a result.Arm) bool { return a.SumCause(result.SourceFiltered) > 0 }) {
		return []result.Warning{{Code: result.FilteredPorts}}
	}
	return nil
}

// warnExhaustedPorts warns about the arms that leave NAT too few ports: connections
// take longer, until it finds one.
func warnExhaustedPorts(arms []result.Arm) (all []result.Warning) {
	for _, a := range arms {
		looks, requests := uint64(0), 0
		for _, t := range a.Trials {
			looks, requests = looks+t.Conntrack.Found, requests+t.Requests
		}
		if n := uint64(requests); n > 0 && looks >= manyLooks*n {
			all = append(all, result.Warning{Code: result.ExhaustedPorts, Arm: a.Name, Count: int(looks / n)})
		}
	}
	return all
}

// warnForeignTraffic warns about the arms whose counters other traffic may have
// moved.
func warnForeignTraffic(arms []result.Arm) (all []result.Warning) {
	for _, arm := range arms {
		w := result.Warning{Code: result.ForeignTraffic, Arm: arm.Name, Of: len(arm.Trials)}
		for _, t := range arm.Trials {
			if f := t.Foreign; f != nil && f.InsertFailed+f.Drop > 0 {
				w.Count++
				w.Failed += int(f.InsertFailed)
				w.Drops += int(f.Drop)
			}
		}
		if w.Count > 0 {
			all = append(all, w)
		}
	}
	return all
}

// warnUnaccounted warns about the trials whose failures and counters do not add up.
func warnUnaccounted(arms []result.Arm) (all []result.Warning) {
	for _, arm := range arms {
		for _, t := range arm.Trials {
			add := func(code result.WarningCode, count, of int) {
				all = append(all, result.Warning{Code: code, Arm: arm.Name, Round: t.Round, Count: count, Of: of})
			}
			if n := t.Causes[result.Unexplained]; n > 0 {
				add(result.UnexplainedFailures, n, t.Failed)
			}
			lost := t.Failures[result.Timeout]
			if t.Control != nil { // the counters are of both
				lost += t.Control.Failures[result.Timeout]
			}
			if counted := countHits(t); counted > lost+lost/100 {
				add(result.ExcessInsertions, counted, lost)
			}
			if n := t.Server.Strangers; n > 0 {
				add(result.Strangers, int(n), 0)
			}
			n := int(t.Server.Malformed)
			if d := t.Datagrams; d != nil {
				n += d.Foreign
				if d.Late > 0 {
					add(result.LateAnswers, int(d.Late), 0)
				}
			}
			if n > 0 {
				add(result.ForeignDatagrams, n, 0)
			}
		}
	}
	return all
}

// countHits returns the races that the kernel counted in a trial, whoever lost,
// without those that are known to be other traffic's.
func countHits(t result.Trial) int {
	n := t.Conntrack.InsertFailed
	if c := t.Conntrack.ChainTooLong; c != nil {
		n -= min(*c, n)
	}
	if f := t.Foreign; f != nil {
		n -= min(f.InsertFailed, n)
	}
	return int(n)
}
