package verdict

import (
	"slices"

	"snatlab/harness/result"
	"snatlab/harness/stats"
)

const (
	// leastRounds is the number of rounds below which the median of a single arm is
	// warned about.
	leastRounds = 4

	// manyLooks is the number of taken ports that NAT looks at for a connection, on
	// average, from which on its ports are used up rather than wanted by two.
	manyLooks = 16
)

// addWarnings adds to the result what a reader of its figures has to know. A warning that
// is there already is not added again, but has the new figures.
func addWarnings(r *result.Result) {
	for _, warnings := range [][]result.Warning{
		warnNoRace(r), warnFewRounds(r), warnMachine(r.Environment), warnNoHits(r.Arms), warnEqualRates(r), warnDrift(r.Arms),
		warnLeftOutPorts(r.Arms), warnFewAddresses(r), warnExhaustedPorts(r.Arms), warnForeignTraffic(r.Arms), warnUnaccounted(r.Arms),
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
	n, arms := r.Scenario.Rounds, len(r.Arms)
	if arms < 2 {
		if n < leastRounds {
			all = append(all, result.Warning{Code: result.FewRounds, Count: n})
		}
		return all
	}
	if least := MinRounds(arms); n < least {
		all = append(all, result.Warning{Code: result.FewRoundsToCompare, Count: n, Least: least})
	}
	if least := MinRoundsForInterval(); n < least {
		all = append(all, result.Warning{Code: result.FewRoundsForInterval, Count: n, Least: least})
	}
	return all
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

// warnEqualRates warns about the arms that no test of ranks can decide.
func warnEqualRates(r *result.Result) (all []result.Warning) {
	if !r.BaselineShowsRace() {
		return nil
	}
	baseline := r.Arms[0].FailureRate
	for _, a := range r.Arms[1:] {
		lowest, highest := min(a.FailureRate.Lowest, baseline.Lowest), max(a.FailureRate.Highest, baseline.Highest)
		if len(a.Trials) > 0 && lowest == highest {
			all = append(all, result.Warning{Code: result.EqualRates, Arm: a.Name, Share: lowest})
		}
	}
	return all
}

// warnDrift warns about a baseline whose rate goes up or down in the course of a
// run.
func warnDrift(arms []result.Arm) []result.Warning {
	if len(arms) == 0 {
		return nil
	}
	rates := arms[0].FailureRates()
	s, p := stats.MannKendall(rates)
	if p >= result.Alpha {
		return nil
	}
	w := result.Warning{Code: result.BaselineRose, Arm: arms[0].Name, P: p, Exact: len(rates) <= stats.ExactTrend}
	if s < 0 {
		w.Code = result.BaselineFell
	}
	return []result.Warning{w}
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
