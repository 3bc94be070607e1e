package verdict

import (
	"fmt"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/stats"
)

// fewRounds is the number of rounds below which the median of a single arm is
// warned about.
const fewRounds = 4

// warn adds what a reader of the figures has to know, once.
func warn(r *result.Result) {
	there := map[string]bool{} // a trial may have two
	for _, text := range r.Warnings {
		there[text] = true
	}
	for _, texts := range [][]string{untriggered(r), few(r), machine(r.Environment), alike(r), drift(r), narrow(r), pooled(r), crowded(r.Arms), foreign(r.Arms), puzzling(r.Arms)} {
		for _, text := range texts {
			if !there[text] {
				there[text] = true
				r.Warnings = append(r.Warnings, text)
			}
		}
	}
}

// untriggered lists why the race may not have occurred. Where another arm shows
// it, the baseline's own rule is reason enough.
func untriggered(r *result.Result) (texts []string) {
	if raceSeen(r) || len(r.Arms) == 0 || len(r.Arms[0].Trials) == 0 {
		return nil
	}
	for _, reason := range reasons(r) {
		texts = append(texts, "not triggered: "+reason.full)
	}
	return texts
}

// few says what the number of rounds does not allow.
func few(r *result.Result) (texts []string) {
	n, arms := r.Scenario.Rounds, len(r.Arms)
	if arms < 2 {
		if n < fewRounds {
			texts = append(texts, fmt.Sprintf("%s few: the rate of one arm swings by a factor of two to four between trials",
				format.Plural(n, "round is", "rounds are")))
		}
		return texts
	}
	if least := Rounds(arms); n < least {
		texts = append(texts, fmt.Sprintf("%s cannot show a difference at p < %v: it takes %d", format.Plural(n, "round", "rounds"), result.Alpha, least))
	}
	if least := RoundsForInterval(); n < least {
		texts = append(texts, fmt.Sprintf("%s a reduction no 95 %% interval: it takes %d", format.Plural(n, "round gives", "rounds give"), least))
	}
	return texts
}

func machine(e result.Env) (texts []string) {
	if e.Load != nil && e.CPUsOnline > 0 && e.Load[0] >= float64(e.CPUsOnline) {
		texts = append(texts, fmt.Sprintf("the machine was busy: a load average of %.2f on %s before the run; clients that have to wait for a CPU do not meet, and latencies are too high",
			e.Load[0], format.Plural(e.CPUsOnline, "CPU", "CPUs")))
	}
	if e.Widened > 0 {
		texts = append(texts, fmt.Sprintf("%s the window of the race: this is not the kernel's own window, and no failure rate is what it would be without",
			format.Plural(e.Widened, "idle rule between NAT and confirmation widens", "idle rules between NAT and confirmation widen")))
	}
	return texts
}

// alike names the arms of which a test of ranks can say nothing.
func alike(r *result.Result) (texts []string) {
	if !raceShown(r) {
		return nil
	}
	baseline := r.Arms[0].FailureRate
	for _, a := range r.Arms[1:] {
		lowest, highest := min(a.FailureRate.Lowest, baseline.Lowest), max(a.FailureRate.Highest, baseline.Highest)
		if len(a.Trials) > 0 && lowest == highest {
			texts = append(texts, fmt.Sprintf("%s: all its trials and all of %s have the same failure rate, %s, so that nothing can be told from them",
				a.Name, r.Arms[0].Name, format.Percent(lowest)))
		}
	}
	return texts
}

// manyLooks is the number of taken ports that NAT looks at for a connection, on
// average, from which on its ports are used up rather than wanted by two.
const manyLooks = 16

// crowded names the arms that leave NAT too few ports: connections take longer,
// until it finds one.
func crowded(arms []result.Arm) (texts []string) {
	for _, a := range arms {
		looks, requests := uint64(0), 0
		for _, t := range a.Trials {
			looks, requests = looks+t.Conntrack.Found, requests+t.Requests
		}
		if n := uint64(requests); n > 0 && looks >= manyLooks*n {
			texts = append(texts, fmt.Sprintf("%s: port exhaustion: NAT looked at %s taken ports for each connection, on average, which makes connects slow",
				a.Name, format.Thousands(looks/n)))
		}
	}
	return texts
}

// drift warns about a baseline whose rate goes up or down in the course of a run.
func drift(r *result.Result) []string {
	if len(r.Arms) == 0 {
		return nil
	}
	rates := FailureRates(r.Arms[0])
	s, p := stats.Trend(rates)
	if p >= result.Alpha {
		return nil
	}
	way, exact := "rose", "exact "
	if s < 0 {
		way = "fell"
	}
	if len(rates) > stats.ExactTrend {
		exact = ""
	}
	return []string{fmt.Sprintf("%s: the failure rate %s in the course of the run (Mann-Kendall, %s%s); interleaved arms drift together, which hides differences but makes up none",
		r.Arms[0].Name, way, exact, format.P(p))}
}

// foreign names the arms whose counters other traffic may have moved.
func foreign(arms []result.Arm) (texts []string) {
	for _, arm := range arms {
		trials, failed, dropped := 0, 0, 0
		for _, t := range arm.Trials {
			if f := t.Foreign; f != nil && f.InsertFailed+f.Drop > 0 {
				trials++
				failed += int(f.InsertFailed)
				dropped += int(f.Drop)
			}
		}
		if trials > 0 {
			texts = append(texts, fmt.Sprintf("%s: other traffic was in the conntrack table in %d of %s, and may account for %s and %s",
				arm.Name, trials, format.Plural(len(arm.Trials), "trial", "trials"),
				format.Plural(failed, "failed insertion", "failed insertions"), format.Plural(dropped, "drop", "drops")))
		}
	}
	return texts
}

// puzzling names the trials whose failures and counters do not add up.
func puzzling(arms []result.Arm) (texts []string) {
	for _, arm := range arms {
		for _, t := range arm.Trials {
			if n := t.Causes[result.Unexplained]; n > 0 {
				texts = append(texts, fmt.Sprintf("%s, round %d: %s unexplained", arm.Name, t.Round, part(n, t.Failed)))
			}
			if lost, counted := t.Failures[result.Timeout], hits(t); counted > lost+lost/100 {
				texts = append(texts, fmt.Sprintf("%s, round %d: %s for %s without an answer: other traffic is in the counters, and snat_race may be too high",
					arm.Name, t.Round, format.Plural(counted, "failed insertion", "failed insertions"), format.Plural(lost, "request", "requests")))
			}
			if n := t.Server.Strangers; n > 0 {
				texts = append(texts, fmt.Sprintf("%s, round %d: the server reset %s from other addresses than the lab's",
					arm.Name, t.Round, format.Plural(int(n), "connection", "connections")))
			}
		}
	}
	return texts
}

// hits are the races that the kernel counted, whoever lost, without those that
// are known to be other traffic's.
func hits(t result.Trial) int {
	n := t.Conntrack.InsertFailed
	if c := t.Conntrack.ChainTooLong; c != nil {
		n -= min(*c, n)
	}
	if f := t.Foreign; f != nil {
		n -= min(f.InsertFailed, n)
	}
	return int(n)
}

// part prints "4 of 12 failures are".
func part(n, of int) string {
	verb := "are"
	if n == 1 {
		verb = "is"
	}
	return fmt.Sprintf("%s of %s %s", format.Thousands(n), format.Plural(of, "failure", "failures"), verb)
}
